"""Shutdowns that steps still under way have scheduled, as their journals tell it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from tastyops.journal.connection_events import another_boot
from tastyops.journal.envelope import NOT_AN_EVENT
from tastyops.journal.state import Lane, RunState
from tastyops.model.commands import Output
from tastyops.model.outcome import Outcome

SCHEDULE, CANCEL = "ScheduleShutdown", "CancelScheduledShutdown"
"""The methods of logind's manager (org.freedesktop.login1(5))."""


def scheduled(state: RunState) -> list[dict[str, str]]:
    """Those that were taken and neither taken back nor happened, as far as the run knows.

    Each has ``host``, ``step``, ``what`` (reboot, poweroff, halt) and ``at``, in UTC.
    """
    return [
        {"host": host, "step": step, "what": what, "at": at}
        for (host, step), lane in state.lanes.items()
        if lane.ended is None or lane.ended.outcome != Outcome.DONE.value
        for what, at, boot_id in _last(lane)
        if host not in state.connected or not another_boot(state.connected[host].boot_id, boot_id)
    ]


def _last(lane: Lane) -> Iterator[tuple[str, str, str]]:
    found: tuple[str, str, str] | None = None
    for _, past in sorted(lane.history.items()):
        words = [str(word) for word in past.command.get("change", ())]
        if not isinstance(past.value, Output) or not past.value.ok:
            continue
        if CANCEL in words:
            found = None
        elif SCHEDULE in words:
            try:
                what, moment = words[words.index(SCHEDULE) + 2 :][:2]
                at = datetime.fromtimestamp(int(moment) / 1_000_000, UTC)
            except NOT_AN_EVENT:
                continue
            found = what, f"{at:%Y-%m-%dT%H:%M:%SZ}", past.boot_id
    if found is not None:
        yield found
