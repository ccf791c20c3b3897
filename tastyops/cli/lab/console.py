"""``lab.console``: the lab machine's serial console, here."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.cli import project
from tastyops.cli.lab import common
from tastyops.errors import ExitCode
from tastyops.lab import recipe, terminal
from tastyops.ui.console_join import raw


def arguments(parser: ArgumentParser) -> None:
    """``lab.console`` takes nothing."""


def perform(args: Namespace, *, dry: bool) -> int:
    """Joins the console until Ctrl-]; returns the exit code."""
    common.refuse_dry("lab.console", dry=dry)
    made = common.the_lab()
    project.say(f"Ctrl-] leaves. The login is root, the password {recipe.CONSOLE_PASSWORD}.")
    terminal.join(made.console, raw)
    return int(ExitCode.COMPLETED)
