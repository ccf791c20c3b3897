"""``lab.reset``: a pristine lab, whatever was done to the one before."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.cli import project
from tastyops.cli.lab import common
from tastyops.errors import ExitCode
from tastyops.lab import lifecycle


def arguments(parser: ArgumentParser) -> None:
    """What ``lab.reset`` takes."""
    common.install_argument(parser)
    parser.add_argument("--cold", action="store_true", help="boot it instead of restoring it")


def perform(args: Namespace, *, dry: bool) -> int:
    """Ends the lab and starts it afresh; returns the exit code."""
    common.refuse_dry("lab.reset", dry=dry)
    common.see_to_needs(args)
    common.introduce(lifecycle.reset(project.say, cold=args.cold))
    return int(ExitCode.COMPLETED)
