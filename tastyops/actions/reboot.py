"""``reboot``: restart the host and prove that it did."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.commands import Steps
from tastyops.errors import Stopped
from tastyops.model.action import Facts
from tastyops.reboot.guard import guard
from tastyops.reboot.schedule import grace, schedule, unschedule
from tastyops.reboot.snapshot import snapshot
from tastyops.reboot.verify import verify
from tastyops.reboot.waiting import wait


@dataclass(frozen=True, kw_only=True)
class Reboot:
    """When, into what, and how long it may take."""

    grace: float = param("duration", "From the warning to the reboot, exact to the second", 60.0)
    kernel: str | None = param("text", "The kernel release it must come back with", None)
    fallback: str | None = param(
        "text",
        "Refuse unless there is a kernel to fall back on that has been seen running",
        None,
        ("previous",),
    )
    message: str = param("text", "What wall tells the users", "The system goes down for a reboot.")
    patience: float = param("duration", "How long it may take to come back", 600.0)


@action(
    "reboot",
    scalar="grace",
    guarded=True,
    returns={
        "kernel": "version",
        "previous": "version",
        "down": "duration",
        "failed_before": "unit",
        "failed": "unit",
        "state": "word",
    },
    sentence="Machine rebooted successfully, running kernel {{ kernel }}.",
)
def reboot(params: Reboot, facts: Facts) -> Steps:
    """Reboot with a warning and a grace period, and prove that the host came back as expected."""
    before = yield from snapshot()
    yield from guard(before, facts, kernel=params.kernel, fallback=params.fallback is not None)
    try:
        due = yield from schedule(params.grace, params.message)
        yield from grace(due)
    except Stopped:
        yield from unschedule()
        raise
    down = yield from wait(before, params.patience)
    return (yield from verify(before, params.kernel, params.patience, down))
