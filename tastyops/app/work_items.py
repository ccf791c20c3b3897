"""Work items of a log that no run carries out: added, completed or cancelled by a person."""

from __future__ import annotations

from tastyops.app.log_edits import NOTHING, Edit, Target, by_hand, sentence
from tastyops.errors import Locked, UsageError
from tastyops.journal.public_events import WorkAdded, WorkStatus
from tastyops.records.document.build import CANCELLED, COMPLETED, NOT_COMPLETED, Document
from tastyops.records.logs import Copied
from tastyops.records.runs import is_live


def add(target: Target, title: str) -> Edit:
    """Another work item at the end of the log's list."""
    log, at = target.the_log(), target.present()
    added = WorkAdded(sentence(title, "The title"))

    def adding() -> list[Copied]:
        _takes_work_items(log.document())
        return [by_hand(added, at)]

    number = len(log.document().works) + 1
    return Edit(log, adding, f"Work item {number} of {log.number}: {added.title}")


def decide(target: Target, number: int, *, completed: bool, because: str | None) -> Edit:
    """A work item completed or cancelled; ``because`` is published."""
    log, at = target.the_log(), target.present()
    status = COMPLETED if completed else CANCELLED
    why = sentence(because, "The reason") if because else ""
    decided = WorkStatus(number, status, why, by_hand=True)

    def deciding() -> list[Copied]:
        _may_decide(log.document(), decided, target)
        return [by_hand(decided, at)]

    return Edit(log, deciding, f"Work item {number} of {log.number}: {status}.")


def _takes_work_items(document: Document) -> None:
    if document.closed:
        raise UsageError(
            f"The log {document.number} is closed ({document.status}); its work items stay as "
            "they are.",
            still_true=NOTHING, next_step="Notes and corrections are still taken.",
        )


def _may_decide(document: Document, decided: WorkStatus, target: Target) -> None:
    """Raises UsageError where a person's word would contradict what was done; Locked if live."""
    _takes_work_items(document)
    number, count = decided.number, len(document.works)
    if not 1 <= number <= count:
        there = f"it has {count}" if count else "it has none"
        raise UsageError(
            f"The log {document.number} has no work item {number}; {there}.", still_true=NOTHING
        )
    work = document.works[number - 1]
    if work.run and (target.runs / work.run).is_dir() and is_live(target.runs / work.run):
        raise Locked(
            f"Work item {number} belongs to the run {work.run}, which is live and decides it.",
            still_true=NOTHING, next_step="Wait for the run's end, or stop it.",
        )
    if work.status == COMPLETED:
        raise UsageError(f"Work item {number} is completed already.", still_true=NOTHING)
    if work.status == NOT_COMPLETED and decided.status == CANCELLED:
        raise UsageError(
            f"Work item {number} was begun: {work.note}. A half-done work item is not cancelled.",
            still_true=NOTHING,
            next_step="`invoke work complete` once it is done, or `invoke close` the log without.",
        )
