"""``work add``, ``work complete``, ``work cancel``: work items that no run carries out."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace

from tastyops.app import work_items
from tastyops.cli.log_verbs import log_argument, target_of, write
from tastyops.cli.options import filled


def arguments(parser: ArgumentParser) -> None:
    """What ``work`` takes: add, complete or cancel, and what that needs."""
    deeds = parser.add_subparsers(dest="deed", metavar="add|complete|cancel", required=True)
    add = deeds.add_parser(
        "add", help="add a work item", description="Add a work item to a log."
    )
    log_argument(add)
    add.add_argument("title", metavar="TITLE", type=filled)
    for deed, what in (("complete", "it is done"), ("cancel", "it will not be done")):
        decided = deeds.add_parser(
            deed, help=f"say that {what}", description=f"Say of a work item that {what}."
        )
        log_argument(decided)
        decided.add_argument(
            "number", metavar="N", type=_number, help="the work item, counted from 1"
        )
        decided.add_argument(
            "--because", metavar="WHY", type=filled, required=deed == "cancel",
            help="the reason, which is published",
        )


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and int(text) > 0):
        raise ArgumentTypeError(f"{text!r} is no number of a work item")
    return int(text)


def perform(args: Namespace, *, dry: bool) -> int:
    """Adds, completes or cancels the work item."""
    target = target_of(args)
    if args.deed == "add":
        return write(work_items.add(target, args.title), dry=dry)
    completed = args.deed == "complete"
    edit = work_items.decide(target, args.number, completed=completed, because=args.because)
    return write(edit, dry=dry)
