"""``lab.down``: end the lab and everything that was started for it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.cli import project
from tastyops.cli.lab import common
from tastyops.errors import ExitCode
from tastyops.lab import lifecycle


def arguments(parser: ArgumentParser) -> None:
    """``lab.down`` takes nothing."""


def perform(args: Namespace, *, dry: bool) -> int:
    """Ends it; returns the exit code."""
    common.refuse_dry("lab.down", dry=dry)
    lifecycle.down(project.say)
    return int(ExitCode.COMPLETED)
