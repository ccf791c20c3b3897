"""Finds runs and logs on disk: the directories of an inventory, and the record a word names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tastyops.app.foreign_run import RecordPairs, not_ours
from tastyops.errors import JournalDamaged, UsageError
from tastyops.journal.state import RunState
from tastyops.model.inventory import Inventory
from tastyops.records.document.times import local, offset_minutes
from tastyops.records.logs import LogBook, LogFile
from tastyops.records.runs import find_run, read_events


@dataclass(frozen=True)
class Records:
    """Where an inventory's runs and logs are kept.

    ``logs`` and ``runs`` are other directories than the inventory's, if the operator gave some;
    ``say`` takes what the operator should know about a log.
    """

    inventory: Inventory
    logs: str | None
    runs: str | None
    say: Callable[[str], None]

    def book(self, *, practice: bool = False) -> LogBook:
        """The directory of logs."""
        return LogBook(
            Path(self.logs or self._apart(self.inventory.logs, practice)), say=self.say
        )

    def runs_directory(self, *, practice: bool = False) -> Path:
        """The directory of runs."""
        return Path(self.runs or self._apart(self.inventory.runs, practice))

    def _apart(self, directory: str, practice: bool) -> Path:
        """Where an inventory has real hosts too, its practice is recorded under ``practice/``."""
        path, hosts = Path(directory), self.inventory.hosts.values()
        mixed = any(not (h.practice or h.connection == "practice") for h in hosts)
        return path.parent / "practice" / path.name if practice and mixed else path

    def pairs(self) -> RecordPairs:
        """Every pair of directories that runs and logs may lie in, the public one first."""
        pairs = {
            self.runs_directory(practice=practice): self.book(practice=practice)
            for practice in (False, True)
        }
        return list(pairs.items())

    def find(self, wanted: str) -> tuple[Path | None, LogFile | None]:
        """The run and the log that a run's id, ``last`` or a log's number names. UsageError."""
        pairs = self.pairs()
        for runs, book in pairs:
            log = book.find(wanted)
            if log is not None:
                attached = [e.body for e in log.events if e.body.kind == "run-attached"]
                last = getattr(attached[-1], "run", "") if attached else ""
                return (find_run(runs, last) if last else None), log
        found = [(run, book) for runs, book in pairs if (run := find_run(runs, wanted))]
        if not found:
            looked = ", ".join(f"{runs} and {book.directory}" for runs, book in pairs)
            raise not_ours(pairs, wanted) or UsageError(
                f"There is no run or log {wanted!r} in {looked}.",
                next_step="`invoke list` shows what there is.",
            )
        run, book = max(found, key=lambda pair: pair[0].name)
        return run, log_of(run, book)


def keep_apart(runs: Path, logs: Path) -> None:
    """Raises UsageError unless private runs and public logs lie apart from each other."""
    private, public = runs.expanduser().resolve(), logs.expanduser().resolve()
    if private == public or private in public.parents or public in private.parents:
        raise UsageError(
            f"The runs ({runs}) are private and the logs ({logs}) public: they must lie apart.",
            still_true="No host was touched.", next_step="Choose with --runs DIR and --logs DIR.",
        )


def status_of(state: RunState, timezone: str) -> str:
    """``Completed``, or for a run that has not ended the time of its last event."""
    if state.closed is not None:
        return state.closed.status
    if state.opened_at is None or state.last_at is None:
        return "nothing recorded"
    last = local(state.last_at, offset_minutes(timezone, state.opened_at))
    return f"In progress, last event {last:%H%M}"


def log_of(run: Path, book: LogBook) -> LogFile | None:
    """The log that a run writes into: the one it names, or else the one that names it."""
    try:
        first = next(read_events(run), None)
    except JournalDamaged:
        first = None
    log = book.find(str(getattr(first.body, "log", ""))) if first else None
    if log is not None and (_names(log, run.name) or not _has_run(log)):
        return log  # a crash may have come before the log was told
    return next((log for log in reversed(book.all()) if _names(log, run.name)), None)


def _has_run(log: LogFile) -> bool:
    return any(event.body.kind == "run-attached" for event in log.events)


def _names(log: LogFile, run: str) -> bool:
    return any(getattr(event.body, "run", "") == run for event in log.events)
