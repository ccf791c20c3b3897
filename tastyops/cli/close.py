"""``close``: the end of an incident, or of a log whose runs are over."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace

from tastyops.app.log_closing import STATUSES, close
from tastyops.app.log_edits import moment
from tastyops.cli.log_verbs import at_argument, chooser, log_argument, target_of, write
from tastyops.cli.options import filled
from tastyops.errors import did_you_mean


def arguments(parser: ArgumentParser) -> None:
    """What ``close`` takes."""
    log_argument(parser)
    parser.add_argument(
        "--status", metavar="WORDS", type=_status,
        help=f"one of: {', '.join(STATUSES)} (default: by the work items)",
    )
    parser.add_argument(
        "--because", metavar="WHY", type=filled,
        help="why a log with undecided work items or an unfinished run is closed; published",
    )
    at_argument(parser)


def _status(text: str) -> str:
    plain = " ".join(text.replace("-", " ").split()).lower()
    for status in STATUSES:
        if plain == status.lower():
            return status
    hint = did_you_mean(plain, STATUSES) or f"there are: {', '.join(STATUSES)}"
    raise ArgumentTypeError(f"{text!r} is no status ({hint})")


def perform(args: Namespace, *, dry: bool) -> int:
    """Closes the log."""
    target = target_of(args)
    target.the_log()
    at = moment(args.at, target, chooser())
    return write(close(target, args.status, args.because, at), dry=dry)
