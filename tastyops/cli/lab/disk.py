"""``lab.disk``: pull a disk from the lab machine, put one in, or boot from one alone."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from functools import partial

from tastyops.cli import project
from tastyops.cli.lab import common
from tastyops.errors import ExitCode, UsageError
from tastyops.lab import bays, lifecycle
from tastyops.lab.record import Record


def arguments(parser: ArgumentParser) -> None:
    """What ``lab.disk`` takes."""
    parser.add_argument(
        "what", metavar="WHAT", choices=("list", "pull", "insert", "alone"),
        help="list; pull (the machine may run); insert, a pulled one or a blank one of a new "
        "serial; alone: shut down and boot with no other disk",
    )
    parser.add_argument("serial", metavar="SERIAL", nargs="?", help="such as LAB-DISK-1")
    parser.add_argument("--size", metavar="S", default="", help="of a blank one: 4G, 500M (4G)")
    parser.add_argument(
        "--sector", metavar="B", type=int, default=512, choices=bays.SECTORS,
        help="bytes of a blank one's sectors: %(choices)s (%(default)s)",
    )


def perform(args: Namespace, *, dry: bool) -> int:
    """Does it; returns the exit code."""
    common.refuse_dry("lab.disk", dry=dry)
    made = common.the_lab()
    if args.what != "list":
        if not args.serial:
            raise UsageError(f"lab.disk {args.what} wants a disk's serial.")
        made = _done(args)
    for drive in made.drives:
        where = "in the machine" if drive.attached else "out"
        project.say(f"{drive.serial:20} {where}, {drive.path.name}, sectors of {drive.sector}")
    return int(ExitCode.COMPLETED)


def _done(args: Namespace) -> Record:
    if args.what == "alone":
        return lifecycle.alone(args.serial, project.say)
    if args.what == "pull":
        return lifecycle.changed(partial(bays.pull, serial=args.serial))
    return lifecycle.changed(
        partial(bays.insert, serial=args.serial, size=args.size, sector=args.sector)
    )
