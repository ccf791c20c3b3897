"""``warnings``: what the monitoring said, sorted into a log's transcript."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from tastyops.cli import project, writing
from tastyops.errors import UsageError
from tastyops.journal.public_events import Entry
from tastyops.local.plain_files import reading
from tastyops.model.public_text import one_line
from tastyops.records.document.monitoring import MOST_BYTES, read_warnings
from tastyops.records.logs import Copied


def arguments(parser: ArgumentParser) -> None:
    """What ``warnings`` takes."""
    writing.log_argument(parser)
    parser.add_argument(
        "file", metavar="FILE", nargs="?", default="-", type=project.filled,
        help="JSON lines (docs/incidents.md); - or nothing: standard input",
    )


def perform(args: Namespace, *, dry: bool) -> int:
    """Adds the warnings that are not there yet; none of them if one line is wrong."""
    target = writing.find_log(args)
    log = target.the_log()
    name, data = ("standard input", _standard_input()) if args.file == "-" else (
        one_line(args.file), _file(args.file)
    )
    found = {warned.key: warned for warned in read_warnings(data, name, target.present())}
    new = 0

    def adding() -> list[Copied]:
        nonlocal new
        known = {event.source for event in log.events}
        who = project.operator()
        lines = [
            Copied(Entry(warned.text, remark=True), warned.at, key, who)
            for key, warned in found.items() if key not in known
        ]
        new = len(lines)
        return lines

    if dry:
        adding()
    else:
        log.change(adding)
    already = f"; {len(found) - new} were there already" if new < len(found) else ""
    deed = "would be added" if dry else "added"
    print(f"{new} {'warning' if new == 1 else 'warnings'} {deed} to {log.number}{already}.")  # noqa: T201
    return 0


def _standard_input() -> bytes:
    if sys.stdin.isatty():
        project.say("Reading warnings from the keyboard; Ctrl-D ends.")
    return sys.stdin.buffer.read(MOST_BYTES + 1)


def _file(path: str) -> bytes:
    try:
        with reading(path) as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.", still_true=writing.NOTHING
        ) from error
