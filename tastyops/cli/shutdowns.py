"""Shutdowns that runs have scheduled: shown, taken back, and noted once they were carried out."""

from __future__ import annotations

import contextlib
import json
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tastyops.cli import project, underway
from tastyops.errors import JournalDamaged, Locked, UsageError
from tastyops.journal.chain import lines_of
from tastyops.journal.public_events import Entry
from tastyops.journal.scheduled_shutdowns import (
    Scheduled,
    scheduled,
    seen_since,
    sentence,
    still_to_come,
)
from tastyops.journal.state import RunState
from tastyops.local.plain_files import reading
from tastyops.model.inventory import Inventory
from tastyops.model.runbook import Runbook
from tastyops.records.document.times import closing_time, offset_minutes, offset_name
from tastyops.records.logs import Copied, LogBook, LogFile
from tastyops.records.runs import JOURNAL, read_state, run_directories
from tastyops.records.verify import disagreement

OBJECT = ":shutdown"
"""What follows a host's name where its scheduled shutdown is meant, and not a run."""

_MARK = b'"reached":"scheduled"'
"""Stands in the journal of every run that has scheduled one."""

Places = Sequence[tuple[Path, LogBook]]


@dataclass(frozen=True, slots=True)
class ToCome:
    """A scheduled shutdown, and the number of the log its run writes into."""

    one: Scheduled
    log: str

    def to_json(self) -> dict[str, object]:
        """For ``status --json``."""
        one = self.one
        return {
            "host": one.host, "kind": one.kind, "due": one.due, "run": one.run,
            "step": one.step, "log": self.log,
        }  # fmt: skip

    def line(self, timezone: str, now: datetime) -> str:
        """For ``status``."""
        at = datetime.fromtimestamp(self.one.due, UTC)
        east = offset_minutes(timezone, at)
        when = f"{closing_time(at, east)} ({offset_name(east)})"
        who = self.log or self.one.run
        said = f"{self.one.host}: {self.one.kind} scheduled for {when} by {who}"
        if at <= now:
            return f"{said}; the host has not been seen since"
        return f"{said}; `invoke cancel {self.one.host}{OBJECT}` takes it back"


@dataclass(frozen=True, slots=True)
class _Kept:
    """A run as it is kept."""

    directory: Path
    book: LogBook
    state: RunState


def _runs(places: Places) -> list[_Kept]:
    """All runs; none where no journal tells of a scheduled shutdown."""
    kept = [(run, book) for directory, book in places for run in run_directories(directory)]
    found: list[_Kept] = []
    if not any(_may_tell(run) for run, _ in kept):
        return found
    for run, book in kept:
        with contextlib.suppress(JournalDamaged):  # told of elsewhere
            found.append(_Kept(run, book, read_state(run)))
    return found


def _may_tell(run: Path) -> bool:
    with contextlib.suppress(OSError), reading(run / JOURNAL) as file:
        return any(_MARK in line for line in lines_of(file))
    return False


def to_come(places: Places, inventory: Inventory) -> list[ToCome]:
    """Those that are still to come, or whose hosts nobody has seen since, the next first.

    A practice host is gone with its run, and so is what was scheduled there.
    """
    states = [kept.state for kept in _runs(places)]
    logs = {state.run: state.opened.log for state in states if state.opened is not None}
    gone = {host.name for host in inventory.hosts.values() if host.connection == "practice"}
    found = [
        ToCome(one, logs.get(one.run, "")) for one in still_to_come(states) if one.host not in gone
    ]
    return sorted(found, key=lambda each: (each.one.due, each.one.host))


def note_executed(places: Places) -> None:
    """Writes into the logs of earlier runs what later ones found: that a shutdown was executed.

    A run whose own host came back has noted that itself.
    """
    runs = _runs(places)
    for kept in runs:
        for one in scheduled(kept.state):
            own = seen_since(kept.state, one)
            met = next((other.state for other in runs if seen_since(other.state, one)), None)
            if own or met is None:
                continue
            log = project.log_of(kept.directory, kept.book)
            if log is not None and not disagreement(kept.directory, log):
                _note(log, one, sentence(met, one))


def _note(log: LogFile, one: Scheduled, said: str) -> None:
    source = f"{one.run}#{one.step}/{one.host}/executed"

    def decide() -> Sequence[Copied]:
        if any(event.source == source for event in log.events):
            return []
        at = datetime.fromtimestamp(one.due, UTC)
        return [Copied(Entry(said, remark=True), at, source)]

    log.change(decide)


# -- taking one back ---------------------------------------------------------------------------


def runbook_for(wanted: str, args: Namespace, inventory: Inventory) -> Runbook:
    """The runbook that takes the host's shutdown back; ``args`` then fit ``run``. UsageError."""
    host = wanted.removesuffix(OBJECT)
    places = project.record_places(inventory, args)
    found = [each for each in to_come(places, inventory) if each.one.host == host]
    now = datetime.now(UTC).timestamp()
    ahead = [each for each in found if each.one.due > now]
    if not ahead:
        _of_a_step_under_way(host, places)
        late = " Its time has passed." if found else ""
        raise UsageError(
            f"No run here has scheduled a shutdown of {host} that is still to come.{late}",
            still_true="No host was touched.",
            next_step="`invoke status` shows those there are.",
        )
    one = ahead[0].one
    title = f"Cancel the scheduled shutdown of {host}"
    step = {"shutdown.cancel": {"due": one.due, "kind": one.kind}}
    book = {
        "title": title, "hosts": host, "works": [{"work": title, "steps": [step]}],
    }  # fmt: skip
    args.into = _open_log(places, ahead[0].log)
    args.host, args.var, args.attending = [], [], None
    args.start_at, args.dry_run, args.window_end = None, False, None
    args.runbook = Path("cancel-shutdown.yml")
    return project.parse_runbook(json.dumps(book).encode(), args.runbook, inventory)


def _of_a_step_under_way(host: str, places: Places) -> None:
    """Raises Locked where a step that is not over has scheduled one: that is its run's."""
    for directory, _ in places:
        for run in run_directories(directory):
            with contextlib.suppress(JournalDamaged):
                state = read_state(run)
                found = underway.scheduled(state) if state.closed is None else []
                for one in found:
                    if one["host"] == host:
                        raise Locked(
                            f"The {one['what']} of {host} at {one['at']} belongs to step "
                            f"{one['step']} of the run {run.name} of {state.started_by}, which is "
                            "not over.",
                            still_true="It stays scheduled.",
                            next_step=f"`invoke cancel {run.name}` ends the run and takes it back.",
                        )


def _open_log(places: Places, number: str) -> str | None:
    """The log it was scheduled in, unless that is closed: then this has a log of its own."""
    for _, book in places:
        log = book.find(number) if number else None
        if log is not None:
            return None if log.document().closed else number
    return None
