"""``lab.down``: stop the lab and everything that was started for it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.app import lab
from tastyops.cli.lab import common
from tastyops.errors import ExitCode
from tastyops.ui.messages import say


def arguments(parser: ArgumentParser) -> None:
    """``lab.down`` takes nothing."""


def perform(args: Namespace, *, dry: bool) -> int:
    """Stops the lab; returns the exit code."""
    common.refuse_dry("lab.down", dry=dry)
    lab.stop(say)
    return int(ExitCode.COMPLETED)
