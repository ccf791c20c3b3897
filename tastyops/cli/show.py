"""``show``: a log as text, and what the run behind it recorded."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

from tastyops.app.record_lookup import Records, status_of
from tastyops.cli.chosen_records import load_records
from tastyops.cli.options import inventory_argument, run_argument
from tastyops.errors import ExitCode, JournalDamaged, UsageError
from tastyops.model.public_text import one_line
from tastyops.records.document.build import Document
from tastyops.records.document.copying import moment_of
from tastyops.records.document.text import render_text
from tastyops.records.document.times import local, offset_minutes
from tastyops.records.logs import LogFile
from tastyops.records.notes import Notes, notes_of_log, private_notes
from tastyops.records.runs import SPOOL, read_state, waiting
from tastyops.ui.journal_lines import command_history, json_lines


def arguments(parser: ArgumentParser) -> None:
    """What ``show`` takes."""
    run_argument(parser)
    parser.add_argument("--commands", action="store_true", help="every command and how it ended")
    parser.add_argument(
        "--entries", action="store_true",
        help="the log's entries with the numbers that `correct` and `withdraw` take",
    )
    parser.add_argument("--json", action="store_true", help="the run's events as JSON lines")
    inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Prints the log; with ``--commands`` or ``--json``, the private journal."""
    records = load_records(args)
    run, log = records.find(args.run)
    if args.json and run is None:
        raise UsageError(f"The log {args.run} has no run, so it has no events.")
    if args.json and run is not None:
        lines = json_lines(run)
    elif log is not None and args.entries:
        lines = _entries(log.document())
    else:
        lines = _record(records, run, log, commands=args.commands)
    for line in lines:
        print(line)  # noqa: T201
    return int(ExitCode.COMPLETED)


def _record(
    records: Records, run: Path | None, log: LogFile | None, *, commands: bool
) -> Iterator[str]:
    """The log, where its run is, the private notes, and the commands."""
    if log is not None:
        yield render_text(log.document())
    if run is not None:
        yield f"Run {run.name}: {_status(run, records)}, {run}"
        if count := waiting(run):
            yield f"Handed in and not taken yet: {count}, in {run / SPOOL}"
    yield from _private(records, run, log)
    if run is not None and (commands or log is None):
        yield from command_history(run)


def _status(run: Path, records: Records) -> str:
    try:
        return status_of(read_state(run), records.inventory.timezone)
    except JournalDamaged as error:
        return f"damaged ({error.what})"


def _entries(document: Document) -> Iterator[str]:
    """The entries newest first, as on the page; then the withdrawn ones."""
    for line in document.transcript:
        yield f"#{line.number}  {line.day} [{line.minute}] {line.text}"
    for line in document.withdrawn:
        yield f"#{line.number}  {line.day} [{line.minute}] (withdrawn) {line.text}"


def _private(records: Records, run: Path | None, log: LogFile | None) -> Iterator[str]:
    """The private notes, wherever they are kept; no part of the log."""
    found = [*private_notes(run), *Notes(run, run.name).events()] if run is not None else []
    zone = records.inventory.timezone
    if log is not None:
        for runs, _ in records.pairs():
            found += notes_of_log(runs, log.number).events()
    if found:
        yield "Private notes, not in the log:"
    for event in sorted(found, key=moment_of):
        moment = moment_of(event)
        text = str(getattr(event.body, "text", ""))
        at = local(moment, offset_minutes(zone, moment))
        first, *more = text.splitlines() or [""]
        yield f"  {at:%Y-%m-%d %H:%M} {one_line(event.who)}: {one_line(first)}"
        yield from (f"    {one_line(line)}" for line in more)
