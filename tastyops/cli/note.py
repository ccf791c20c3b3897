"""``note``: an operator's remark, into a live run or a record that is closed."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.app.notes import Remark, add_note
from tastyops.cli.chosen_records import load_records
from tastyops.cli.log_verbs import at_argument, chooser
from tastyops.cli.options import filled, inventory_argument
from tastyops.errors import ExitCode


def arguments(parser: ArgumentParser) -> None:
    """What ``note`` takes."""
    parser.add_argument("text", metavar="TEXT", type=filled, help="what happened")
    at_argument(parser)
    parser.add_argument(
        "--run", metavar="R", type=filled,
        help="a run's id or its beginning, `last`, or a log's number (default: the live run, else"
        " the last)",
    )
    parser.add_argument(
        "--private", action="store_true", help="into the private record, never into the log"
    )
    inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Writes the note where it belongs and says where that was."""
    remark = Remark(args.text, args.private, args.at, args.run, chooser(), dry)
    print(add_note(load_records(args), remark))  # noqa: T201
    return int(ExitCode.COMPLETED)
