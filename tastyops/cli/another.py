"""A run of another account: whose it is, and what it takes from this one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tastyops.engine.approval import stranger
from tastyops.errors import UsageError
from tastyops.local.accounts import login_name
from tastyops.model.inventory import Inventory
from tastyops.records.logs import LogBook, LogFile
from tastyops.records.mailbox import Board, boards, read_board
from tastyops.records.runs import JOURNAL, run_directories

PATIENCE = 10.0
"""Seconds to wait for the run's own process to take something up."""

Places = Sequence[tuple[Path, LogBook]]


@dataclass(frozen=True)
class Another:
    """A run whose directory this account cannot enter, and its desk."""

    desk: Path
    board: Board
    runs: Path
    log: LogFile | None

    @property
    def words(self) -> str:
        """Which run it is, and whose."""
        return f"the run {self.board.run} of {self.board.started_by}"

    def took(self, path: Path) -> bool:
        """Waits until the run has taken up what was laid there; False if it has not."""
        until = time.monotonic() + PATIENCE
        while path.exists():
            if time.monotonic() > until or not self.board.lives:
                return not path.exists()
            time.sleep(0.05)
        return True

    @property
    def over(self) -> bool:
        """Whether the run has ended since."""
        return read_board(self.desk) is None


def me() -> str:
    """This account's login, as the kernel will record it with a file."""
    return login_name(os.getuid())


def meant(places: Places, wanted: str | None) -> Another | None:
    """The run of another account that is meant; None where it is none.

    Without a name it is a live one, and like ``last`` only where no run of this account began
    later. Root can enter every directory.
    """
    if os.getuid() == 0:
        return None
    found = [
        Another(desk, board, runs, book.find(board.log))
        for runs, book in places
        for desk, board in _desks(runs, wanted)
        if os.getuid() not in board.own and _fits(wanted, board)
    ]
    if not found:
        return None
    newest = max(found, key=lambda each: each.board.run)
    own = [run.name for runs, _ in places for run in run_directories(runs)]
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


def must_be_known(found: Another, inventory: Inventory) -> None:
    """Raises UsageError unless the run takes anything from this account."""
    why = stranger(me(), inventory.operators)
    if why:
        raise UsageError(
            f"{found.words.capitalize()} takes nothing from this account: {why}.",
            still_true="Nothing was written.",
            next_step="Have one of them do it, or be named there.",
        )


def not_ours(places: Places, wanted: str) -> UsageError | None:
    """Why a run that is here cannot be looked at: it is another account's. None if it is not."""
    for runs, _ in places:
        for directory in reversed(_closed_to_us(runs)):
            if wanted == "last" or directory.name.startswith(wanted):
                owner = login_name(directory.stat().st_uid)
                return UsageError(
                    f"The run {directory.name} is {owner}'s, and its record is that account's "
                    "alone.",
                    next_step=f"What it publishes is in its log: `invoke show LOG`. While it is "
                    "under way `invoke note` and `invoke attend` reach it from here; all else is "
                    f"for {owner}.",
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
