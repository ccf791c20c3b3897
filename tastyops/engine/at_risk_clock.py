"""The clock's part in the at-risk period: that it began or ended becomes an event."""

from __future__ import annotations

from datetime import datetime

from tastyops.journal.envelope import unstamp
from tastyops.journal.events import Body, WindowBegan, WindowEnded
from tastyops.journal.state import RunState

ENDED = "The at-risk period is over; the works are not finished."

LONGEST_PAUSE = 60.0
"""Seconds between two looks at the clock while a period is waited for: it may be set meanwhile."""


def passed(state: RunState, now: datetime) -> Body | None:
    """What the clock has passed and the journal does not know yet."""
    window = state.window
    if not window.ends or state.closed is not None:
        return None
    if not window.on and now >= unstamp(window.begins):
        return WindowBegan()
    if window.on and not window.over and now >= unstamp(window.ends):
        return WindowEnded(ENDED)
    return None


def pause(state: RunState, now: datetime) -> float:
    """Seconds to wait until the period begins, or until the next look."""
    left = (unstamp(state.window.begins) - now).total_seconds()
    return min(max(left, 0.0), LONGEST_PAUSE)
