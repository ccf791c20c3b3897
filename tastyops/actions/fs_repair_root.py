"""``fs.repair_root``: repair the root filesystem, which cannot be unmounted."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.domain.storage.checking import repair_command, repaired
from tastyops.domain.storage.filesystem import locate, need_known
from tastyops.domain.storage.repairing import COUNTED, REGISTERED, registered
from tastyops.errors import CannotKnow, Failed, Refused
from tastyops.facts.system import SYSTEM_STATE
from tastyops.model.action import Facts
from tastyops.model.commands import Ask, Change, Output, Probe, Steps, Unknown, unknown_step

SINGLE_USER = "maintenance"
"""systemctl(1): the rescue or emergency target is active."""


@dataclass(frozen=True, kw_only=True)
class FsRepairRoot:
    """The parameters of ``fs.repair_root``: there is only one root filesystem."""

    filesystem: str = param("text", "The root filesystem; nothing else is taken", "/", ("/",))


@action(
    "fs.repair_root",
    person=True,
    followed_by=("reboot", "boot"),
    returns=REGISTERED,
    sentence=f"Root filesystem {{{{ device }}}} repaired: {COUNTED}",
    already="Repair of the root filesystem {{ device }} found nothing to correct.",
)
def fs_repair_root(params: FsRepairRoot, facts: Facts) -> Steps:
    """Repair the root filesystem, mounted read-only, in single-user mode; then a reboot."""
    found = yield from locate("/")
    need_known(found)
    if mount := found.writable:
        raise Refused(
            f"it is mounted read-write at {mount.target}: repairing it would destroy it."
            " Boot into emergency mode, or `fs.remount` it read-only in single-user mode"
        )
    state = yield Probe(*SYSTEM_STATE)
    if state != SINGLE_USER:
        raise Refused(f"the system is {state}; this needs single-user (rescue or emergency) mode")
    yield Ask(
        "manual",
        f"The root filesystem {found.device} is about to be repaired while it is mounted"
        " read-only. What the kernel remembers of it is wrong from then on, so the reboot that"
        " follows is not to be left out. Say done to go on.",
    )
    dangerous = ("-d",) if found.fstype == "xfs" else ()
    output: Output | Unknown = yield Change(repair_command(found, *dangerous), sudo=True)
    if isinstance(output, Unknown):
        raise CannotKnow(unknown_step(output))
    done = repaired(found.fstype, output)
    if done is None:
        raise Failed(
            "its log has not been replayed, and nothing was repaired: remount it read-write and"
            " read-only again, or boot once more, so that mounting replays it"
        )
    return registered(found, done)
