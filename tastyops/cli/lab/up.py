"""``lab.up``: a running lab, restored from its snapshot; built first where need be."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.cli import project
from tastyops.cli.lab import common
from tastyops.errors import ExitCode
from tastyops.lab import lifecycle


def arguments(parser: ArgumentParser) -> None:
    """What ``lab.up`` takes."""
    common.install_argument(parser)
    parser.add_argument("--cold", action="store_true", help="boot it instead of restoring it")


def perform(args: Namespace, *, dry: bool) -> int:
    """Starts the lab, or finds the one that runs; returns the exit code."""
    common.refuse_dry("lab.up", dry=dry)
    common.see_to_needs(args)
    common.introduce(lifecycle.up(project.say, cold=args.cold))
    return int(ExitCode.COMPLETED)
