"""``lab.up``: start the lab machine, restored from its snapshot; built first if necessary."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.app import lab
from tastyops.cli.lab import common
from tastyops.errors import ExitCode
from tastyops.ui.messages import say


def arguments(parser: ArgumentParser) -> None:
    """What ``lab.up`` takes."""
    common.start_arguments(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Starts the lab, or finds it running; returns the exit code."""
    common.refuse_dry("lab.up", dry=dry)
    lab.start(say, cold=args.cold, install=args.install)
    return int(ExitCode.COMPLETED)
