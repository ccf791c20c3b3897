"""``correct``: the page shows what is right; the journal keeps what was written first."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.app.log_edits import correct
from tastyops.cli.log_verbs import entry_argument, log_argument, target_of, write
from tastyops.cli.options import filled


def arguments(parser: ArgumentParser) -> None:
    """What ``correct`` takes."""
    log_argument(parser)
    entry_argument(parser)
    parser.add_argument("text", metavar="TEXT", type=filled, help="the entry's right text")


def perform(args: Namespace, *, dry: bool) -> int:
    """Corrects the entry."""
    return write(correct(target_of(args), args.entry, args.text), dry=dry)
