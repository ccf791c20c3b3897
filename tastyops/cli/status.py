"""``status``: unfinished runs, what they ask and whom, held hosts, and shutdowns to come."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from tastyops.app.run_status import Overview, approval, overview
from tastyops.cli.chosen_records import load_records
from tastyops.cli.options import inventory_argument
from tastyops.errors import ExitCode
from tastyops.model.inventory import Inventory
from tastyops.model.public_text import one_line
from tastyops.records.mailbox import Board
from tastyops.ui.messages import as_typed


def arguments(parser: ArgumentParser) -> None:
    """What ``status`` takes."""
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Shows them, the oldest first."""
    records = load_records(args)
    found = overview(records)
    if args.json:
        print(json.dumps(found.to_json(), indent=2))  # noqa: T201
        return int(ExitCode.COMPLETED)
    for line in _overview_lines(found, records.inventory):
        words = line.lstrip(" ")
        print(" " * (len(line) - len(words)) + one_line(words))  # noqa: T201
    return int(ExitCode.COMPLETED)


def _overview_lines(found: Overview, inventory: Inventory) -> Iterator[str]:
    for run in found.runs:
        yield from _run_lines(run)
    for host, owner in found.hosts.items():
        yield f"{host} is held by {owner or 'a run that has just begun'}"
    for board in found.boards:
        yield from _board_lines(board, inventory)
    for each in found.shutdowns:
        yield each.line(inventory.timezone, datetime.now(UTC)) + (
            as_typed(f"; `invoke cancel {each.name}` takes it back") if each.can_be_cancelled
            else ""
        )
    if not found.runs and not found.boards and not found.shutdowns:
        yield "Nothing is under way and nothing is unfinished."


def _board_lines(board: Board, inventory: Inventory) -> list[str]:
    """Another account's run, as far as this one may know."""
    how = "under way" if board.lives else "its controller ended"
    lines = [
        _named(board.log, board.title, board.hosts),
        f"  run {board.run} of {board.started_by}, another account's ({how})",
    ]
    for question in board.questions:
        each = approval(board, question, inventory)
        where = f"{each['step']} {each['host']}".strip()
        lines += [
            f"  asks {each['who']} at {where}: {each['text']}",
            as_typed(f"    `invoke answer {board.run} yes|no`"),
        ]
    return [*lines, as_typed(f"  `invoke note TEXT --run {board.run}` adds a remark")]


def _named(log: str, title: str, hosts: Sequence[str]) -> str:
    return f"{log} {title}" + (f" on {', '.join(hosts)}" if hosts else "")


def _answers(asked: dict[str, Any]) -> str:
    return "yes|no" if asked["by"] else "|".join(asked["choices"]) or "…"


def _how(run: dict[str, Any]) -> str:
    if run["closed"]:
        return as_typed(f"over, but in doubt; `invoke resume --run {run['run']}` settles it")
    if run["live"]:
        return "under way"
    return as_typed("its controller ended; `invoke resume` goes on with it")


def _run_lines(run: dict[str, Any]) -> list[str]:
    if "damaged" in run:
        return [f"{run['run']}: damaged: {run['damaged']}"]
    lines = [
        _named(run["log"], run["title"], run["hosts"]),
        f"  run {run['run']} by {run['by']}: {run['status']} ({_how(run)})",
    ]
    lines += [f"  step {each['step']} {each['host']}".rstrip() for each in run["steps"]]
    for each in run["in_doubt"]:
        lines.append(f"  step {each['step']} {each['host']}".rstrip() + " is in doubt")
        lines += [f"  {line}" for line in each["evidence"]]
    lines += [f"  {each['host']}: {each['what']} at {each['at']}" for each in run["shutdowns"]]
    if run["locks"] and not run["live"]:
        until = "that is settled" if run["closed"] else "it is over"
        lines.append(f"  its lock stays on {', '.join(run['locks'])} until {until}")
    for asked in run["questions"]:
        where = f"{asked['step']} {asked['host']}".strip()
        lines.append(f"  asks {asked['who']} at {where}: {asked['text']}")
        lines += [f"  {line}" for line in asked["evidence"]]
        if run["live"] or asked["by"]:
            lines.append(as_typed(f"    `invoke answer {run['run']} {_answers(asked)}`"))
    return lines
