"""``summary``: another sentence at the head of a log."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.app.log_edits import add_summary
from tastyops.cli.log_verbs import log_argument, target_of, write
from tastyops.cli.options import filled


def arguments(parser: ArgumentParser) -> None:
    """What ``summary`` takes."""
    log_argument(parser)
    parser.add_argument("text", metavar="TEXT", type=filled, help="the sentence")


def perform(args: Namespace, *, dry: bool) -> int:
    """Adds the sentence."""
    return write(add_summary(target_of(args), args.text), dry=dry)
