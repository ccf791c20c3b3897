"""``show``: a log as text, and what the run behind it recorded."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from tastyops.cli import project
from tastyops.errors import ExitCode, JournalDamaged, UsageError
from tastyops.journal.envelope import Event, event_to_json
from tastyops.journal.events import Address, Intended, Settled, StepEnded
from tastyops.model.commands import blob_from_json
from tastyops.model.public_text import one_line
from tastyops.records.document.build import Document
from tastyops.records.document.copying import moment_of
from tastyops.records.document.text import render_text
from tastyops.records.document.times import local, offset_minutes
from tastyops.records.logs import LogFile
from tastyops.records.notes import Notes, notes_of_log, private_notes
from tastyops.records.runs import SPOOL, read_events, read_state, waiting

MOST_LINES = 20
"""Lines of a stream's beginning, and of its end, that ``--commands`` prints."""


def arguments(parser: ArgumentParser) -> None:
    """What ``show`` takes."""
    project.run_argument(parser)
    parser.add_argument("--commands", action="store_true", help="every command and how it ended")
    parser.add_argument(
        "--entries", action="store_true",
        help="the log's entries with the numbers that `correct` and `withdraw` take",
    )
    parser.add_argument("--json", action="store_true", help="the run's events as JSON lines")
    project.inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Prints the log; with ``--commands`` or ``--json``, the private journal."""
    run, log = project.find_record(args, args.run)
    if args.json:
        if run is None:
            raise UsageError(f"The log {args.run} has no run, so it has no events.")
        for event in read_events(run):
            print(json.dumps(event_to_json(event) | {"hash": event.hash}))  # noqa: T201
        return int(ExitCode.COMPLETED)
    if log is not None and args.entries:
        for line in _entries(log.document()):
            print(line)  # noqa: T201
        return int(ExitCode.COMPLETED)
    if log is not None:
        print(render_text(log.document()))  # noqa: T201
    if run is not None:
        print(f"Run {run.name}: {_status(run, args)}, {run}")  # noqa: T201
        if handed_in := waiting(run):
            print(f"Handed in and not taken in yet: {handed_in}, in {run / SPOOL}")  # noqa: T201
    for line in _private(args, run, log):
        print(line)  # noqa: T201
    if run is not None and (args.commands or log is None):
        for line in _commands(run):
            print(line)  # noqa: T201
    return int(ExitCode.COMPLETED)


def _status(run: Path, args: Namespace) -> str:
    try:
        return project.status_of(read_state(run), project.load_inventory(args.inventory).timezone)
    except JournalDamaged as error:
        return f"damaged ({error.what})"


def _entries(document: Document) -> Iterator[str]:
    """Newest first, as on the page; then those the page shows no more."""
    for line in document.transcript:
        yield f"#{line.number}  {line.day} [{line.minute}] {line.text}"
    for line in document.withdrawn:
        yield f"#{line.number}  {line.day} [{line.minute}] (withdrawn) {line.text}"


def _private(args: Namespace, run: Path | None, log: LogFile | None) -> Iterator[str]:
    """What was noted privately, wherever it was kept; no part of the log."""
    found = [*private_notes(run), *Notes(run, run.name).events()] if run is not None else []
    zone = project.load_inventory(args.inventory).timezone
    if log is not None:
        for runs, _ in project.record_places(project.load_inventory(args.inventory), args):
            found += notes_of_log(runs, log.number).events()
    if found:
        yield "Private notes, not in the log:"
    for moment, event in sorted(((moment_of(event), event) for event in found), key=_first):
        text = str(getattr(event.body, "text", ""))
        at = local(moment, offset_minutes(zone, moment))
        first, *more = text.splitlines() or [""]
        yield f"  {at:%Y-%m-%d %H:%M} {one_line(event.who)}: {one_line(first)}"
        yield from (f"    {one_line(line)}" for line in more)


def _first(pair: tuple[datetime, Event]) -> datetime:
    return pair[0]


def _commands(run: Path) -> Iterator[str]:
    begun: dict[Address, list[str]] = {}
    for event in read_events(run):
        body = event.body
        if isinstance(body, Intended):
            begun[event.at] = list(body.command.get("change", ()))
        elif isinstance(body, Settled):
            sent = begun.pop(event.at, [])
            yield from _settled(event, body, body.command.get("probe") or sent)
        elif isinstance(body, StepEnded):
            yield f"{event.at.host} {event.at.step}: {body.outcome} {one_line(body.why)}".rstrip()
    for at, argv in begun.items():
        yield f"{at}  $ {one_line(' '.join(argv))}  → begun; what became of it is not recorded"


def _settled(event: Event, body: Settled, argv: list[str]) -> Iterator[str]:
    by = f"  (typed by {one_line(body.by)})" if body.by else ""
    kind = "?" if "probe" in body.command else "$"
    if body.how == "output":
        yield f"{event.at}  {kind} {one_line(' '.join(argv))}  → {body.result.get('status')}{by}"
    else:
        yield f"{event.at}  {body.how} {one_line(body.why)}".rstrip() + by
    for stream in ("out", "err"):
        blob = blob_from_json(body.result.get(stream, {}))
        lines = blob.excerpt().splitlines()
        left = [f"[{len(lines) - 2 * MOST_LINES} lines are left out here]"]
        if len(lines) > 2 * MOST_LINES:
            lines = lines[:MOST_LINES] + left + lines[-MOST_LINES:]
        yield from (f"    {stream}| {one_line(line)}" for line in lines)
