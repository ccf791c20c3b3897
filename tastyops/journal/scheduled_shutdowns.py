"""Shutdowns a run has scheduled: which are still to come, taken back, or carried out."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from tastyops.journal.connection_events import another_boot
from tastyops.journal.state import RunState

EXECUTED = "The machine shut down at the time set."
"""What the log says once the host has been seen again, at the time it was due."""


NOT_EXECUTED = "Scheduled shutdown not carried out: the machine had been restarted before its time."
"""What it says instead where the boot that is met began before that time."""

EARLY = 60.0
"""Seconds by which a boot may seem to begin before the shutdown it follows: clocks may be so far
apart where a shutdown is scheduled.
"""


class Scheduled(Struct, frozen=True):
    """One that a step scheduled on a host: reboot, poweroff, halt; ``due`` in epoch seconds."""

    run: str
    host: str
    step: str
    kind: str
    due: int
    boot_id: str


def scheduled(state: RunState) -> list[Scheduled]:
    """All that steps of this run scheduled for a clock time, whatever became of them."""
    found = []
    for (host, step), lane in state.lanes.items():
        told = lane.ended.registered if lane.ended is not None else {}
        if told.get("reached") == "scheduled" and isinstance(told.get("due"), int):
            kind, boot_id = str(told.get("kind", "")), str(told.get("boot_id", ""))
            found.append(Scheduled(state.run, host, step, kind, told["due"], boot_id))
    return found


def seen_since(state: RunState, one: Scheduled) -> bool:
    """Whether this run met the host after the time, on another boot than it was scheduled on."""
    met = state.connected.get(one.host)
    if met is None or not another_boot(met.boot_id, one.boot_id) or state.last_at is None:
        return False
    return state.last_at.timestamp() >= one.due


def sentence(state: RunState, one: Scheduled) -> str:
    """What became of it, by the boot in which this run met the host afterwards.

    logind keeps what is scheduled in memory: a restart by somebody else before its time loses it.
    """
    met = state.connected.get(one.host)
    lost = met is not None and 0.0 < met.booted < one.due - EARLY
    return NOT_EXECUTED if lost else EXECUTED


def taken_back(state: RunState, one: Scheduled) -> bool:
    """Whether a step of this run took it back."""
    return any(
        host == one.host and lane.ended is not None and lane.ended.registered.get("cancelled")
        == one.due
        for (host, _), lane in state.lanes.items()
    )  # fmt: skip


def still_to_come(states: Iterable[RunState]) -> list[Scheduled]:
    """Those of all these runs that no run has taken back and whose host none has met since."""
    every = list(states)
    return [
        one
        for state in every
        for one in scheduled(state)
        if not any(seen_since(other, one) or taken_back(other, one) for other in every)
    ]
