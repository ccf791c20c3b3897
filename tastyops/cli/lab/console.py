"""``lab.console``: the lab machine's serial console, here."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.app import lab
from tastyops.cli.lab import common
from tastyops.errors import ExitCode
from tastyops.ui.console_join import raw
from tastyops.ui.messages import say


def arguments(parser: ArgumentParser) -> None:
    """``lab.console`` takes nothing."""


def perform(args: Namespace, *, dry: bool) -> int:
    """Joins the console until Ctrl-]; returns the exit code."""
    common.refuse_dry("lab.console", dry=dry)
    lab.join_console(raw, say)
    return int(ExitCode.COMPLETED)
