"""Closing a log by hand: an incident, or a log whose runs are over."""

from __future__ import annotations

from datetime import datetime

from tastyops.app.log_edits import NOTHING, Edit, Target, by_hand, sentence
from tastyops.errors import Locked, UsageError
from tastyops.journal.public_events import Closed, Entry, PublicBody, WorkStatus
from tastyops.records.document.build import (
    CANCELLED,
    COMPLETED,
    ENDED_WITHOUT,
    NOT_COMPLETED,
    Document,
)
from tastyops.records.logs import Copied, LogFile
from tastyops.records.runs import is_live

STATUSES = (COMPLETED, ENDED_WITHOUT, CANCELLED)


def close(target: Target, status: str | None, because: str | None, at: datetime) -> Edit:
    """The end of a log; without a ``status``, the one that its work items bear out.

    ``because`` closes a log whose work items are undecided or whose run never ended.
    """
    log, why = target.the_log(), sentence(because, "The reason") if because else ""

    def closing() -> list[Copied]:
        _runs_are_over(target, log, why)
        return _lines(log.document(), status, why, at)

    return Edit(log, closing, f"Closed {log.number}.")


def _runs_are_over(target: Target, log: LogFile, why: str) -> None:
    """Raises Locked while a run is live, UsageError for one that never ended, without a reason."""
    over = {event.body.run for event in log.events if isinstance(event.body, Closed)}
    for run in target.attached():
        if run.name in over:
            continue
        if is_live(run):
            raise Locked(
                f"The run {run.name} is live in the log {log.number}.",
                still_true=NOTHING, next_step="Wait for its end, or stop it.",
            )
        if not why:
            raise UsageError(
                f"The run {run.name} in the log {log.number} never ended: its process is gone.",
                still_true=NOTHING,
                next_step="Go on with it or cancel it; or close the log with --because WHY.",
            )


def _lines(document: Document, wanted: str | None, why: str, at: datetime) -> list[Copied]:
    if document.closed:
        raise UsageError(
            f"The log {document.number} is closed already ({document.status}).",
            still_true=NOTHING, next_step="Notes and corrections are still taken.",
        )
    undecided = [number for number, work in enumerate(document.works, 1) if work.open]
    if undecided and not why:
        raise UsageError(
            f"In {document.number} {_work_items(undecided)} not decided yet.",
            still_true=NOTHING,
            next_step="`invoke work complete` or `invoke work cancel`; or close the log with "
            "--because WHY.",
        )
    status = wanted or _status_of(document)
    _must_be_true(document, status, undecided)
    bodies: list[PublicBody] = [
        # a run may have begun its work item; one that a person added was never begun
        WorkStatus(number, NOT_COMPLETED if work.run else CANCELLED, why, by_hand=True)
        for number, work in enumerate(document.works, 1)
        if work.open and not work.status
    ]
    if why:
        bodies.append(Entry(f"Closed: {why}", remark=True))
    return [by_hand(body, at) for body in [*bodies, Closed(status)]]


def _work_items(numbers: list[int]) -> str:
    """``work item 2 is`` or ``work items 2, 3 are``."""
    if len(numbers) == 1:
        return f"work item {numbers[0]} is"
    return f"work items {', '.join(map(str, numbers))} are"


def _status_of(document: Document) -> str:
    """The status that the work items bear out."""
    if any(work.open for work in document.works):
        return ENDED_WITHOUT
    done = not document.works or any(work.status == COMPLETED for work in document.works)
    return COMPLETED if done else CANCELLED


def _must_be_true(document: Document, status: str, undecided: list[int]) -> None:
    """Raises UsageError for a status that the work items contradict."""
    if status == COMPLETED and undecided:
        raise UsageError(
            f"{document.number} is not completed: {_work_items(undecided)} not decided yet.",
            still_true=NOTHING,
            next_step="`invoke work complete` or `invoke work cancel` first.",
        )
    begun = [n for n, w in enumerate(document.works, 1) if w.status in (COMPLETED, NOT_COMPLETED)]
    if status == CANCELLED and begun:
        raise UsageError(
            f"{document.number} is not cancelled: {_work_items(begun)} begun or done.",
            still_true=NOTHING,
            next_step=f"Close it as '{ENDED_WITHOUT}'.",
        )

