"""``reboot``: restart the host and prove that it did."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.domain.boot.guards import guard
from tastyops.domain.boot.menu_start import chooser
from tastyops.domain.boot.out_of_band import attach
from tastyops.domain.boot.proof import Expectation, prove
from tastyops.domain.boot.schedule import cancel_own, schedule, wait_for_grace, work_out_order
from tastyops.domain.boot.snapshot import snapshot
from tastyops.errors import Refused, Stopped
from tastyops.model.action import DONE, Facts, Registered
from tastyops.model.commands import Steps


@dataclass(frozen=True, kw_only=True)
class Reboot:
    """The parameters of ``reboot``."""

    grace: float | None = param(
        "duration", "From the warning to the reboot, exact to the second; 1m without `at`", None
    )
    at: str | None = param("text", "A clock time instead, such as 23:55, in the log's zone", None)
    reminders: list[str] = param(
        "list", "How long before, to remind users with wall, such as 10m", ()
    )
    kernel: str | None = param("text", "The kernel release that the host must run afterwards", None)
    fallback: str | None = param(
        "text",
        "Refuse unless a kernel to fall back on has been seen running",
        None,
        ("previous",),
    )
    recover: str | None = param(
        "text", "What to do if the host does not come back", None, ("power-cycle",)
    )
    message: str = param(
        "text", "The message that wall shows to users", "The system goes down for a reboot."
    )
    patience: float = param("duration", "How long the host may take to come back", 600.0)


def _ending(registered: Registered) -> str:
    """Whose restart it was."""
    return "overtaken" if registered.get("ours") is False else DONE


@action(
    "reboot",
    scalar="grace",
    guarded=True,
    returns={
        "kernel": "version",
        "previous": "version",
        "down": "duration",
        "failed_before": "unit",
        "degraded_before": "device",
        "unmounted_before": "private",
        "failed": "unit",
        "state": "word",
        "reached": "word",
        "seen": "word",
        "recovered": "word",
        "ours": "flag",
    },
    sentence="Machine rebooted successfully, running kernel {{ kernel }}.",
    endings={
        "overtaken": "The machine was restarted before the time set, not by this run, and is up,"
        " running kernel {{ kernel }}."
    },
    ending=_ending,
)
def reboot(params: Reboot, facts: Facts) -> Steps:
    """Reboot with a warning and a grace period, and prove that the host came back as expected."""
    cycle = params.recover == "power-cycle"
    if cycle and not facts.power:
        raise Refused("`recover: power-cycle` needs a power switch (`power:` in the inventory)")
    before = yield from snapshot()
    other = yield from guard(
        before, facts, kernel=params.kernel, fallback=params.fallback is not None
    )
    due = yield from work_out_order("reboot", params.grace, params.at, params.reminders, facts)
    yield from attach(facts)
    try:
        yield from schedule(due, params.message, facts)
        yield from wait_for_grace(due)
    except Stopped:
        yield from cancel_own(due)
        raise
    choose = chooser(other, params.patience) if other and facts.console else None
    chosen = choose if params.fallback else None
    wanted = Expectation(params.kernel, params.patience, cycle, chosen, due.at - due.skew)
    return (yield from prove(before, wanted, facts))
