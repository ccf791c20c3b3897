"""Accidents between a kill and a resume: every change once, and the same log."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest

from tastyops.journal.events import ClockStepped, Intended
from tastyops.practice.server import PracticeHost
from tests.cli.project import ROOT, isolated, wait_for
from tests.durable.conftest import read_here
from tests.durable.harness import (
    EXPECTED,
    IN_DOUBT,
    KILLED,
    RUNBOOK,
    Attempt,
    Site,
    begin,
    finish,
    judge,
    opening,
    perform,
    prepare,
    start,
)
from tests.missing import missing
from tests.sshd.server import Sshd

pytestmark = pytest.mark.sshd

LONG = pytest.mark.long
HASTY = ("tests.durable.hasty",)
FAILED, REFUSED, LOCKED = 1, 2, 6
FAST = 20.0
"""How fast time passes on the practice host: it is to boot soon."""
SLOW = "1.4"
"""The step with the slow change."""


class Rebooted(Sshd):
    """Debian's sshd as it is after a boot: another boot id, and nothing in /run."""

    def boot(self) -> None:
        """Ends what there is and starts it in a mount namespace of its own, on another port."""
        if self.process is not None:
            self.cut()
            self.process.terminate()
            self.process.wait(60)
            shutil.rmtree(self.locks)  # they are in /run
            self.locks.mkdir()
            self.locks.chmod(0o1777)
            boot_id = self.folder / "boot_id"
            boot_id.write_text(Path("/proc/sys/kernel/random/uuid").read_text())
            inside = (
                f"mount --bind {boot_id} /proc/sys/kernel/random/boot_id && mount -t tmpfs none /run"
                ' && mkdir -m 755 /run/sshd && exec "$@"'
            )
            self.within = ("unshare", "--mount", "sh", "-c", inside, "sh")
        self.start()


@dataclass
class Place:
    """A host that outlives its controllers; ``whole`` is an uninterrupted run there."""

    site: Site
    whole: Attempt
    folder: Path

    def moment(self, kind: str, step: str = "") -> int:
        """The first event of that kind in an uninterrupted run."""
        return next(e.seq for e in self.whole.events if e.kind == kind and step in ("", e.at.step))

    def project(self, name: str = "p") -> Attempt:
        """A project whose ledger nobody else has."""
        return prepare(self.folder / f"{name}-{self.folder.name}", self.site)

    def killed(self, moment: int) -> Attempt:
        """A run whose controller was killed at that event."""
        attempt = self.project()
        assert start(attempt, moment) == KILLED, attempt.outputs
        return attempt

    def ledger(self, attempt: Attempt) -> list[str]:
        """What was done so far, in order."""
        return self.site.read(attempt.ledger).split()

    def judged(self, attempt: Attempt, code: int) -> None:
        """Every change once, nothing in doubt, and the log of the uninterrupted run."""
        problems = judge(attempt, self.site, code, self.whole.page)
        assert (code, problems) == (0, []), "\n".join([*problems, *attempt.outputs])


@pytest.fixture(scope="module", params=["practice", "sshd"])
def whole(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, Attempt, Callable[[], None]]]:
    """A host of each kind, an uninterrupted run there, and how to reboot it."""
    folder = tmp_path_factory.mktemp("whole")
    with ExitStack() as stack:
        if request.param == "practice":
            practice = stack.enter_context(PracticeHost.start("target", scale=FAST))
            machine = practice.machine

            def read(path: str) -> str:
                return machine.execute(["cat", path]).out.decode()

            def reboot() -> None:
                machine.power.cycle()
                wait_for(lambda: machine.power.up, "the host is up again", 90)

            site = Site(practice.host, read, "/root", practice=True)
        else:
            request.getfixturevalue("sshd_installed")
            server = Rebooted()
            stack.callback(server.stop)
            server.boot()

            def reboot() -> None:
                server.boot()
                site.host = server.host()

            (folder / "ledgers").mkdir()
            site = Site(server.host(), read_here, str(folder / "ledgers"))
        run = prepare(folder / "whole", site)
        assert start(run) == 0, run.outputs
        yield site, run, reboot


@pytest.fixture
def place(whole: tuple[Site, Attempt, Callable[[], None]], tmp_path: Path) -> Place:
    """The host, for one test."""
    return Place(whole[0], whole[1], tmp_path)


# -- the clock ---------------------------------------------------------------------------------

BACK = "-90"
"""Seconds, few enough that the log seldom spans midnight for it."""


def test_a_clock_that_steps_back_during_a_run(place: Place) -> None:
    attempt = place.project()
    run = begin(attempt, *opening(attempt), module=HASTY, TASTYOPS_TEST_CLOCK=BACK)
    place.judged(attempt, finish(attempt, run))
    (stepped,) = [e.body for e in attempt.events if isinstance(e.body, ClockStepped)]
    assert 80 < stepped.seconds <= 90


