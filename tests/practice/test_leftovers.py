"""The directory of the keys, and directories left by killed processes."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tastyops.practice.server import new_directory

DEAD = "99999999 1"
"""No process has that id: Linux gives none above 4194304."""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


@pytest.fixture
def here() -> str:
    """This name space of process ids and this boot, as a record begins."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{os.readlink('/proc/self/ns/pid')} {boot}"


def left(place: Path, record: str | None, name: str = "x", mode: int = 0o700) -> Path:
    made = place / f"tastyops-practice-{name}"
    made.mkdir(mode=mode)
    (made / "identity").write_text("a key")
    if record is not None:
        (made / "owner").write_text(record)
    return made


@pytest.fixture
def killed(place: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    argv = [sys.executable, "-m", "tastyops.practice"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()  # it serves
        (directory,) = place.glob("tastyops-practice-*")
        yield directory, process
        process.kill()


def test_what_a_killed_process_left_is_removed(
    killed: tuple[Path, subprocess.Popen[bytes]],
) -> None:
    directory, process = killed
    new_directory()
    assert (directory / "identity").exists()  # it lives
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and still a zombie
    assert directory.exists()
    new_directory()
    assert not directory.exists()


def test_a_new_directory_is_private_and_stays_while_its_process_lives(place: Path) -> None:
    made = new_directory()
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    again = new_directory()
    assert sorted(place.iterdir()) == sorted([made, again])


def test_an_id_that_another_process_has_now(place: Path, here: str) -> None:
    lived_before = left(place, f"{here} {os.getpid()} 1")
    boot_before = left(place, f"{here.split()[0]} another-boot {os.getpid()} 1", "y")
    new_directory()
    assert not lived_before.exists()
    assert not boot_before.exists()


@pytest.mark.parametrize("record", [None, "", "garbage", "a b c d", "pid:[1] boot 99999999 1", "x" * 9999])
def test_what_cannot_be_told_is_left_alone(record: str | None, place: Path) -> None:
    kept = left(place, record)
    new_directory()
    assert kept.exists()


def test_what_others_could_have_put_there_is_left_alone(
    place: Path, here: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = f"{here} {DEAD}"
    open_to_all = left(place, record, "open")
    open_to_all.chmod(0o755)
    elsewhere = place / "elsewhere"
    left(place, record, "real").rename(elsewhere)
    (place / "tastyops-practice-link").symlink_to(elsewhere)
    (place / "tastyops-practice-file").write_text(record)
    by_link = left(place, None, "by-link")
    (by_link / "owner").symlink_to(elsewhere / "owner")
    new_directory()
    assert {path.name for path in place.iterdir()} >= {
        "tastyops-practice-open", "tastyops-practice-link", "tastyops-practice-file",
        "tastyops-practice-by-link", "elsewhere",
    }
    ours = left(place, record, "ours")
    with monkeypatch.context() as patched:
        patched.setattr(os, "geteuid", lambda: os.getuid() + 1)
        new_directory()
        assert ours.exists()
    new_directory()
    assert not ours.exists()
