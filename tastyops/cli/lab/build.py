"""``lab.build``: make the lab machine's disks, unless they are in the cache."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.cli import project
from tastyops.cli.lab import common
from tastyops.errors import ExitCode
from tastyops.lab import golden


def arguments(parser: ArgumentParser) -> None:
    """What ``lab.build`` takes."""
    common.install_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Builds; returns the exit code."""
    common.refuse_dry("lab.build", dry=dry)
    common.see_to_needs(args)
    built = golden.build(project.say)
    project.say(f"The lab is built: {built.folder}")
    return int(ExitCode.COMPLETED)
