"""Replaying a filesystem's log: mounting and unmounting it, the way xfs_repair(8) asks for."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from tastyops.errors import Failed
from tastyops.model.commands import Change, Command, Output, Report, Unknown
from tastyops.model.public_text import PublicText


def place_of(device: str) -> str:
    """Where it is mounted for that: a place of its own, since a check may run in the background."""
    return f"/run/tastyops-replay-{device.rpartition('/')[2]}"


def replay(device: str, *options: str) -> Generator[Command, Any, Output | Unknown]:
    """Mounts it where nobody looks and unmounts it again; gives how the mounting ended.

    Raises Failed when it cannot be unmounted again.
    """
    place = place_of(device)
    words = ",".join(("X-mount.mkdir=0700", "nosuid", "nodev", "noexec", *options))
    mounted: Output | Unknown = yield Change(("mount", "-o", words, device, place), sudo=True)
    if not isinstance(mounted, Unknown) and not mounted.ok:
        yield Change(("rmdir", "--ignore-fail-on-non-empty", place), sudo=True)
        return mounted
    gone: Output | Unknown = yield Change(("umount", place), sudo=True)
    if not isinstance(gone, Unknown) and not gone.ok:
        raise Failed(f"it cannot be unmounted again: it is still mounted at {place}")
    yield Change(("rmdir", place), sudo=True)
    return mounted


def replayed(device: str) -> Generator[Command, Any, None]:
    """Replays the log and says so in the log of the run. Raises Failed when that does not work."""
    ended = yield from replay(device)
    if not isinstance(ended, Unknown) and not ended.ok:
        raise Failed(
            "its log cannot be replayed: it does not mount; `fs.zero_log` is the last resort",
            {"status": ended.status},
        )
    yield Report(entry=PublicText.fixed(f"Log of {device} replayed by mounting it."))
