"""``fs.unmount``: unmount a filesystem nobody uses."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param, require
from tastyops.commands import Change, Probe, Steps
from tastyops.errors import Refused
from tastyops.model.action import Facts
from tastyops.probes.filesystems import MOUNTS, Mount
from tastyops.storage.filesystem import checked_path, spoken, using


@dataclass(frozen=True, kw_only=True)
class FsUnmount:
    """Which one."""

    filesystem: str = param("text", "Where it is mounted")


@action(
    "fs.unmount",
    scalar="filesystem",
    returns={"device": "device", "changed": "flag"},
    sentence="{{ device or 'Filesystem' }} unmounted.",
)
def fs_unmount(params: FsUnmount, facts: Facts) -> Steps:
    """Unmount a filesystem; who still uses it is named, and nobody is ended for it."""
    target = checked_path(params.filesystem)
    mounts: tuple[Mount, ...] = yield Probe(*MOUNTS)
    here = [mount for mount in mounts if mount.target == target]
    if not here:
        return {"device": None, "changed": False}
    if target == "/":
        raise Refused("the root filesystem cannot be unmounted")
    below = sorted(mount.target for mount in mounts if mount.target.startswith(f"{target}/"))
    if below:
        raise Refused(f"other filesystems are mounted below it: {', '.join(below[:5])}")
    users = yield from using(target)
    if users:
        raise Refused(f"it is in use: {spoken(users)}. Stop them first")
    done = yield Change(("umount", target), sudo=True)
    require(done, "it cannot be unmounted: the kernel says that it is busy")
    return {"device": here[-1].device, "changed": True}
