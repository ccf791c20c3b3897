"""Which run events the log learns of, and as what: the allow-list between the two journals."""

from __future__ import annotations

from tastyops.journal.events import (
    Decided,
    Event,
    Joined,
    Noted,
    Reported,
    RunClosed,
    RunOpened,
    StepEnded,
    WorkEnded,
)
from tastyops.journal.public import (
    Attends,
    Closed,
    Entry,
    PublicBody,
    RunAttached,
    WorkStatus,
)


def public_bodies(event: Event) -> list[PublicBody]:
    """What the log learns from a run event; nothing, for most."""
    match event.body:
        case RunOpened():
            return [RunAttached(event.run)]
        case StepEnded(entry=str(text)) | Reported(entry=str(text)) | Decided(entry=str(text)):
            return [Entry(text)]
        case Noted(text=text, public=True):
            return [Entry(text, remark=True)]
        case WorkEnded(number=number, status=status, why=why):
            return [WorkStatus(number, status, why)]
        case Joined(name=name):
            return [Attends(name)]
        case RunClosed(status=status):
            return [Closed(status, event.run, event.seq, event.hash)]
        case _:
            return []
