"""``incident``: open a log for something that happened, before there is any runbook for it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.app.incident import open_incident
from tastyops.cli.chosen_records import load_records
from tastyops.cli.options import filled, inventory_argument
from tastyops.errors import ExitCode
from tastyops.ui.messages import say


def arguments(parser: ArgumentParser) -> None:
    """What ``incident`` takes."""
    parser.add_argument("title", metavar="TITLE", type=filled, help="what is the matter")
    parser.add_argument(
        "--host", action="append", default=[], metavar="H", type=filled,
        help="a host the incident is about; repeatable",
    )
    parser.add_argument(
        "--summary", action="append", default=[], metavar="TEXT", type=filled,
        help="a sentence for the head of the log; repeatable",
    )
    parser.add_argument(
        "--attending", metavar="A,B", type=filled, help="who attends (default: you)"
    )
    inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Prints the log's number on standard output, and where the log is on standard error."""
    log = open_incident(
        load_records(args), args.title, hosts=args.host, summary=args.summary,
        attends=args.attending, dry=dry,
    )
    if log is None:
        say("Dry run, nothing was written. A log would be opened.")
        return int(ExitCode.COMPLETED)
    document = log.document()
    print(document.number)  # noqa: T201
    say(f"{document.tag} {document.title}: {document.status}.\nLog: {log.page}")
    return int(ExitCode.COMPLETED)
