"""``fs.zero_log``: the last resort for an XFS whose log cannot be replayed."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.domain.storage.checking import repair_command, repaired
from tastyops.domain.storage.filesystem import locate, need_known
from tastyops.domain.storage.repairing import COUNTED, REGISTERED, need_unmounted, registered
from tastyops.domain.storage.replaying import replay
from tastyops.errors import CannotKnow, Failed
from tastyops.model.action import Facts
from tastyops.model.commands import Ask, Change, Output, Steps, Unknown, unknown_step


@dataclass(frozen=True, kw_only=True)
class FsZeroLog:
    """The parameters of ``fs.zero_log``."""

    filesystem: str = param("text", "The filesystem: its mount point or device; unmounted")


@action(
    "fs.zero_log",
    scalar="filesystem",
    person=True,
    returns={**REGISTERED, "zeroed": "flag"},
    sentence="Filesystem {{ device }} repaired{{ ', its log discarded' if zeroed else '' }}: "
    + COUNTED,
    already="Repair of {{ device }} found nothing to correct.",
)
def fs_zero_log(params: FsZeroLog, facts: Facts) -> Steps:
    """Repair an XFS, discarding its log if it cannot be replayed (xfs_repair -L)."""
    found = yield from locate(params.filesystem)
    need_known(found)
    if found.fstype != "xfs":
        raise Failed(f"{found.device} holds {found.fstype}; only XFS has a log to discard")
    need_unmounted(found)
    ended: Output | Unknown = yield from replay(found.device)
    if isinstance(ended, Unknown):
        raise CannotKnow(unknown_step(ended))
    zeroed = not ended.ok
    if zeroed:
        yield Ask(
            "manual",
            f"{found.device} cannot be mounted, so its log cannot be replayed. Discarding the log"
            " (xfs_repair -L) loses the changes that are in it, and may lose files or their"
            " contents. If there is a backup, an image of the device, or time to make one, stop"
            " here. Say done to discard it.",
        )
    options = ("-L",) if zeroed else ()
    output: Output | Unknown = yield Change(repair_command(found, *options), sudo=True)
    if isinstance(output, Unknown):
        raise CannotKnow(unknown_step(output))
    done = repaired(found.fstype, output)
    if done is None:
        raise Failed("xfs_repair still asks for a replay of the log; nothing was repaired")
    changed = done.changed or zeroed
    return {**registered(found, done), "zeroed": zeroed, "changed": changed}
