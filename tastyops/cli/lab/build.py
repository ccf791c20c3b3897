"""``lab.build``: build the lab machine's disks, unless they are in the cache."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.app import lab
from tastyops.cli.lab import common
from tastyops.errors import ExitCode
from tastyops.ui.messages import say


def arguments(parser: ArgumentParser) -> None:
    """What ``lab.build`` takes."""
    common.install_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Builds; returns the exit code."""
    common.refuse_dry("lab.build", dry=dry)
    lab.build(say, install=args.install)
    return int(ExitCode.COMPLETED)
