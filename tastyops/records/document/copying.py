"""Which run events the log learns of, and as what: the allow-list between the two journals."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

from tastyops.journal.connection_events import Connected
from tastyops.journal.envelope import Event, unstamp
from tastyops.journal.events import (
    Answered,
    Decided,
    Joined,
    Noted,
    Reported,
    RunClosed,
    RunOpened,
    ShutdownExecuted,
    StepEnded,
    WindowEnded,
    WindowSet,
    WorkEnded,
)
from tastyops.journal.public_events import (
    Attends,
    Closed,
    Entry,
    PublicBody,
    RiskPeriod,
    RunAttached,
    WorkStatus,
)


def public_bodies(event: Event, works_before: int = 0) -> list[PublicBody]:
    """What the log learns from a run event; nothing, for most.

    ``works_before``: how many works the log had before the run's own were added to it.
    """
    match event.body:
        case RunOpened():
            return [RunAttached(event.run, works_before)]
        case StepEnded(entry=str(text)) | Reported(entry=str(text)) | Decided(entry=str(text)):
            return [Entry(text)]
        case Answered(entry=str(text)) | Connected(entry=str(text)):
            return [Entry(text)]
        case WindowSet(ends=ends, begins=begins, entry=entry):
            return [RiskPeriod(ends, begins), *([Entry(entry)] if entry else [])]
        case WindowEnded(entry=str(text)):
            return [Entry(text)]
        case Noted(text=text, public=True) | ShutdownExecuted(entry=text):
            return [Entry(text, remark=True)]
        case WorkEnded(number=number, status=status, why=why):
            return [WorkStatus(works_before + number, status, why)]
        case Joined(name=name):
            return [Attends(name)]
        case RunClosed(status=status):
            return [Closed(status, event.run, event.seq, event.hash)]
        case _:
            return []


def moment_of(event: Event) -> datetime:
    """The moment its entry stands at: a note may speak of one before it was said, and so does
    what a host is found to have done meanwhile.
    """
    if isinstance(event.body, Noted) and event.body.at:
        with contextlib.suppress(ValueError):  # handed in by who knows what; then it is as said
            return unstamp(event.body.at)
    if isinstance(event.body, ShutdownExecuted):
        return datetime.fromtimestamp(event.body.due, UTC)
    return event.happened_at


def written_by(event: Event) -> str:
    """Who wrote its entry by hand; empty for what the machine says."""
    return event.who if isinstance(event.body, Noted) else ""
