"""``retitle``: another title for a log; its number and its file's name stay."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.app.log_edits import retitle
from tastyops.cli.log_verbs import log_argument, target_of, write
from tastyops.cli.options import filled


def arguments(parser: ArgumentParser) -> None:
    """What ``retitle`` takes."""
    log_argument(parser)
    parser.add_argument("title", metavar="TITLE", type=filled, help="the new title")


def perform(args: Namespace, *, dry: bool) -> int:
    """Gives the title."""
    return write(retitle(target_of(args), args.title), dry=dry)
