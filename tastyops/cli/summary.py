"""``summary``: one more sentence at the head of a log."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tastyops.cli import project, writing
from tastyops.journal.public_events import SummaryAdded


def arguments(parser: ArgumentParser) -> None:
    """What ``summary`` takes."""
    writing.log_argument(parser)
    parser.add_argument("text", metavar="TEXT", type=project.filled, help="the sentence")


def perform(args: Namespace, *, dry: bool) -> int:
    """Adds it."""
    target = writing.find_log(args)
    log, added = target.the_log(), SummaryAdded(writing.sentence(args.text, "The sentence"))
    at = target.present()
    return writing.write(
        log, lambda: [writing.by_hand(added, at)], dry=dry,
        done=f"Added to the summary of {log.number}: {added.text}",
    )
