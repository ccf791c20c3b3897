"""``incident``: open a log for something that happened, before there is any runbook for it."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime

from tastyops.cli import project, writing
from tastyops.errors import ExitCode
from tastyops.model.inventory import Inventory
from tastyops.records.logs import LogHead
from tastyops.redact import Masker


def arguments(parser: ArgumentParser) -> None:
    """What ``incident`` takes."""
    parser.add_argument("title", metavar="TITLE", type=project.filled, help="what is the matter")
    parser.add_argument(
        "--host", action="append", default=[], metavar="H", type=project.filled,
        help="a host it is about; repeatable",
    )
    parser.add_argument(
        "--summary", action="append", default=[], metavar="TEXT", type=project.filled,
        help="a sentence for the head of the log; repeatable",
    )
    parser.add_argument(
        "--attending", metavar="A,B", type=project.filled, help="who attends (default: you)"
    )
    project.inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Takes a number and prints it on standard output; where the log lies, on standard error."""
    inventory = project.load_inventory(args.inventory)
    hosts = [host.name for host in inventory.select(args.host)] if args.host else []
    practice = _is_practice(inventory, hosts)
    head = LogHead(
        "incident", writing.sentence(args.title, "The title"), inventory.timezone, practice,
        [writing.sentence(text, "A summary") for text in args.summary], (),
        project.attending(args.attending, inventory), by_hand=True, hosts=hosts,
    )
    book = project.log_book(inventory, args.logs, practice=practice)
    runs = project.runs_directory(inventory, args.runs, practice=practice)
    project.keep_apart(runs, book.directory)
    if dry:
        print("A log would be opened, and is not, for this is a dry run.", file=sys.stderr)  # noqa: T201
        return int(ExitCode.COMPLETED)
    log = book.open(head, datetime.now(UTC), Masker(), project.operator())
    document = log.document()
    print(document.number)  # noqa: T201
    project.say(f"{document.tag} {document.title}: {document.status}.\nLog: {log.page}")
    return int(ExitCode.COMPLETED)


def _is_practice(inventory: Inventory, hosts: list[str]) -> bool:
    """Practice, if a host it is about is; if none is named, where there are no other hosts."""
    chosen = [inventory.hosts[name] for name in hosts] or list(inventory.hosts.values())
    flags = [host.practice or host.connection == "practice" for host in chosen]
    return any(flags) if hosts else all(flags)
