"""``warnings``: monitoring warnings, sorted into a log's transcript."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from tastyops.app.inventory import read_some
from tastyops.app.log_edits import NOTHING, add_warnings
from tastyops.cli.log_verbs import log_argument, target_of
from tastyops.cli.options import filled
from tastyops.errors import ExitCode, UsageError
from tastyops.model.public_text import one_line
from tastyops.records.document.monitoring import MOST_BYTES
from tastyops.ui.messages import say


def arguments(parser: ArgumentParser) -> None:
    """What ``warnings`` takes."""
    log_argument(parser)
    parser.add_argument(
        "file", metavar="FILE", nargs="?", default="-", type=filled,
        help="JSON lines (docs/incidents.md); - or nothing: standard input",
    )


def perform(args: Namespace, *, dry: bool) -> int:
    """Adds the warnings that are not there yet; none of them if one line is wrong."""
    target = target_of(args)
    number = target.the_log().number
    name, data = ("standard input", _standard_input()) if args.file == "-" else (
        one_line(args.file), _file(args.file)
    )
    new, there = add_warnings(target, data, name, dry=dry)
    already = f"; {there} were there already" if there else ""
    deed = "would be added" if dry else "added"
    print(f"{new} {'warning' if new == 1 else 'warnings'} {deed} to {number}{already}.")  # noqa: T201
    return int(ExitCode.COMPLETED)


def _standard_input() -> bytes:
    if sys.stdin.isatty():
        say("Reading warnings from the keyboard; Ctrl-D ends.")
    return sys.stdin.buffer.read(MOST_BYTES + 1)


def _file(path: str) -> bytes:
    try:
        return read_some(path, MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.", still_true=NOTHING
        ) from error
