"""A scheduled shutdown of this run's own, noted once its host has been seen again."""

from __future__ import annotations

from tastyops.journal.events import Address, ShutdownExecuted
from tastyops.journal.scheduled_shutdowns import (
    Scheduled,
    scheduled,
    seen_since,
    sentence,
    taken_back,
)
from tastyops.journal.state import RunState
from tastyops.plan.moves import Append, Move
from tastyops.plan.plan import Plan


def executed(plan: Plan, state: RunState) -> list[Move]:
    """The notes that are due."""
    if not plan.shutdowns:
        return []
    label = len(plan.hosts) > 1
    return [
        Append(
            Address(one.host, one.step),
            ShutdownExecuted(one.due, _labelled(one, state, label=label)),
        )
        for one in scheduled(state)
        if (one.host, one.step) not in state.executed
        and seen_since(state, one)
        and not taken_back(state, one)
    ]


def _labelled(one: Scheduled, state: RunState, *, label: bool) -> str:
    said = sentence(state, one)
    return f"{one.host}: {said}" if label else said
