"""``work add``, ``work complete``, ``work cancel``: the works of a log that no run carries out."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace

from tastyops.cli import project, writing
from tastyops.errors import Locked, UsageError
from tastyops.journal.public_events import WorkAdded, WorkStatus
from tastyops.records.document.build import CANCELLED, COMPLETED, NOT_COMPLETED, Document
from tastyops.records.logs import Copied
from tastyops.records.runs import is_live


def arguments(parser: ArgumentParser) -> None:
    """What ``work`` takes: what to do, and then what that needs."""
    deeds = parser.add_subparsers(dest="deed", metavar="add|complete|cancel", required=True)
    add = deeds.add_parser("add", help="one more work", description="Adds a work to a log.")
    writing.log_argument(add)
    add.add_argument("title", metavar="TITLE", type=project.filled)
    for deed, what in (("complete", "it is done"), ("cancel", "it will not be done")):
        decided = deeds.add_parser(deed, help=what, description=f"Says of a work that {what}.")
        writing.log_argument(decided)
        decided.add_argument("number", metavar="N", type=_number, help="the work, counted from 1")
        decided.add_argument(
            "--because", metavar="WHY", type=project.filled, required=deed == "cancel",
            help="the reason, which is published",
        )


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and int(text) > 0):
        raise ArgumentTypeError(f"{text!r} is no number of a work")
    return int(text)


def perform(args: Namespace, *, dry: bool) -> int:
    """Adds, completes or cancels."""
    target = writing.find_log(args)
    log, at = target.the_log(), target.present()
    if args.deed == "add":
        added = WorkAdded(writing.sentence(args.title, "The title"))

        def adding() -> list[Copied]:
            _takes_works(log.document())
            return [writing.by_hand(added, at)]

        number = len(log.document().works) + 1
        return writing.write(
            log, adding, dry=dry, done=f"Work {number} of {log.number}: {added.title}"
        )
    status = COMPLETED if args.deed == "complete" else CANCELLED
    why = writing.sentence(args.because, "The reason") if args.because else ""
    decided = WorkStatus(args.number, status, why, by_hand=True)

    def deciding() -> list[Copied]:
        _may_decide(log.document(), decided, target)
        return [writing.by_hand(decided, at)]

    return writing.write(
        log, deciding, dry=dry, done=f"Work {args.number} of {log.number}: {status}."
    )


def _takes_works(document: Document) -> None:
    if document.closed:
        raise UsageError(
            f"The log {document.number} is closed ({document.status}); its works stay as they are.",
            still_true=writing.NOTHING, next_step="Notes and corrections are still taken.",
        )


def _may_decide(document: Document, decided: WorkStatus, target: writing.Target) -> None:
    """Raises UsageError where a person's word would contradict what was done; Locked if live."""
    _takes_works(document)
    count = len(document.works)
    if not 1 <= decided.number <= count:
        there = f"it has {count}" if count else "it has none"
        raise UsageError(
            f"The log {document.number} has no work {decided.number}; {there}.",
            still_true=writing.NOTHING,
        )
    work = document.works[decided.number - 1]
    if work.run and (target.runs / work.run).is_dir() and is_live(target.runs / work.run):
        raise Locked(
            f"Work {decided.number} belongs to the run {work.run}, which is live and decides it.",
            still_true=writing.NOTHING, next_step="Wait for the run's end, or stop it.",
        )
    if work.status == COMPLETED:
        raise UsageError(
            f"Work {decided.number} is completed already.", still_true=writing.NOTHING
        )
    if work.status == NOT_COMPLETED and decided.status == CANCELLED:
        raise UsageError(
            f"Work {decided.number} was begun: {work.note}. A half-done work is not cancelled.",
            still_true=writing.NOTHING,
            next_step="`invoke work complete` once it is done, or `invoke close` the log without.",
        )
