"""Runs of other accounts: which one is meant, and whether it takes anything from this account."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tastyops.app.operators import own_login
from tastyops.errors import UsageError
from tastyops.local.accounts import login_name
from tastyops.model.approval import stranger
from tastyops.model.inventory import Inventory
from tastyops.records.logs import LogBook, LogFile
from tastyops.records.mailbox import Board, boards, read_board
from tastyops.records.runs import JOURNAL, run_directories

PATIENCE = 10.0
"""Seconds to wait for the run's own process to take what was left for it."""

RecordPairs = Sequence[tuple[Path, LogBook]]
"""Directories of runs, each with the logs its runs write into."""


@dataclass(frozen=True)
class ForeignRun:
    """A run whose directory this account cannot enter, and its mailbox."""

    desk: Path
    board: Board
    runs: Path
    log: LogFile | None

    @property
    def words(self) -> str:
        """The run's id and its owner, in a sentence."""
        return f"the run {self.board.run} of {self.board.started_by}"

    def has_taken(self, path: Path) -> bool:
        """Waits until the run has taken a file from its mailbox; False where it does not."""
        until = time.monotonic() + PATIENCE
        while path.exists():
            if time.monotonic() > until or not self.board.lives:
                return not path.exists()
            time.sleep(0.05)
        return True

    @property
    def is_over(self) -> bool:
        """Whether the run has ended since."""
        return read_board(self.desk) is None


def find_foreign(pairs: RecordPairs, wanted: str | None) -> ForeignRun | None:
    """The run of another account that a word names; None where the word names none.

    Without a word, the newest live one. That and ``last`` count only where no run of this account
    began later. Root enters every directory, so no run is foreign to it.
    """
    if os.getuid() == 0:
        return None
    found = [
        ForeignRun(desk, board, runs, book.find(board.log))
        for runs, book in pairs
        for desk, board in _desks(runs, wanted)
        if os.getuid() not in board.own and _fits(wanted, board)
    ]
    if not found:
        return None
    newest = max(found, key=lambda each: each.board.run)
    own = [run.name for runs, _ in pairs for run in run_directories(runs)]
    later = max(own, default="") > newest.board.run
    return None if later and wanted in (None, "last") else newest


def _desks(runs: Path, wanted: str | None) -> Iterator[tuple[Path, Board]]:
    yield from boards(runs)
    if wanted and "/" not in wanted:
        named = runs / f".desk-{wanted}"  # also where the runs cannot be listed
        board = read_board(named)
        if board is not None:
            yield named, board


def _fits(wanted: str | None, board: Board) -> bool:
    if wanted is None:
        return board.lives
    return wanted == "last" or board.run.startswith(wanted) or wanted == board.log


def must_take_from_us(found: ForeignRun, inventory: Inventory) -> None:
    """Raises UsageError unless the run takes anything from this account."""
    why = stranger(own_login(), inventory.operators)
    if why:
        raise UsageError(
            f"{found.words.capitalize()} takes nothing from this account: {why}.",
            still_true="Nothing was written.",
            next_step="Ask one of them, or have your login added to `operators:`.",
        )


def not_ours(pairs: RecordPairs, wanted: str) -> UsageError | None:
    """The error for a run that is another account's; None where there is no such run."""
    for runs, _ in pairs:
        for directory in reversed(_closed_to_us(runs)):
            if wanted == "last" or directory.name.startswith(wanted):
                owner = login_name(directory.stat().st_uid)
                return UsageError(
                    f"The run {directory.name} belongs to {owner}; its record is private to that "
                    "account.",
                    next_step="Its log is public: `invoke show LOG`. While the run is under way, "
                    "`invoke note` and `invoke attend` reach it from here. Ask "
                    f"{owner} for anything else.",
                )
    return None


def _closed_to_us(runs: Path) -> list[Path]:
    """The directories of runs into which this account cannot look."""
    try:
        return sorted(path for path in runs.iterdir() if path.name[0] != "." and _closed(path))
    except OSError:
        return []


def _closed(directory: Path) -> bool:
    try:
        (directory / JOURNAL).stat()
    except PermissionError:
        return True
    except OSError:
        pass
    return False
