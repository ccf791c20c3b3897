"""Shutdowns that runs have scheduled: shown, cancelled, and noted once they were executed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tastyops.app.foreign_run import RecordPairs
from tastyops.app.record_lookup import log_of
from tastyops.errors import JournalDamaged
from tastyops.journal.chain import lines_of
from tastyops.journal.connection_events import another_boot
from tastyops.journal.envelope import NOT_AN_EVENT
from tastyops.journal.public_events import Entry
from tastyops.journal.scheduled_shutdowns import (
    Scheduled,
    scheduled,
    seen_since,
    sentence,
    still_to_come,
)
from tastyops.journal.state import Lane, RunState
from tastyops.local.plain_files import reading
from tastyops.model.commands import Output
from tastyops.model.inventory import Inventory
from tastyops.model.outcome import Outcome
from tastyops.records.document.times import closing_time, offset_minutes, offset_name
from tastyops.records.logs import Copied, LogBook, LogFile
from tastyops.records.runs import JOURNAL, read_state, run_directories
from tastyops.records.verify import disagreement

OBJECT = ":shutdown"
"""Follows a host's name where ``cancel`` means its scheduled shutdown and not a run."""

_MARK = b'"reached":"scheduled"'
"""Stands in the journal of every run that has scheduled one."""

SCHEDULE, CANCEL = "ScheduleShutdown", "CancelScheduledShutdown"
"""The methods of logind's manager (org.freedesktop.login1(5))."""


def scheduled_under_way(state: RunState) -> list[dict[str, str]]:
    """Shutdowns that unfinished steps have scheduled, neither cancelled nor executed so far.

    Each has ``host``, ``step``, ``what`` (reboot, poweroff, halt) and ``at``, in UTC.
    """
    return [
        {"host": host, "step": step, "what": what, "at": at}
        for (host, step), lane in state.lanes.items()
        if lane.ended is None or lane.ended.outcome != Outcome.DONE.value
        for what, at, boot_id in _last(lane)
        if host not in state.connected or not another_boot(state.connected[host].boot_id, boot_id)
    ]


def _last(lane: Lane) -> Iterator[tuple[str, str, str]]:
    found: tuple[str, str, str] | None = None
    for _, past in sorted(lane.history.items()):
        words = [str(word) for word in past.command.get("change", ())]
        if not isinstance(past.value, Output) or not past.value.ok:
            continue
        if CANCEL in words:
            found = None
        elif SCHEDULE in words:
            try:
                what, moment = words[words.index(SCHEDULE) + 2 :][:2]
                at = datetime.fromtimestamp(int(moment) / 1_000_000, UTC)
            except NOT_AN_EVENT:
                continue
            found = what, f"{at:%Y-%m-%dT%H:%M:%SZ}", past.boot_id
    if found is not None:
        yield found



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

    @property
    def name(self) -> str:
        """What ``cancel`` calls this shutdown."""
        return f"{self.one.host}{OBJECT}"

    @property
    def can_be_cancelled(self) -> bool:
        """Whether its time is still to come."""
        return datetime.fromtimestamp(self.one.due, UTC) > datetime.now(UTC)

    def line(self, timezone: str, now: datetime) -> str:
        """For ``status``."""
        at = datetime.fromtimestamp(self.one.due, UTC)
        east = offset_minutes(timezone, at)
        when = f"{closing_time(at, east)} ({offset_name(east)})"
        who = self.log or self.one.run
        seen = "; the host has not been seen since" if at <= now else ""
        return f"{self.one.host}: {self.one.kind} scheduled for {when} by {who}{seen}"


@dataclass(frozen=True, slots=True)
class _KnownRun:
    """A run on disk, with its logs and its state."""

    directory: Path
    book: LogBook
    state: RunState


def _runs(pairs: RecordPairs) -> list[_KnownRun]:
    """All runs; none where no journal tells of a scheduled shutdown."""
    kept = [(run, book) for directory, book in pairs for run in run_directories(directory)]
    found: list[_KnownRun] = []
    if not any(_may_tell(run) for run, _ in kept):
        return found
    for run, book in kept:
        with contextlib.suppress(JournalDamaged):  # told of elsewhere
            found.append(_KnownRun(run, book, read_state(run)))
    return found


def _may_tell(run: Path) -> bool:
    with contextlib.suppress(OSError), reading(run / JOURNAL) as file:
        return any(_MARK in line for line in lines_of(file))
    return False


def to_come(pairs: RecordPairs, inventory: Inventory) -> list[ToCome]:
    """Those that are still to come, or whose hosts nobody has seen since, the next first.

    A practice host is gone with its run, and so is what was scheduled there.
    """
    states = [kept.state for kept in _runs(pairs)]
    logs = {state.run: state.opened.log for state in states if state.opened is not None}
    gone = {host.name for host in inventory.hosts.values() if host.connection == "practice"}
    found = [
        ToCome(one, logs.get(one.run, "")) for one in still_to_come(states) if one.host not in gone
    ]
    return sorted(found, key=lambda each: (each.one.due, each.one.host))


def note_executed(pairs: RecordPairs) -> None:
    """Writes into the logs of earlier runs what later ones found: that a shutdown was executed.

    A run whose own host came back has noted that itself.
    """
    runs = _runs(pairs)
    for kept in runs:
        for one in scheduled(kept.state):
            own = seen_since(kept.state, one)
            met = next((other.state for other in runs if seen_since(other.state, one)), None)
            if own or met is None:
                continue
            log = log_of(kept.directory, kept.book)
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
