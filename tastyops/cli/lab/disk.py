"""``lab.disk``: pull a disk from the lab machine, insert one, or boot from one alone."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.app import lab
from tastyops.cli.lab import common
from tastyops.errors import ExitCode, UsageError
from tastyops.ui.messages import say


def arguments(parser: ArgumentParser) -> None:
    """What ``lab.disk`` takes."""
    parser.add_argument(
        "what", metavar="WHAT", choices=("list", "pull", "insert", "alone"),
        help="list; pull, even while the machine runs; insert a pulled disk, or a blank one with a "
        "new serial; alone: shut down and boot with no other disk",
    )
    parser.add_argument("serial", metavar="SERIAL", nargs="?", help="such as LAB-DISK-1")
    parser.add_argument("--size", metavar="S", default="", help="of a blank disk: 4G, 500M (4G)")
    parser.add_argument(
        "--sector", metavar="B", type=int, default=512, choices=lab.SECTORS,
        help="bytes of a blank disk's sectors: %(choices)s (%(default)s)",
    )


def perform(args: Namespace, *, dry: bool) -> int:
    """Changes the disks and lists them; returns the exit code."""
    common.refuse_dry("lab.disk", dry=dry)
    if args.what != "list":
        if not args.serial:
            raise UsageError(f"lab.disk {args.what} needs a disk's serial.")
        lab.change_disk(args.what, args.serial, size=args.size, sector=args.sector, say=say)
    for line in lab.disk_lines():
        say(line)
    return int(ExitCode.COMPLETED)
