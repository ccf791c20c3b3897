"""``status``: unfinished runs, what they ask and whom, held hosts, and shutdowns to come."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tastyops.cli import project
from tastyops.cli.shutdowns import to_come
from tastyops.cli.underway import scheduled
from tastyops.errors import ExitCode, JournalDamaged
from tastyops.journal.state import RunState
from tastyops.model.inventory import Inventory
from tastyops.model.public_text import one_line
from tastyops.records.locks import hosts_held
from tastyops.records.logs import LogBook
from tastyops.records.mailbox import Board, Question, boards
from tastyops.records.runs import is_live, read_state, run_directories
from tastyops.records.settlement import unsettled
from tastyops.records.verify import disagreement
from tastyops.ui.run_view import doubt_lines


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
        for runs, book in places
        for run in run_directories(runs)
        if (shown := _run(run, book, inventory)) is not None
    ]
    others = [
        board
        for runs, _ in places
        for _, board in boards(runs)
        if not any(run["run"] == board.run for run in found)
    ]
    asked = [_asked(board, each, inventory) for board in others for each in board.questions]
    ahead = to_come(places, inventory)
    if args.json:
        told: dict[str, Any] = {"runs": found, "hosts": held, "approvals": asked}
        told["others"] = [_others(board) for board in others]
        told["shutdowns"] = [each.to_json() for each in ahead]
        print(json.dumps(told, indent=2))  # noqa: T201
        return int(ExitCode.COMPLETED)
    lines = [line for run in found for line in _lines(run)]
    lines += [
        f"{host} is held by {owner or 'a run that has just begun'}" for host, owner in held.items()
    ]
    lines += [line for board in others for line in _others_lines(board, inventory)]
    lines += [each.line(inventory.timezone, datetime.now(UTC)) for each in ahead]
    if not found and not others and not ahead:
        lines.append("Nothing is under way and nothing is unfinished.")
    for line in lines:
        words = line.lstrip(" ")
        print(" " * (len(line) - len(words)) + one_line(words))  # noqa: T201
    return int(ExitCode.COMPLETED)


def _others_lines(board: Board, inventory: Inventory) -> list[str]:
    """Another account's run, as far as this one may know."""
    how = "under way" if board.lives else "its controller ended"
    lines = [
        _named(board.log, board.title, board.hosts),
        f"  run {board.run} of {board.started_by}, another account's ({how})",
    ]
    for question in board.questions:
        each = _asked(board, question, inventory)
        where = f"{each['step']} {each['host']}".strip()
        lines += [
            f"  asks {each['who']} at {where}: {each['text']}",
            f"    `invoke answer {board.run} yes|no`",
        ]
    return [*lines, f"  `invoke note TEXT --run {board.run}` adds a remark"]


def _named(log: str, title: str, hosts: Sequence[str]) -> str:
    return f"{log} {title}" + (f" on {', '.join(hosts)}" if hosts else "")


def _others(board: Board) -> dict[str, Any]:
    told = {name: getattr(board, name) for name in ("run", "log", "title", "hosts", "started_by")}
    return told | {"live": board.lives}


def _asked(board: Board, question: Question, inventory: Inventory) -> dict[str, Any]:
    """What another account's run asks another operator."""
    who = _who_may(question.by, board.started_by, inventory)
    told = {name: getattr(board, name) for name in ("run", "log", "title", "hosts", "started_by")}
    return told | {
        "step": question.step, "host": question.host, "text": question.text, "who": who,
    }  # fmt: skip


def _who_may(by: str, started_by: str, inventory: Inventory) -> str:
    """Who may answer a question, in words."""
    if not by:
        return started_by
    others = [name for name in inventory.operators if name != started_by]
    nobody = " and ".join(dict.fromkeys([started_by, "root"]))
    return f"{by} ({', '.join(others) or f'any login but {nobody}'})"


def _run(directory: Path, book: LogBook, inventory: Inventory) -> dict[str, Any] | None:
    """One run that has not ended; None for one that has."""
    try:
        live = is_live(directory)
        state = read_state(directory)
    except JournalDamaged as error:
        return {"run": directory.name, "damaged": error.what}
    opened = state.opened
    try:
        settlement = unsettled(directory, state)
    except JournalDamaged as error:
        return {"run": directory.name, "damaged": error.what}
    over = state.closed is not None and settlement is None
    if over or (opened is None and not live):
        return None  # one that never began holds nothing
    log = project.log_of(directory, book)
    if log is not None and not live and (why := disagreement(directory, log)):
        return {"run": directory.name, "damaged": f"{why}."}
    return {
        "run": directory.name,
        "log": opened.log if opened else "",
        "title": opened.title if opened else "",
        "live": live,
        "closed": state.closed is not None,
        "by": state.started_by,
        "hosts": list(opened.hosts) if opened else [],
        "status": project.status_of(state, inventory.timezone),
        "window": {"begins": state.window.begins, "ends": state.window.ends},
        "steps": _under_way(state),
        "shutdowns": scheduled(state),
        "locks": settlement.held_hosts() if settlement else sorted(state.locked),
        "in_doubt": [
            {"step": step, "host": host, "evidence": doubt_lines(state, step)}
            for host, step in (settlement.open_doubts() if settlement else ())
        ],
        "questions": [
            {
                "step": at.step, "host": at.host, "text": asked.text, "by": asked.by,
                "choices": asked.choices, "who": _who_may(asked.by, state.started_by, inventory),
                "evidence": [] if at.host else doubt_lines(state, at.step),
            }
            for at, asked in (() if settlement else state.questions())
        ],
    }


def _under_way(state: RunState) -> list[dict[str, str]]:
    return [
        {"step": step, "host": host}
        for (host, step), lane in state.lanes.items()
        if lane.begun and lane.ended is None
    ]


def _answers(asked: dict[str, Any]) -> str:
    return "yes|no" if asked["by"] else "|".join(asked["choices"]) or "…"


def _lines(run: dict[str, Any]) -> list[str]:
    if "damaged" in run:
        return [f"{run['run']}: damaged: {run['damaged']}"]
    how = "under way" if run["live"] else "its controller ended; `invoke resume` goes on with it"
    if run["closed"]:
        how = f"over, but in doubt; `invoke resume --run {run['run']}` settles it"
    lines = [
        _named(run["log"], run["title"], run["hosts"]),
        f"  run {run['run']} by {run['by']}: {run['status']} ({how})",
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
            lines.append(f"    `invoke answer {run['run']} {_answers(asked)}`")
    return lines
