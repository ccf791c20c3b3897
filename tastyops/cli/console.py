"""``console``: attach to a host's console; its output is kept."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from tastyops.app.console_session import console_session
from tastyops.cli.chosen_records import load_records
from tastyops.cli.options import filled, inventory_argument
from tastyops.errors import ExitCode, UsageError
from tastyops.ui.console_join import join, shown_on
from tastyops.ui.messages import say, tell


def arguments(parser: ArgumentParser) -> None:
    """What ``console`` takes."""
    parser.add_argument("host", metavar="HOST", type=filled, help="a host of the inventory")
    parser.add_argument(
        "--take", action="store_true", help="end the session of whoever has the console"
    )
    inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Attaches the console and joins it to this terminal until Ctrl-]."""
    records = load_records(args)
    inventory = records.inventory
    if args.host in inventory.groups:
        raise UsageError(f"{args.host} is a group; a console belongs to one host.")
    (host,) = inventory.select([args.host])
    if dry:
        tell(f"Dry run, nothing was attached. It would be {host.name}'s console.")
        return int(ExitCode.COMPLETED)
    show = shown_on(sys.stdout.fileno())
    with console_session(host, records, show, take=args.take) as session:
        say(f"{host.name}'s console ({session.console.how}). Ctrl-] leaves.")
        lost = join(session.console)
    say(f"\r\nLeft {host.name}'s console. Its output is in {session.record}.")
    if lost:
        say(f"The console was cut off: {lost}.")
    return int(ExitCode.UNREACHABLE if lost else ExitCode.COMPLETED)
