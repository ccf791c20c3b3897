"""``shutdown.cancel``: take back a shutdown that a run has scheduled."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.domain.boot.moment import exact_time
from tastyops.domain.boot.schedule import cancel
from tastyops.errors import Failed, Refused
from tastyops.facts.system import BOOT_ID, SCHEDULED, Scheduled
from tastyops.model.action import Facts
from tastyops.model.commands import Probe, Steps


@dataclass(frozen=True, kw_only=True)
class ShutdownCancel:
    """The parameters of ``shutdown.cancel``; default: the last ``shutdown`` of this run."""

    due: int | None = param("integer", "When the shutdown is due, in seconds since the epoch", None)
    kind: str = param("text", "What it is", "poweroff", ("poweroff", "halt", "reboot"))


@action(
    "shutdown.cancel",
    returns={"cancelled": "count", "changed": "flag"},
    sentence="Scheduled shutdown cancelled.",
    already="No shutdown of this program's was scheduled.",
)
def shutdown_cancel(params: ShutdownCancel, facts: Facts) -> Steps:
    """Cancel a shutdown that this program scheduled on the host."""
    earlier = facts.earlier("shutdown")
    due = params.due if params.due is not None else earlier.get("due")
    if due is None:
        raise Refused("no earlier step of this run has scheduled a shutdown; give `due`")
    kind = params.kind if params.due is not None else str(earlier.get("kind", params.kind))
    boot_id = yield Probe(*BOOT_ID)
    if earlier.get("boot_id") not in (None, boot_id):
        raise Refused("the host has been restarted since, so the shutdown is no longer scheduled")
    found: Scheduled | None = yield Probe(*SCHEDULED)
    if found is None:
        return {"cancelled": int(due), "changed": False}
    if found.type != kind or abs(found.at - due) > 1:
        raise Refused(
            f"a {found.type} is scheduled there at {exact_time(found.at, facts)}, which is not"
            f" the {kind} at {exact_time(due, facts)} that was scheduled by us"
        )
    yield from cancel(kind, due)
    after: Scheduled | None = yield Probe(*SCHEDULED)
    if after is not None:
        raise Failed(f"logind still shows a {after.type} at {exact_time(after.at, facts)}")
    return {"cancelled": int(due), "changed": True}
