"""``status``: unfinished runs, what they wait for, held hosts, and shutdowns still to come."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tastyops.cli import project
from tastyops.cli.shutdowns import to_come
from tastyops.errors import ExitCode, JournalDamaged
from tastyops.journal.state import RunState
from tastyops.model.text import one_line
from tastyops.store.locks import hosts_held
from tastyops.store.runs import is_live, read_state, run_directories


def arguments(parser: ArgumentParser) -> None:
    """What ``status`` takes."""
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    project.inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Shows them, the oldest first."""
    inventory = project.load_inventory(args.inventory)
    places = project.record_places(inventory, args)
    held = {
        host: str(owner or "")
        for _, book in places
        for host, owner in hosts_held(book.directory).items()
    }
    found = [
        shown
        for runs, _ in places
        for run in run_directories(runs)
        if (shown := _run(run, inventory.timezone)) is not None
    ]
    ahead = to_come(places, inventory)
    if args.json:
        shown = {"runs": found, "hosts": held, "shutdowns": [each.to_json() for each in ahead]}
        print(json.dumps(shown, indent=2))  # noqa: T201
        return int(ExitCode.COMPLETED)
    for run in found:
        for line in _lines(run):
            print(one_line(line))  # noqa: T201
    for host, owner in held.items():
        print(one_line(f"{host} is held by {owner or 'a run that has just begun'}"))  # noqa: T201
    for each in ahead:
        print(one_line(each.line(inventory.timezone, datetime.now(UTC))))  # noqa: T201
    if not found and not ahead:
        print("Nothing is under way and nothing is unfinished.")  # noqa: T201
    return int(ExitCode.COMPLETED)


def _run(directory: Path, timezone: str) -> dict[str, Any] | None:
    """One run that has not ended; None for one that has."""
    try:
        live = is_live(directory)
        state = read_state(directory)
    except JournalDamaged as error:
        return {"run": directory.name, "damaged": error.what}
    opened = state.opened
    if state.closed is not None or (opened is None and not live):
        return None  # one that never began holds nothing
    return {
        "run": directory.name,
        "log": opened.log if opened else "",
        "title": opened.title if opened else "",
        "live": live,
        "by": state.started_by,
        "hosts": list(opened.hosts) if opened else [],
        "status": project.status_of(state, timezone),
        "steps": _under_way(state),
        "questions": [
            {
                "step": at.step, "host": at.host, "text": asked.text, "by": asked.by,
                "choices": asked.choices,
            }
            for at, asked in state.questions()
        ],
    }


def _under_way(state: RunState) -> list[dict[str, str]]:
    return [
        {"step": step, "host": host}
        for (host, step), lane in state.lanes.items()
        if lane.begun and lane.ended is None
    ]


def _lines(run: dict[str, Any]) -> list[str]:
    if "damaged" in run:
        return [f"{run['run']}: damaged: {run['damaged']}"]
    how = "under way" if run["live"] else "its controller ended; `invoke resume` goes on with it"
    lines = [
        f"{run['log']} {run['title']} on {', '.join(run['hosts'])}",
        f"  run {run['run']} by {run['by']}: {run['status']} ({how})",
    ]
    lines += [f"  step {each['step']} {each['host']}".rstrip() for each in run["steps"]]
    for asked in run["questions"]:
        by = f" (of {asked['by']})" if asked["by"] else ""
        lines.append(f"  asks{by} at {asked['step']} {asked['host']}: {asked['text']}")
        if run["live"]:
            lines.append(f"    `invoke answer {run['run']} {'|'.join(asked['choices']) or '…'}`")
    return lines
