"""``lab.reset``: a newly built lab machine, whatever was done to the one before."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.app import lab
from tastyops.cli.lab import common
from tastyops.errors import ExitCode
from tastyops.ui.messages import say


def arguments(parser: ArgumentParser) -> None:
    """What ``lab.reset`` takes."""
    common.start_arguments(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Stops the lab and starts it anew; returns the exit code."""
    common.refuse_dry("lab.reset", dry=dry)
    lab.reset(say, cold=args.cold, install=args.install)
    return int(ExitCode.COMPLETED)
