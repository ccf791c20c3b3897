"""``shutdown``: power a host off or halt it, after a grace or at a clock time."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.domain.boot.guards import guard_host
from tastyops.domain.boot.moment import log_time
from tastyops.domain.boot.out_of_band import attach
from tastyops.domain.boot.schedule import cancel_own, schedule, wait_for_grace, work_out_order
from tastyops.domain.boot.staying_down import down
from tastyops.errors import Stopped
from tastyops.facts.system import BOOT_ID, HOSTNAME
from tastyops.model.action import Facts
from tastyops.model.commands import Probe, Steps


@dataclass(frozen=True, kw_only=True)
class Shutdown:
    """The parameters of ``shutdown``."""

    grace: float | None = param(
        "duration", "From the warning to the shutdown, exact to the second; 1m without `at`", None
    )
    at: str | None = param("text", "A clock time instead, such as 23:55; the step then ends", None)
    kind: str = param("text", "What to do", "poweroff", ("poweroff", "halt"))
    reminders: list[str] = param(
        "list", "How long before, to remind users with wall, such as 10m", ()
    )
    message: str = param("text", "The message that wall shows to users", "The system goes down.")
    patience: float = param("duration", "How long the power may stay on", 300.0)


@action(
    "shutdown",
    scalar="grace",
    guarded=True,
    returns={
        "kind": "word",
        "at": "time",
        "due": "count",
        "boot_id": "private",
        "reached": "word",
    },
    sentence="{% if at %}Delayed shutdown instruction given; the machine goes down at {{ at }}hrs."
    "{% elif reached == 'off' %}Machine shut down; its power is off."
    "{% else %}Machine shut down; it does not answer any more.{% endif %}",
)
def shutdown(params: Shutdown, facts: Facts) -> Steps:
    """Shut a host down after a grace period and check that it is down, or schedule a shutdown."""
    boot_id = yield Probe(*BOOT_ID)
    yield from guard_host(boot_id, (yield Probe(*HOSTNAME)), facts)
    due = yield from work_out_order(params.kind, params.grace, params.at, params.reminders, facts)
    yield from attach(facts)
    told = {"kind": params.kind, "at": None, "due": None, "boot_id": boot_id}
    try:
        yield from schedule(due, params.message, facts, tell=params.at is None)
        if params.at is not None:
            when = log_time(due.at, facts, due.asked)
            return told | {"at": when, "due": round(due.at), "reached": "scheduled"}
        yield from wait_for_grace(due)
    except Stopped:
        yield from cancel_own(due)
        raise
    reached = yield from down(boot_id, params.kind, params.patience, facts)
    return told | {"reached": reached}
