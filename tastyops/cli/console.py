"""``console``: a host's console, here; what it says is kept."""

from __future__ import annotations

import contextlib
import sys
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime

from tastyops.cli import places, project
from tastyops.cli.devices import device_passwords
from tastyops.cli.secrets import Secrets
from tastyops.errors import ExitCode, JournalUnwritable, TastyopsError, UsageError
from tastyops.records.console_records import ConsoleFile
from tastyops.ui.console_join import join, shown_on


def arguments(parser: ArgumentParser) -> None:
    """What ``console`` takes."""
    parser.add_argument(
        "host", metavar="HOST", type=project.filled, help="a host of the inventory"
    )
    parser.add_argument(
        "--take", action="store_true", help="end the session of whoever has it"
    )
    project.inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Attaches it and joins it to this terminal until Ctrl-]."""
    inventory = project.load_inventory(args.inventory)
    if args.host in inventory.groups:
        raise UsageError(f"{args.host} is a group; a console belongs to one host.")
    (host,) = inventory.select([args.host])
    if dry:
        print(f"Would attach {host.name}'s console.")  # noqa: T201
        return int(ExitCode.COMPLETED)
    hidden = Secrets(devices=device_passwords([host]))
    runs = project.runs_directory(inventory, args.runs, practice=host.practice)
    show = shown_on(sys.stdout.fileno())
    with contextlib.ExitStack() as stack:
        place = places.enter(stack, [host], hidden)
        way = host.console.named if host.console else "the practice host's own"
        record = ConsoleFile(runs, host.name, project.operator(), way, datetime.now(UTC))
        stack.callback(record.close)

        def heard(data: bytes) -> None:
            show(data)
            with contextlib.suppress(JournalUnwritable):  # a full disk takes no console away
                record.heard(data)

        try:
            console = place.ways.console(host, heard=heard, take=args.take)
        except TastyopsError:
            record.path.unlink(missing_ok=True)  # there was no session
            raise
        stack.callback(console.close)
        _say(f"{host.name}'s console ({console.how}). Ctrl-] leaves.")
        lost = join(console)
    _say(f"\r\nLeft {host.name}'s console. What it said is in {record.path}.")
    if lost:
        _say(f"It was cut off: {lost}.")
    return int(ExitCode.UNREACHABLE if lost else ExitCode.COMPLETED)


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201
