"""``retitle``: another title for a log; its number and its file's name stay."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.cli import project, writing
from tastyops.journal.public_events import Retitled


def arguments(parser: ArgumentParser) -> None:
    """What ``retitle`` takes."""
    writing.log_argument(parser)
    parser.add_argument("title", metavar="TITLE", type=project.filled, help="the new title")


def perform(args: Namespace, *, dry: bool) -> int:
    """Gives it."""
    target = writing.find_log(args)
    log, given = target.the_log(), Retitled(writing.sentence(args.title, "The title"))
    at = target.present()
    return writing.write(
        log, lambda: [writing.by_hand(given, at)], dry=dry,
        done=f"{log.document().tag} is now titled: {given.title}",
    )
