"""``withdraw``: an entry that should not be there is no longer shown."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.app.log_edits import withdraw
from tastyops.cli.log_verbs import entry_argument, log_argument, target_of, write


def arguments(parser: ArgumentParser) -> None:
    """What ``withdraw`` takes."""
    log_argument(parser)
    entry_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Takes the entry off the page; the log's journal keeps it."""
    return write(withdraw(target_of(args), args.entry), dry=dry)
