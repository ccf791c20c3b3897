"""``fs.repair``: repair a filesystem that is not mounted."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.domain.storage.checking import repair_command, repaired
from tastyops.domain.storage.filesystem import locate, need_known
from tastyops.domain.storage.repairing import COUNTED, REGISTERED, need_unmounted, registered
from tastyops.domain.storage.replaying import replayed
from tastyops.errors import CannotKnow, Failed
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Output, Steps, Unknown, unknown_step


@dataclass(frozen=True, kw_only=True)
class FsRepair:
    """The parameters of ``fs.repair``."""

    filesystem: str = param("text", "The filesystem: its mount point or device; unmounted")
    replay: bool = param("boolean", "Mount and unmount it first if its log must be replayed", False)


@action(
    "fs.repair",
    scalar="filesystem",
    returns=REGISTERED,
    sentence=f"Filesystem {{{{ device }}}} repaired: {COUNTED}",
    already="Repair of {{ device }} found nothing to correct.",
)
def fs_repair(params: FsRepair, facts: Facts) -> Steps:
    """Repair an unmounted filesystem (xfs_repair, e2fsck -y); never one that is mounted."""
    found = yield from locate(params.filesystem)
    need_known(found)
    need_unmounted(found)
    command = Change(repair_command(found), sudo=True)
    output: Output | Unknown = yield command
    if isinstance(output, Unknown):
        raise CannotKnow(unknown_step(output))
    done = repaired(found.fstype, output)
    if done is None and params.replay:
        yield from replayed(found.device)
        done = repaired(found.fstype, (yield command))
    if done is None:
        raise Failed(
            "its log has not been replayed, and nothing was repaired; `replay: true` mounts and"
            " unmounts it first"
        )
    return registered(found, done)
