"""``fs.unmount``: unmount a filesystem nobody uses."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tastyops.actions import action, param, require
from tastyops.domain.storage.filesystem import checked_path, describe_users, using
from tastyops.errors import Failed, Refused
from tastyops.facts.filesystems import FSTAB, MOUNTS, FstabEntry, Mount, directories
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Command, Probe, Sleep, Steps, Unknown

POLL = 2.0
"""Seconds between two looks: what a stopped service leaves behind is gone a moment later."""


@dataclass(frozen=True, kw_only=True)
class FsUnmount:
    """The parameters of ``fs.unmount``."""

    filesystem: str = param("text", "Where it is mounted")
    patience: float = param("duration", "How long to wait until nobody uses the filesystem", 10.0)


@action(
    "fs.unmount",
    scalar="filesystem",
    returns={"device": "device", "changed": "flag"},
    sentence="{{ device or 'Filesystem' }} unmounted.",
    already="{{ device or 'The filesystem' }} is not mounted.",
)
def fs_unmount(params: FsUnmount, facts: Facts) -> Steps:
    """Unmount a filesystem; the error names its users, and no process is ended."""
    target = checked_path(params.filesystem)
    mounts: tuple[Mount, ...] = yield Probe(*MOUNTS)
    here = [mount for mount in mounts if mount.target == target]
    if not here:
        return (yield from _not_mounted(target))
    if target == "/":
        raise Refused("the root filesystem cannot be unmounted")
    below = sorted(mount.target for mount in mounts if mount.target.startswith(f"{target}/"))
    if below:
        raise Refused(f"other filesystems are mounted below it: {', '.join(below[:5])}")
    yield from _unused(target, params.patience)
    done = yield Change(("umount", target), sudo=True)
    require(done, "it cannot be unmounted: the kernel says that it is busy")
    return {"device": here[-1].device, "changed": True}


def _not_mounted(target: str) -> Generator[Command, Any, dict[str, Any]]:
    """Already so, if there is such a place. Raises Failed for a path that is a slip of the pen."""
    entries: tuple[FstabEntry, ...] = yield Probe(*FSTAB)
    device = next((entry.source for entry in entries if entry.target == target), None)
    if device is None and not (yield Probe(*directories(target), sudo=True)):
        raise Failed(f"there is no {target}: no such directory, and fstab does not have it")
    return {"device": device, "changed": False}


def _unused(target: str, patience: float) -> Generator[Command, Any, None]:
    """Waits until nobody uses it. Raises Refused for those who do not let go of it."""
    users = yield from using(target)
    waited = 0.0
    while users and waited < patience:
        yield Sleep(POLL, f"{describe_users(users)} to let go of it")
        waited += POLL
        again = yield from using(target)
        if isinstance(again, Unknown):  # a dry run: what stops them was withheld too
            return
        users = again
    if users:
        raise Refused(f"the filesystem is in use: {describe_users(users)}. Stop them first")
