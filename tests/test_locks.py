"""The controller's locks, with real second processes that hold them, let go of them and die."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tastyops.engine.controller import Controller, this_controller
from tastyops.errors import JournalUnwritable, Locked
from tastyops.store.locks import OWNER, Owner, holding_hosts, hosts_held, owner_of, owning

HOLDS = """
import sys
from contextlib import ExitStack
from pathlib import Path
from tastyops.errors import Locked
from tastyops.store.locks import Owner, holding_hosts, owning

what, place, run, *hosts = sys.argv[1:]
owner = Owner.of(run, "ncm", hosts)
with ExitStack() as stack:
    try:
        take = owning(Path(place), owner) if what == "run" else holding_hosts(Path(place), owner)
        stack.enter_context(take)
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
        self.process.communicate("\n" if not kill else None, timeout=20)


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


def test_a_runs_directory_belongs_to_one_process(tmp_path: Path) -> None:
    with other("run", str(tmp_path), "r0", "web1", "web2") as first:
        owner, alive = owner_of(tmp_path)
        assert alive
        assert owner is not None
        assert (owner.run, owner.who, owner.hosts) == ("r0", "ncm", ("web1", "web2"))
        assert owner.pid == first.process.pid
        with pytest.raises(Locked, match=f"process {first.process.pid}"), owning(tmp_path, me()):
            pass
        first.end(kill=True)
    assert owner_of(tmp_path) == (owner, False)
    with owning(tmp_path, me()):
        found, alive = owner_of(tmp_path)
        assert (found and found.run, alive) == ("r1", True)
    assert owner_of(tmp_path) == (None, False)
    assert stat.S_IMODE((tmp_path / OWNER).stat().st_mode) == 0o600


def test_looking_keeps_nobody_from_taking(tmp_path: Path) -> None:
    looker = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys\nfrom pathlib import Path\nfrom tastyops.store.locks import owner_of\n"
            "print(flush=True)\nwhile True: owner_of(Path(sys.argv[1]))",
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
    )
    try:
        assert looker.stdout
        looker.stdout.readline()
        for _ in range(100):
            with owning(tmp_path, me()):
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
    (tmp_path / OWNER).write_text(text)
    assert owner_of(tmp_path) == (None, False)
    with owning(tmp_path, me()):
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
