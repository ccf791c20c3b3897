"""The controller's locks, with real second processes that hold them, release them and die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tastyops.errors import JournalUnwritable, Locked
from tastyops.local.controller import Controller, this_controller
from tastyops.records.files import try_lock
from tastyops.records.locks import Owner, holding_hosts, hosts_held
from tastyops.records.runs import RunJournal, is_live
from tastyops.redact import Masker

HOLDS = """
import sys
from contextlib import ExitStack
from pathlib import Path
from tastyops.errors import Locked
from tastyops.redact import Masker
from tastyops.records.locks import Owner, holding_hosts
from tastyops.records.runs import RunJournal

what, place, run, *hosts = sys.argv[1:]
with ExitStack() as stack:
    try:
        if what == "run":
            stack.callback(RunJournal.reopen(Path(place), Masker())[0].close)
        else:
            stack.enter_context(holding_hosts(Path(place), Owner.of(run, "ncm", hosts)))
        print("held", flush=True)
    except Locked as refused:
        print(refused, flush=True)
    sys.stdin.readline()
"""


class Other:
    """A second process that took a lock, or said why it could not."""

    def __init__(self, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDS, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.said = self.process.stdout.readline().strip()

    def end(self, *, kill: bool = False) -> None:
        if kill:
            self.process.send_signal(signal.SIGKILL)
        self.process.communicate("\n" if not kill else None, timeout=60)


@contextmanager
def other(*words: str) -> Iterator[Other]:
    found = Other(*words)
    try:
        yield found
    finally:
        if found.process.poll() is None:
            found.end(kill=True)


def me(*hosts: str, run: str = "r1") -> Owner:
    return Owner.of(run, "dwm", hosts)


def test_the_second_controller_is_refused_and_told_by_whom(tmp_path: Path) -> None:
    with other("hosts", str(tmp_path), "r0", "web1") as first:
        assert first.said == "held"
        with pytest.raises(Locked) as caught, holding_hosts(tmp_path, me("web1")):
            pass
        for said in ("web1", "run r0", "ncm", str(first.process.pid), "since 20"):
            assert said in caught.value.what
        assert caught.value.still_true == "No host was touched."
        assert "--take-over" in caught.value.next_step
        assert int(caught.value.exit_code) == 6
        with holding_hosts(tmp_path, me("web2")):
            pass
        first.end()
        with holding_hosts(tmp_path, me("web1")):
            pass


def test_what_a_killed_process_held_is_free(tmp_path: Path) -> None:
    with other("hosts", str(tmp_path), "r0", "web1") as first:
        first.end(kill=True)
    with holding_hosts(tmp_path, me("web1")):
        assert list(hosts_held(tmp_path)) == ["web1"]


def test_a_refused_run_holds_none_of_its_hosts(tmp_path: Path) -> None:
    with other("hosts", str(tmp_path), "r0", "web2"):
        with pytest.raises(Locked), holding_hosts(tmp_path, me("web1", "web2", "web3")):
            pass
        with holding_hosts(tmp_path, me("web1", "web3")):
            assert list(hosts_held(tmp_path)) == ["web1", "web2", "web3"]
        held = hosts_held(tmp_path)
        assert list(held) == ["web2"]
        assert held["web2"] is not None
        assert held["web2"].run == "r0"


def test_a_run_belongs_to_one_process(tmp_path: Path) -> None:
    RunJournal.create(tmp_path, "r0", b"", Masker()).close()
    directory = tmp_path / "r0"
    assert not is_live(directory)
    with other("run", str(directory), "r0") as first:
        assert first.said == "held"
        assert is_live(directory)
        with pytest.raises(Locked, match="The run r0 is live") as caught:
            RunJournal.reopen(directory, Masker())
        assert int(caught.value.exit_code) == 6
        first.end(kill=True)
    assert not is_live(directory)
    journal, _, _ = RunJournal.reopen(directory, Masker())
    assert is_live(directory)
    journal.close()


LOOKERS = {
    "a host": "from tastyops.records.locks import hosts_held as look",
    "a run": "from tastyops.records.runs import is_live as look",
}


@pytest.mark.parametrize("what", LOOKERS)
def test_looking_keeps_nobody_from_taking(what: str, tmp_path: Path) -> None:
    RunJournal.create(tmp_path, "r0", b"", Masker()).close()
    with holding_hosts(tmp_path, me("web1")):
        pass
    place = tmp_path / "r0" if what == "a run" else tmp_path
    looker = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import sys\nfrom pathlib import Path\n{LOOKERS[what]}\n"
            "print(flush=True)\nwhile True: look(Path(sys.argv[1]))",
            str(place),
        ],
        stdout=subprocess.PIPE,
    )
    try:
        assert looker.stdout
        looker.stdout.readline()
        for _ in range(100):
            if what == "a run":
                RunJournal.reopen(place, Masker())[0].close()
            else:
                with holding_hosts(tmp_path, me("web1")):
                    pass
    finally:
        looker.kill()
        looker.communicate()


def test_of_many_that_come_at_once_one_gets_it(tmp_path: Path) -> None:
    others = [Other("hosts", str(tmp_path), f"r{number}", "web1") for number in range(4)]
    try:
        assert sorted(each.said == "held" for each in others) == [False, False, False, True]
    finally:
        for each in others:
            each.end()


def test_a_process_started_by_a_run_does_not_keep_its_locks(tmp_path: Path) -> None:
    with holding_hosts(tmp_path, me("web1")):
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    try:
        with other("hosts", str(tmp_path), "r0", "web1") as second:
            assert second.said == "held"
    finally:
        child.communicate()


def test_a_lock_that_cannot_be_kept_stops_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalUnwritable), holding_hosts(tmp_path / "file", me("web1")):
        pass
    (tmp_path / ".host-web1.lock").symlink_to(tmp_path / "file")
    with pytest.raises(JournalUnwritable), holding_hosts(tmp_path, me("web1")):
        pass


@pytest.mark.parametrize("text", ["", "{}", "[]", "not json", '{"hosts": 3}'])
def test_what_a_file_says_is_never_trusted(tmp_path: Path, text: str) -> None:
    (tmp_path / ".host-web1.lock").write_text(text)
    assert hosts_held(tmp_path) == {}
    with (tmp_path / ".host-web1.lock").open() as held:
        assert try_lock(held.fileno())
        assert hosts_held(tmp_path) == {"web1": None}
    with holding_hosts(tmp_path, me("web1")):
        pass


def test_a_controller_is_more_than_its_pid() -> None:
    here = this_controller()
    assert here.lives() is True
    assert Controller(here.machine, here.boot_id, here.pid, "1").lives() is False
    assert Controller(here.machine, "another boot", here.pid, here.started).lives() is False
    assert Controller("elsewhere", "another boot", here.pid, here.started).lives() is None
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    started = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19]
    theirs = Controller(here.machine, here.boot_id, child.pid, started)
    assert theirs.lives() is True
    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert theirs.lives() is False, "not even as a zombie"
    child.communicate()
    assert theirs.lives() is False


def _calls_of_a_hold(folder: Path, hosts: int) -> int:
    """Python calls that it takes to hold so many hosts and to let go of them."""
    folder.mkdir()
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    owner = Owner.of("2026-001", "ncm", [f"web{number}" for number in range(hosts)])
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        with holding_hosts(folder, owner):
            pass
    finally:
        sys.setprofile(before)
    return calls


def test_the_work_of_holding_a_host_does_not_grow_with_their_number(tmp_path: Path) -> None:
    few, many = 10, 200
    small, large = _calls_of_a_hold(tmp_path / "few", few), _calls_of_a_hold(tmp_path / "many", many)
    assert large / many <= small / few * 1.1
