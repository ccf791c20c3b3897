"""A run's private journal as lines: its events as JSON, its commands with how each ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tastyops.journal.envelope import Event, event_to_json
from tastyops.journal.events import Address, Intended, Settled, StepEnded
from tastyops.model.commands import blob_from_json
from tastyops.model.public_text import one_line
from tastyops.records.runs import read_events

MOST_LINES = 20
"""Lines of a stream's beginning, and of its end, that are shown of a command's output."""


def json_lines(run: Path) -> Iterator[str]:
    """The run's events, each with its hash."""
    for event in read_events(run):
        yield json.dumps(event_to_json(event) | {"hash": event.hash})


def command_history(run: Path) -> Iterator[str]:
    """Every command, how it ended and what it printed; and how every step ended."""
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
        yield f"{at}  $ {one_line(' '.join(argv))}  → begun; how it ended is not recorded"


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

