"""Who holds apt's and dpkg's locks, read from a real kernel; locks in a directory of the test's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tastyops.errors import LabFailed
from tastyops.facts import apt
from tastyops.lab import needs
from tastyops.model.commands import Blob, Output

HOLD = """\
import fcntl, os, sys
files = [open(path, "w") for path in sys.argv[1:]]
for file in files:
    fcntl.lockf(file, fcntl.LOCK_EX)
print(os.getpid(), flush=True)
sys.stdin.read()
"""


def held_by(root: Path, *locks: str) -> subprocess.Popen[bytes]:
    """A process that holds them until its input ends."""
    for lock in apt.WORDS:
        (root / lock[1:].replace("/", "-")).touch()
    files = [str(root / lock[1:].replace("/", "-")) for lock in locks]
    argv = [sys.executable, "-c", HOLD, *files]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def holders(root: Path) -> tuple[apt.Holder, ...]:
    script = apt.SCRIPT
    for lock in apt.WORDS:
        script = script.replace(lock, str(root / lock[1:].replace("/", "-")))
    said = subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout.decode()
    for lock in apt.WORDS:
        said = said.replace(str(root / lock[1:].replace("/", "-")), lock)
    found = apt.PARSERS["apt_locks"](Output(0, Blob.of(said.encode())))
    assert isinstance(found, tuple)
    return found


@pytest.mark.parametrize(
    "held",
    [(), (apt.LISTS,), (apt.FRONTEND, apt.DPKG), (apt.ARCHIVES, apt.LISTS), tuple(apt.WORDS)],
)
def test_the_holder_of_a_real_lock(tmp_path: Path, held: tuple[str, ...]) -> None:
    with held_by(tmp_path, *held) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        found = holders(tmp_path)
        process.communicate()
    assert {holder.lock for holder in found} == set(held)
    assert {holder.pid for holder in found} <= {pid}
    assert holders(tmp_path) == (), "the lock goes with its holder"


def test_locks_that_are_not_there(tmp_path: Path) -> None:
    assert holders(tmp_path) == ()


@pytest.mark.parametrize(
    "text", ["/var/lib/dpkg/lock x apt-get\n", "/etc/passwd 1 sh\n", "nothing\n", "\n", " \n"]
)
def test_a_line_that_is_none(text: str) -> None:
    assert apt.PARSERS["apt_locks"](Output(0, Blob.of(text.encode()))) == ()


def test_a_process_is_named_once_for_dpkgs_two_locks() -> None:
    both = [apt.Holder(apt.FRONTEND, 7, "apt"), apt.Holder(apt.DPKG, 7, "apt")]
    assert [str(holder) for holder in apt.holders_of(both, apt.WORDS)] == [
        "process 7 (apt) holds the lock on dpkg"
    ]


def test_installing_what_the_lab_needs_waits_for_a_lock(tmp_path: Path) -> None:
    """``lab.up --install`` used to die of apt-daily, which a Debian starts by itself."""
    said: list[str] = []
    with held_by(tmp_path, apt.LISTS) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())

        def say(line: str) -> None:
            said.append(line)
            process.communicate()  # it ends once it has been told of

        needs.wait_for_locks(say, lambda: holders(tmp_path))
    assert len(said) == 1
    assert said[0].startswith(f"process {pid} (python")
    assert said[0].endswith("holds the lock on apt's package lists: waiting, at most 300 seconds.")


def test_a_lock_that_stays_held_stops_the_lab(tmp_path: Path) -> None:
    with held_by(tmp_path, apt.FRONTEND) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(LabFailed, match=r"After 0 seconds process \d+ \(python.* on dpkg\."):
            needs.wait_for_locks(lambda line: None, lambda: holders(tmp_path), 0)
        process.communicate()
