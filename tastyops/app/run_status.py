"""Unfinished runs, what they ask and whom, held hosts, and shutdowns to come: as data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tastyops.app.record_lookup import Records, log_of, status_of
from tastyops.app.scheduled_shutdowns import ToCome, scheduled_under_way, to_come
from tastyops.errors import JournalDamaged
from tastyops.journal.evidence import doubt_lines
from tastyops.journal.state import RunState
from tastyops.model.inventory import Inventory
from tastyops.records.locks import hosts_held
from tastyops.records.logs import LogBook
from tastyops.records.mailbox import Board, Question, boards
from tastyops.records.runs import is_live, read_state, run_directories
from tastyops.records.settlement import Settlement, unsettled
from tastyops.records.verify import disagreement


@dataclass(frozen=True)
class Overview:
    """Everything ``status`` shows. Runs, approvals and other runs are JSON objects."""

    runs: list[dict[str, Any]]
    hosts: dict[str, str]
    """Held hosts, and who holds each; empty for a run that has just begun."""
    approvals: list[dict[str, Any]]
    """What other accounts' runs ask other operators."""
    boards: list[Board]
    """Other accounts' runs."""
    shutdowns: list[ToCome]

    def to_json(self) -> dict[str, Any]:
        """As one JSON object."""
        return {
            "runs": self.runs, "hosts": self.hosts, "approvals": self.approvals,
            "others": [_named(board) | {"live": board.lives} for board in self.boards],
            "shutdowns": [each.to_json() for each in self.shutdowns],
        }  # fmt: skip


def overview(records: Records) -> Overview:
    """All of an inventory's unfinished runs, the oldest first."""
    inventory, pairs = records.inventory, records.pairs()
    held = {
        host: str(owner or "")
        for _, book in pairs
        for host, owner in hosts_held(book.directory).items()
    }
    found = [
        shown
        for runs, book in pairs
        for run in run_directories(runs)
        if (shown := _run(run, book, inventory)) is not None
    ]
    others = [
        board
        for runs, _ in pairs
        for _, board in boards(runs)
        if not any(run["run"] == board.run for run in found)
    ]
    asked = [approval(board, each, inventory) for board in others for each in board.questions]
    return Overview(found, held, asked, others, to_come(pairs, inventory))


def approval(board: Board, question: Question, inventory: Inventory) -> dict[str, Any]:
    """What another account's run asks another operator."""
    who = _who_may(question.by, board.started_by, inventory)
    return _named(board) | {
        "step": question.step, "host": question.host, "text": question.text, "who": who,
    }  # fmt: skip


def _named(board: Board) -> dict[str, Any]:
    return {name: getattr(board, name) for name in ("run", "log", "title", "hosts", "started_by")}


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
        settlement = unsettled(directory, state)
    except JournalDamaged as error:
        return {"run": directory.name, "damaged": error.what}
    over = state.closed is not None and settlement is None
    if over or (state.opened is None and not live):
        return None  # a run that never began holds nothing
    log = log_of(directory, book)
    if log is not None and not live and (why := disagreement(directory, log)):
        return {"run": directory.name, "damaged": f"{why}."}
    return _as_data(directory, state, settlement, inventory, live=live)


def _as_data(
    directory: Path, state: RunState, settlement: Settlement | None, inventory: Inventory, *,
    live: bool,
) -> dict[str, Any]:
    opened = state.opened
    return {
        "run": directory.name,
        "log": opened.log if opened else "",
        "title": opened.title if opened else "",
        "live": live,
        "closed": state.closed is not None,
        "by": state.started_by,
        "hosts": list(opened.hosts) if opened else [],
        "status": status_of(state, inventory.timezone),
        "window": {"begins": state.window.begins, "ends": state.window.ends},
        "steps": _under_way(state),
        "shutdowns": scheduled_under_way(state),
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
