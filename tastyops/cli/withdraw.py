"""``withdraw``: an entry that should not be there is no longer shown."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.cli import writing
from tastyops.cli.correct import change, entry_argument
from tastyops.journal.public_events import Withdrawn


def arguments(parser: ArgumentParser) -> None:
    """What ``withdraw`` takes."""
    writing.log_argument(parser)
    entry_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Takes it off the page; the log's journal keeps it."""
    done = f"Entry #{args.entry} is withdrawn; the log's journal keeps it."
    return change(args, Withdrawn(args.entry), dry=dry, done=done)
