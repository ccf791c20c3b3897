"""``fs.mount``: mount what fstab has for a place."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param, require
from tastyops.domain.storage.filesystem import checked_path
from tastyops.errors import Failed
from tastyops.facts.filesystems import FSTAB, MOUNTS, FstabEntry, Mount
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Probe, Steps


@dataclass(frozen=True, kw_only=True)
class FsMount:
    """The parameters of ``fs.mount``."""

    filesystem: str = param("text", "The mount point, as fstab has it")


@action(
    "fs.mount",
    scalar="filesystem",
    returns={"device": "device", "changed": "flag"},
    sentence="{{ device }} mounted.",
    already="{{ device }} is mounted.",
)
def fs_mount(params: FsMount, facts: Facts) -> Steps:
    """Mount a filesystem where and how fstab says."""
    target = checked_path(params.filesystem)
    mounts: tuple[Mount, ...] = yield Probe(*MOUNTS)
    here = [mount for mount in mounts if mount.target == target]
    if here:
        return {"device": here[-1].device, "changed": False}
    entries: tuple[FstabEntry, ...] = yield Probe(*FSTAB)
    entry = next((entry for entry in entries if entry.target == target), None)
    if entry is None:
        raise Failed(f"fstab has nothing for {target}")
    done = yield Change(("mount", target), sudo=True)
    require(done, f"{entry.source} cannot be mounted at {target}")
    return {"device": entry.source, "changed": True}
