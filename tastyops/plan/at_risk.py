"""The at-risk period: no step begins before it, and none after it without a person's word.

What has begun goes on, and what is done when things went wrong (``on_failure``, ``undo``,
``rescue``) is never held up.
"""

from __future__ import annotations

from datetime import datetime

from tastyops.journal.envelope import unstamp
from tastyops.journal.events import (
    Address,
    Asked,
    Body,
    Decided,
    WindowBegan,
    WindowEnded,
    question_digest,
)
from tastyops.journal.state import RunState
from tastyops.model.runbook import Step
from tastyops.plan.log_sentences import step_label
from tastyops.plan.moves import Append, AwaitWindow, Move, Parked
from tastyops.plan.plan import lane_names
from tastyops.plan.snapshot import Snapshot

GO_ON, CANCEL = "go-on", "cancel"
CHOICES = (GO_ON, CANCEL)
OVER = "the at-risk period was over"
"""The public reason of what was left out for it."""

_ENTRIES = {
    GO_ON: "The works go on past the end of the at-risk period.",
    CANCEL: "No further works are begun: the at-risk period is over.",
}
ENDED = "The at-risk period is over; the works are not finished."

LONGEST_PAUSE = 60.0
"""Seconds between two looks at the clock while a period is waited for: it may be set meanwhile."""

NOBODY = ("", "")
"""The lane that waits for the period to begin."""


def moves(now: Snapshot, step: Step) -> list[Move] | None:
    """What is to be done before a step may begin, on no host of which it has; None if it may."""
    state, window = now.state, now.state.window
    if any(state.lane(host, step.id).question for host in now.plan.lanes[step.id]):
        return None  # it asks a question of its own, and may begin once that is answered
    if not window.on:
        return [] if NOBODY in now.busy else [AwaitWindow(Address())]
    if not window.over or window.word == GO_ON:
        return None
    at = Address(step=step.id, attempt=state.decisions + 1)
    asked = window.asked.get(step.id)
    if asked is None:
        return [Append(at, _question(now, step))]
    if not asked.answer:
        return [] if ("", step.id) in now.busy else [Parked(at, asked.asked)]
    answer = asked.answer if asked.answer in CHOICES else CANCEL
    return [Append(at, Decided(answer, _ENTRIES[answer]))]


def _question(now: Snapshot, step: Step) -> Asked:
    names = lane_names(now.plan, now.state, now.plan.lanes[step.id][0], step)
    text = f"The at-risk period is over. Go on with {step_label(step, names)} and what follows it?"
    mark = question_digest("window", step.id, now.state.window.ends)
    return Asked(mark, "window", text, choices=list(CHOICES))


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
