"""``close``: the end of an incident, or of a log whose runs are over."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from datetime import datetime

from tastyops.cli import project, writing
from tastyops.errors import Locked, UsageError, did_you_mean
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


def arguments(parser: ArgumentParser) -> None:
    """What ``close`` takes."""
    writing.log_argument(parser)
    parser.add_argument(
        "--status", metavar="WORDS", type=_status,
        help=f"one of: {', '.join(STATUSES)} (default: what the works say)",
    )
    parser.add_argument(
        "--because", metavar="WHY", type=project.filled,
        help="why, though works are undecided or a run has not ended; it is published",
    )
    writing.at_argument(parser)


def _status(text: str) -> str:
    plain = " ".join(text.replace("-", " ").split()).lower()
    for status in STATUSES:
        if plain == status.lower():
            return status
    hint = did_you_mean(plain, STATUSES) or f"there are: {', '.join(STATUSES)}"
    raise ArgumentTypeError(f"{text!r} is no status ({hint})")


def perform(args: Namespace, *, dry: bool) -> int:
    """Closes the log."""
    target = writing.find_log(args)
    log, at = target.the_log(), writing.moment(args, target)
    why = writing.sentence(args.because, "The reason") if args.because else ""

    def closing() -> list[Copied]:
        _runs_are_over(target, log, why)
        return _lines(log.document(), args.status, why, at)

    return writing.write(log, closing, dry=dry, done=f"Closed {log.number}.")


def _runs_are_over(target: writing.Target, log: LogFile, why: str) -> None:
    """Raises Locked while a run is live, UsageError for one that never ended, without a reason."""
    over = {event.body.run for event in log.events if isinstance(event.body, Closed)}
    for run in target.attached():
        if run.name in over:
            continue
        if is_live(run):
            raise Locked(
                f"The run {run.name} is live in the log {log.number}.",
                still_true=writing.NOTHING, next_step="Wait for its end, or stop it.",
            )
        if not why:
            raise UsageError(
                f"The run {run.name} in the log {log.number} never ended: its process is gone.",
                still_true=writing.NOTHING,
                next_step="Go on with it or cancel it; or close the log with --because WHY.",
            )


def _lines(document: Document, wanted: str | None, why: str, at: datetime) -> list[Copied]:
    if document.closed:
        raise UsageError(
            f"The log {document.number} is closed already ({document.status}).",
            still_true=writing.NOTHING, next_step="Notes and corrections are still taken.",
        )
    undecided = [number for number, work in enumerate(document.works, 1) if work.open]
    if undecided and not why:
        raise UsageError(
            f"In {document.number} {_works(undecided)} not decided yet.",
            still_true=writing.NOTHING,
            next_step="`invoke work complete` or `invoke work cancel`; or close the log with "
            "--because WHY.",
        )
    status = wanted or _status_of(document)
    _must_be_true(document, status, undecided)
    bodies: list[PublicBody] = [
        # a run may have begun its work; one that a person added was never begun
        WorkStatus(number, NOT_COMPLETED if work.run else CANCELLED, why, by_hand=True)
        for number, work in enumerate(document.works, 1)
        if work.open and not work.status
    ]
    if why:
        bodies.append(Entry(f"Closed: {why}", remark=True))
    return [writing.by_hand(body, at) for body in [*bodies, Closed(status)]]


def _works(numbers: list[int]) -> str:
    """``work 2 is`` or ``works 2, 3 are``."""
    if len(numbers) == 1:
        return f"work {numbers[0]} is"
    return f"works {', '.join(map(str, numbers))} are"


def _status_of(document: Document) -> str:
    """The words that the works bear out."""
    if any(work.open for work in document.works):
        return ENDED_WITHOUT
    done = not document.works or any(work.status == COMPLETED for work in document.works)
    return COMPLETED if done else CANCELLED


def _must_be_true(document: Document, status: str, undecided: list[int]) -> None:
    """Raises UsageError for words that the works belie."""
    if status == COMPLETED and undecided:
        raise UsageError(
            f"{document.number} is not completed: {_works(undecided)} not decided yet.",
            still_true=writing.NOTHING,
            next_step="`invoke work complete` or `invoke work cancel` first.",
        )
    begun = [n for n, w in enumerate(document.works, 1) if w.status in (COMPLETED, NOT_COMPLETED)]
    if status == CANCELLED and begun:
        raise UsageError(
            f"{document.number} is not cancelled: {_works(begun)} begun or done.",
            still_true=writing.NOTHING,
            next_step=f"Close it as '{ENDED_WITHOUT}'.",
        )
