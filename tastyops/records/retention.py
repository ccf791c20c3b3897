"""Removing old runs: which may go, and removal that never leaves half a run."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tastyops.errors import ExitCode, JournalDamaged, JournalUnwritable
from tastyops.journal.events import RunOpened
from tastyops.journal.state import RunState
from tastyops.records.files import sync_directory
from tastyops.records.logs import LogBook
from tastyops.records.runs import SPOOL, read_events, run_directories
from tastyops.records.settlement import Settlement, doubts

REMOVED = ".removed-"
"""What the name of a run begins with while it is being removed; its journal is no run's then."""

_OPEN = ("In progress", "Planned")


@dataclass(frozen=True, slots=True)
class Finished:
    """One run as far as removing it goes. ``kept``: why it is not to be removed, whatever its age.

    ``ended_at`` is when its last event was written down; ``size`` all its files' bytes.
    """

    directory: Path
    size: int
    title: str = ""
    log: str = ""
    ended_at: datetime | None = None
    kept: str = ""


def examine_runs(runs: Path, book: LogBook) -> list[Finished]:
    """Every run in the directory, oldest first."""
    return [_examine(directory, book) for directory in run_directories(runs)]


def _examine(directory: Path, book: LogBook) -> Finished:
    size = bytes_in(directory)
    if directory.is_symlink():
        return Finished(directory, size, kept="it is a link to somewhere else")
    state, last, opened = RunState(), None, None
    try:
        for event in read_events(directory):
            last = event
            opened = event.body if isinstance(event.body, RunOpened) else opened
            state.apply(event)
    except JournalDamaged as error:
        return Finished(directory, size, kept=f"its journal is damaged ({error.what})")
    if last is None or opened is None:
        return Finished(directory, size, kept="nothing says what it was")
    why = _unfinished(directory, state) or _log_open(opened.log, book)
    return Finished(directory, size, opened.title, opened.log, last.recorded_at, why)


def _unfinished(directory: Path, state: RunState) -> str:
    if state.closed is None:
        return "it has not ended"
    try:
        doubt = bool(Settlement(directory, state).open_doubts())
    except JournalDamaged as error:
        return f"the record of how its doubts were settled is damaged ({error.what})"
    if doubt or (state.closed.exit_code == int(ExitCode.IN_DOUBT) and not doubts(state)):
        return f"it is in doubt; `invoke resume --run {directory.name}` settles that"
    if any((directory / SPOOL).glob("*.json")):
        return "something handed in to it was not taken yet"
    return ""


def _log_open(number: str, book: LogBook) -> str:
    """Why its log needs it still: the log is not closed, or is not there and so says nothing."""
    try:
        log = book.find(number)
        status = log.document().status if log else ""
    except JournalDamaged as error:
        return f"its log {number} is damaged ({error.what})"
    if not status:
        return f"its log {number} is not there, so it is the only record"
    return f"its log {number} is {status}" if status.startswith(_OPEN) else ""


def bytes_in(directory: Path) -> int:
    """The bytes of all plain files below, links not followed."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                found = os.lstat(os.path.join(folder, name))
            except FileNotFoundError:
                continue
            total += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return total


def remove_run(directory: Path) -> None:
    """Removes a run: first its name, in one step, then its files. Raises JournalUnwritable."""
    gone = directory.with_name(REMOVED + directory.name)
    with _must_remove(directory):
        directory.rename(gone)
        sync_directory(directory.parent)
        shutil.rmtree(gone)
        sync_directory(directory.parent)


def sweep(runs: Path) -> int:
    """Removes the rest of interrupted removals; returns their number."""
    left = sorted(runs.glob(f"{REMOVED}*")) if runs.is_dir() else []
    for each in left:
        with _must_remove(each):
            shutil.rmtree(each)
    return len(left)


@contextlib.contextmanager
def _must_remove(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise JournalUnwritable(
            f"{directory} cannot be removed: {error.strerror or error}.",
            still_true="What was removed before it is gone; all other runs are as they were.",
            next_step="Correct the permissions, then run `invoke prune` again.",
        ) from error