def test_a_clock_that_steps_back_between_a_kill_and_a_resume(place: Place) -> None:
    attempt = place.killed(place.moment("settled", SLOW))
    run = begin(attempt, "resume", "--yes", module=HASTY, TASTYOPS_TEST_CLOCK=BACK)
    place.judged(attempt, finish(attempt, run))
    assert [e.epoch for e in attempt.events if isinstance(e.body, ClockStepped)] == [2]


# -- the disk ----------------------------------------------------------------------------------


@pytest.mark.parametrize("bytes_", [pytest.param(7_000, marks=LONG), 12_000, pytest.param(20_000, marks=LONG)])
def test_a_journal_that_may_grow_no_further(bytes_: int, place: Place) -> None:
    """A limit on file sizes fails a write in its midst, as a full disk does."""
    attempt = place.project()
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, bytes_))  # noqa: E731
    run = begin(attempt, *opening(attempt), before=limit)
    assert finish(attempt, run) == FAILED
    assert "cannot be written: File too large." in attempt.outputs[-1]
    assert "In progress" in attempt.page
    place.judged(attempt, perform(attempt, "resume", "--yes"))


@pytest.mark.parametrize("which", ["runs", "logs"])
def test_a_disk_that_fills_up(which: str, place: Place) -> None:
    attempt = place.project()
    disk = attempt.folder / which
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        missing("a small file system cannot be mounted here")
    try:
        run = begin(attempt, *opening(attempt))
        wait_for(lambda: "intended" in _journal(attempt), "the first change goes out")
        ballast = disk / "ballast"
        with pytest.raises(OSError, match="No space left"), ballast.open("wb", 0) as file:
            while True:
                file.write(bytes(4096))
        assert finish(attempt, run) == FAILED
        assert "cannot be written: No space left on device." in attempt.outputs[-1]
        assert perform(attempt, "resume", "--yes") == FAILED  # it is full still
        assert "No space left on device." in attempt.outputs[-1]
        ballast.unlink()
        place.judged(attempt, perform(attempt, "resume", "--yes"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def _journal(attempt: Attempt) -> str:
    return "".join(path.read_text() for path in attempt.folder.glob("**/runs/*/journal.jsonl"))


# -- what is on it -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["settled", pytest.param("intended", marks=LONG), pytest.param("step-ended", marks=LONG)])
def test_a_torn_last_line(kind: str, place: Place) -> None:
    attempt = place.killed(place.moment(kind, SLOW))
    journal = attempt.run / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    torn = lines[-1][: len(lines[-1]) // 2]
    journal.write_bytes(b"".join(lines[:-1]) + torn)
    place.judged(attempt, perform(attempt, "resume", "--yes"))
    (kept,) = attempt.run.glob("torn-*.bin")
    assert kept.read_bytes() == torn
    assert [e.seq for e in attempt.events if e.kind == "line-torn"] == [len(lines)]


def test_a_torn_last_line_of_the_log_s_own_journal(place: Place) -> None:
    attempt = place.killed(place.moment("asked"))
    (journal,) = attempt.folder.glob("**/logs/*/*.jsonl")
    torn = b'{"v":1,"seq":99,"half a li'
    journal.write_bytes(journal.read_bytes() + torn)
    place.judged(attempt, perform(attempt, "resume", "--yes"))
    (kept,) = journal.parent.glob("*.torn-*")
    assert kept.read_bytes() == torn
    assert "was not written to its end" in "".join(attempt.outputs)


def test_a_flipped_byte(place: Place) -> None:
    attempt = place.killed(place.moment("asked"))
    done = place.ledger(attempt)
    journals = [attempt.run / "journal.jsonl", *attempt.folder.glob("**/logs/*/*.jsonl")]
    for journal in journals:
        sound = journal.read_bytes()
        for share in (0.1, 0.9):
            flipped = bytearray(sound)
            flipped[int(len(sound) * share)] ^= 1
            journal.write_bytes(flipped)
            line = bytes(flipped[: int(len(sound) * share)]).count(b"\n") + 1
            assert perform(attempt, "resume", "--yes") == FAILED
            assert f"{journal.name}:{line}: " in attempt.outputs[-1]
            assert place.ledger(attempt) == done
        journal.write_bytes(sound)
    place.judged(attempt, perform(attempt, "resume", "--yes"))


def test_a_runbook_edited_meanwhile(place: Place) -> None:
    attempt = place.killed(place.moment("asked"))
    done = place.ledger(attempt)
    edited = RUNBOOK.replace("echo 3.1 >> {{ ledger }}", '"echo 3.1 >> {{ ledger }}; true"')
    (attempt.folder / "book.yml").write_text(edited)
    assert perform(attempt, "resume", "--yes") == REFUSED
    assert "step 3.1 (not begun): changed." in attempt.outputs[-1]
    assert "--accept-changes" in attempt.outputs[-1]
    assert place.ledger(attempt) == done
    place.judged(attempt, perform(attempt, "resume", "--yes", "--accept-changes"))
    assert "step 3.1 (not begun): changed." in attempt.outputs[-2]
    (sent,) = [e.body for e in attempt.events if e.at.step == "3.1" and isinstance(e.body, Intended)]
    assert "; true" in str(sent.command)


def test_a_runbook_edited_and_put_back(place: Place) -> None:
    attempt = place.killed(place.moment("asked"))
    (attempt.folder / "book.yml").write_text(RUNBOOK.replace("echo 1.1", "echo one"))
    assert perform(attempt, "resume", "--yes") == REFUSED
    assert "step 1.1 (already begun): changed." in attempt.outputs[-1]
    (attempt.folder / "book.yml").write_text(RUNBOOK)
    place.judged(attempt, perform(attempt, "resume", "--yes"))


# -- two at once -------------------------------------------------------------------------------


def test_two_controllers_at_once(place: Place) -> None:
    attempt, other = place.killed(place.moment("step-ended", "1.1")), place.project("other")
    first = begin(attempt, "resume", "--yes")
    wait_for(lambda: '"epoch":2' in _journal(attempt), "the first goes on")
    first.send_signal(signal.SIGSTOP)
    try:
        assert perform(attempt, "resume", "--yes") == LOCKED
        assert f"The run {attempt.run.name} is live" in attempt.outputs[-1]
        assert perform(attempt, "run", "book.yml", "--yes", "--var", "ledger=/nowhere") == LOCKED
        assert f"run {attempt.run.name} " in attempt.outputs[-1]
        assert f"process {first.pid}" in attempt.outputs[-1]
        words = [word for word in opening(other) if word != "--take-over"]
        assert perform(other, *words) == LOCKED
        assert attempt.run.name in other.outputs[-1]
        assert place.ledger(other) == []
    finally:
        first.send_signal(signal.SIGCONT)
    place.judged(attempt, finish(attempt, first))


# -- a reboot of the host ----------------------------------------------------------------------


@pytest.fixture
def reboot(
    whole: tuple[Site, Attempt, Callable[[], None]], place: Place
) -> Callable[[Attempt], None]:
    """Reboots the host; where it is reached now is in the inventory after it."""
    if not place.site.practice and (
        os.getuid() != 0
        or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode
    ):
        missing("another boot id for sshd: needs root and a mount namespace")

    def boot(attempt: Attempt) -> None:
        before = place.site.host.port
        whole[2]()
        inventory = attempt.folder / "inventory.yml"
        ports = f"port: {before}", f"port: {place.site.host.port}"
        inventory.write_text(inventory.read_text().replace(*ports))

    return boot


@pytest.mark.parametrize("kind", ["asked", pytest.param("settled", marks=LONG)])
def test_a_reboot_of_the_host_meanwhile(
    kind: str, place: Place, reboot: Callable[[Attempt], None]
) -> None:
    attempt = place.killed(place.moment(kind))
    reboot(attempt)
    place.judged(attempt, perform(attempt, "resume", "--yes"))


def test_a_change_that_nobody_recorded_and_a_reboot(
    place: Place, reboot: Callable[[Attempt], None]
) -> None:
    """The host knows no more; a person looks, and says that it was done."""
    attempt = place.killed(-place.moment("settled", SLOW))
    done = place.ledger(attempt)
    assert done[-1] == "1.4"
    reboot(attempt)
    assert perform(attempt, "resume", "--yes") == IN_DOUBT
    assert place.ledger(attempt) == done
    assert "In progress" in attempt.page
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TERM": "xterm",
        **isolated(attempt.folder / "user"),
    }  # fmt: skip
    screen = pexpect.spawn(
        sys.executable, ["-m", "tastyops", "resume"], cwd=attempt.folder, env=environment,
        timeout=60, encoding="utf-8", dimensions=(40, 120),
    )  # fmt: skip
    screen.expect(r"Step 1\.4 \(run\) is in doubt")
    screen.expect(r"What now\? ")
    screen.sendline("y")
    screen.expect(r"Go on\? \[yes/no\] ")
    screen.sendline("yes")
    screen.expect(r"Which\? ")
    screen.sendline("")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 0
    assert place.ledger(attempt) == EXPECTED
    told = [
        "- [HHMM] Step 1.4 (run) was done, as an operator found.\n",
        "- [HHMM] Step 1.4 (run) is in doubt: what became of it is not known.\n",
    ]
    usual = "- [HHMM] The slow one is done.\n"
    assert attempt.page == place.whole.page.replace(usual, "".join(told))
    assert perform(attempt, "verify", "last") == 0
