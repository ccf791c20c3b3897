"""The directory a practice host keeps its keys in, and those that killed ones left behind.

A process that is killed (SIGKILL, a power cut) cannot clear up, so the next practice host does it:
every directory names its process, and one whose process is gone goes too.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

from tastyops.protocol.process_stat import start_time

PREFIX = "tastyops-practice-"
_OWNER = "owner"
_LONGEST_RECORD = 256


def new_directory() -> Path:
    """A directory of our own (0700) that names this process; what dead ones left is removed."""
    place = Path(tempfile.gettempdir())
    for left in place.glob(f"{PREFIX}*"):
        if _is_ours_alone(left) and _is_dead(_record(left)):
            shutil.rmtree(left, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    # Until this is there nobody can tell whose the directory is, and so nobody removes it.
    with contextlib.suppress(OSError):
        (made / _OWNER).write_text(" ".join(_identity(os.getpid())), "ascii")
    return made


def _is_ours_alone(path: Path) -> bool:
    """Whether it is a directory, and no link to one, that only this account can have filled."""
    with contextlib.suppress(OSError):
        found = path.lstat()
        private = stat.S_IMODE(found.st_mode) & 0o077 == 0
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and private
    return False


def _record(directory: Path) -> tuple[str, ...]:
    with contextlib.suppress(OSError):
        descriptor = os.open(directory / _OWNER, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            return tuple(file.read(_LONGEST_RECORD).decode("ascii", "replace").split(" "))
    return ()


def _is_dead(record: tuple[str, ...]) -> bool:
    """Whether the recorded process is certainly gone; of what cannot be told, no."""
    if len(record) != 4 or not record[2].isdigit():
        return False
    now = _identity(int(record[2]))
    # Other name spaces have other process ids: a container, say, that shares this directory.
    return now[:1] == record[:1] and now != record


def _identity(pid: int) -> tuple[str, ...]:
    """The ids' name space, the boot, the id, and when it started; empty without a /proc."""
    try:
        space = os.readlink("/proc/self/ns/pid")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ()
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        stat = ""
    return (space, boot, str(pid), start_time(stat, remains=False) or "gone")
