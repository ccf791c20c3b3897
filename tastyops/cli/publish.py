"""``publish``: the public site, made from the logs."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.app.publish import publish
from tastyops.cli.chosen_records import load_records
from tastyops.cli.options import filled_path, inventory_argument
from tastyops.errors import ExitCode
from tastyops.ui.messages import say, tell


def arguments(parser: ArgumentParser) -> None:
    """What ``publish`` takes."""
    inventory_argument(parser)
    parser.add_argument(
        "--site",
        metavar="DIR",
        type=filled_path,
        help="the site's directory (default: the inventory's `publish: {site: …}`, else `site`)",
    )
    parser.add_argument(
        "--practice",
        action="store_true",
        help="make a site of practice logs; every page says PRACTICE",
    )


def perform(args: Namespace, *, dry: bool) -> int:
    """Builds the site and says what was written."""
    records = load_records(args)
    if dry:
        tell(f"Would publish the logs in {records.book(practice=args.practice).directory}.")
        return int(ExitCode.COMPLETED)
    built = publish(records, args.site, practice=args.practice)
    for fault in built.faults:
        say(fault)
    count = len(built.written)
    change = f"{count} file(s) written" if count else "nothing has changed"
    tell(f"{built.logs} log(s) published; {change}.")
    return int(ExitCode.FAILED if built.faults else ExitCode.COMPLETED)
