"""``invoke verify``: is a record, a run's or a log's, and all it refers to, as it was written?"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tastyops.errors import JournalDamaged, RecordsDisagree
from tastyops.journal.chain import Fault, Line
from tastyops.journal.envelope import event_from_json
from tastyops.journal.events import RunClosed
from tastyops.journal.public_events import Closed, RunAttached
from tastyops.records.blobs import read_blob
from tastyops.records.document.copying import moment_of
from tastyops.records.logs import LogFile
from tastyops.records.notes import Notes, notes_of_log
from tastyops.records.runs import BLOBS, JOURNAL, is_live, read_lines, read_state
from tastyops.records.settlement import SETTLEMENT, Settlement

MOST_FAULTS = 1000
"""A file that is no journal has a fault in each of its lines."""


def verify_run(directory: Path, log: LogFile | None) -> tuple[int, str, list[str]]:
    """How many events, the head hash, and everything that is wrong, as sentences."""
    count, head, wrong = verify_lines(directory, read_lines(directory))
    wrong += Notes(directory, directory.name).wrong(log)
    wrong += _settlement_faults(directory)
    if log is not None:
        wrong += _against_log(directory, log)
    return count, head, wrong


def _settlement_faults(directory: Path) -> list[str]:
    """What is wrong with the record of how the run's doubts were settled, where there is one."""
    if not (directory / SETTLEMENT).exists():
        return []
    try:
        return Settlement(directory, read_state(directory)).wrong()
    except JournalDamaged:
        return []  # the journal's own faults say so


def verify_lines(directory: Path, lines: Iterable[Line]) -> tuple[int, str, list[str]]:
    """The same for the journal's lines alone, with the outputs they refer to."""
    wrong: list[str] = []
    count, head = 0, ""
    for line in lines:
        if len(wrong) >= MOST_FAULTS:
            return count, head, [*wrong, f"{directory / JOURNAL}: the rest was not looked at"]
        count = line.number
        wrong += [_sentence(directory, fault, line.data) for fault in line.faults]
        if line.data is not None:
            wrong += _not_an_event(directory, line)
            head = str(line.data.get("hash", ""))
            wrong += _blob_faults(directory, line.number, line.data)
    return count, head, wrong


def verify_log(log: LogFile, runs: Path) -> list[str]:
    """What is wrong with a log itself; that its lines are sound was seen when it was read."""
    wrong = notes_of_log(runs, log.number).wrong(log)
    if log.torn:
        wrong.append(f"{log.journal}: the last line is torn: it was not written to its end")
    if log.edited():
        wrong.append(f"{log.page} was edited by hand.")
    return wrong


def _sentence(directory: Path, fault: Fault, data: dict[str, Any] | None) -> str:
    """``journal.jsonl:7: event 7 (settled, kalimdor 1.1#1/2): this event was altered …``."""
    what = ""
    if data is not None:
        where = f"{data.get('host', '')} {data.get('step', '')}".strip()
        what = f" event {data.get('seq')} ({data.get('kind')}{', ' + where if where else ''}):"
    return f"{directory / JOURNAL}:{fault.line}:{what} {fault.what}"


def _not_an_event(directory: Path, line: Line) -> list[str]:
    """A line may be as it was written and still say what no event can."""
    try:
        event_from_json(line.data or {})
    except JournalDamaged as error:
        return [] if line.faults else [f"{directory / JOURNAL}:{line.number}: {error.what}"]
    return []


def _blob_faults(directory: Path, number: int, data: dict[str, Any]) -> list[str]:
    body = data.get("body")
    result = body.get("result") if isinstance(body, dict) else None
    wrong = []
    for stream in ("out", "err"):
        blob = result.get(stream, {}) if isinstance(result, dict) else {}
        if isinstance(blob, dict) and "sha256" in blob:
            try:
                read_blob(directory / BLOBS / str(blob["sha256"]))
            except JournalDamaged as error:
                wrong.append(f"{directory / JOURNAL}:{number}: {error.what}")
    return wrong


@dataclass(frozen=True, slots=True)
class _Copied:
    """What a log knows of one run: when each event that it copied happened, and the run's end."""

    moments: Mapping[int, datetime]
    closed: Closed | None

    @classmethod
    def of(cls, run: str, log: LogFile) -> _Copied:
        moments, closed = {}, None
        for event in log.events:
            named, _, number = event.source.rpartition("#")
            if isinstance(event.body, Closed) and event.body.run == run:
                closed = event.body
            elif named == run and number.isdigit() and not isinstance(event.body, RunAttached):
                moments[int(number)] = event.happened_at
        return cls(moments, closed)

    @property
    def last(self) -> int:
        """The last event of the run that the log knows of."""
        return max([0, *self.moments, self.closed.events if self.closed else 0])


@dataclass(slots=True)
class _Journal:
    """What a run's journal says of the events that its log copied."""

    count: int = 0
    head: str = ""
    ended: bool = False
    others: list[int] = field(default_factory=list)
    """The events that are not the ones the log copied."""

    @classmethod
    def read(cls, directory: Path, copied: _Copied) -> _Journal:
        """Reads past every fault: what is altered is for ``verify`` to list. JournalDamaged."""
        found = cls()
        for line in read_lines(directory):
            if line.data is None:
                continue
            found.count, found.head = line.number, str(line.data.get("hash", ""))
            found.ended = line.data.get("kind") == RunClosed.kind
            moment = copied.moments.get(line.number)
            if moment is not None and not _happened_at(line, moment):
                found.others.append(line.number)
        return found


def _happened_at(line: Line, moment: datetime) -> bool:
    try:
        event = event_from_json(line.data or {})
    except JournalDamaged:
        return False
    return moment in (event.happened_at, moment_of(event))


def disagreement(directory: Path, log: LogFile) -> str:
    """How a run's journal contradicts its log; empty where the log can be a copy of the journal.

    The log is as it was when it was last read; a run that is live may have gone on since.
    """
    copied = _Copied.of(directory.name, log)
    try:
        journal = _Journal.read(directory, copied)
    except JournalDamaged as error:
        return error.what
    which, closed = f"the journal of the run {directory.name}", copied.closed
    if journal.count < copied.last:
        return (
            f"{which} is older than the log {log.number}: it ends at event {journal.count}, and "
            f"the log knows event {copied.last}"
        )
    if journal.others:
        return f"event {journal.others[0]} of {which} is not the one in the log {log.number}"
    if closed and (closed.events, closed.head) != (journal.count, journal.head):
        return (
            f"{which} has {journal.count} events and head {journal.head}; the log {log.number} "
            f"was closed with {closed.events} events and head {closed.head}"
        )
    return ""


def must_agree(directory: Path, log: LogFile) -> None:
    """Raises RecordsDisagree for a run that must not be gone on with, nor its log added to.

    Its notes are compared too. What was begun after an older copy was made would be sent again.
    """
    wrong = [disagreement(directory, log), *Notes(directory, directory.name).wrong(log)]
    _refuse(directory, wrong)


def _refuse(directory: Path, wrong: Iterable[str]) -> None:
    why = next(filter(None, wrong), "")
    if why:
        raise RecordsDisagree(
            f"{why[0].upper()}{why[1:]}".rstrip(".") + ".",
            still_true="Nothing was written and no host was touched.",
            next_step=f"Put the newer record back into {directory}. Where there is none, move "
            "that directory away; docs/records.md says what can be done then.",
        )


def runs_must_agree(log: LogFile, runs: Path) -> None:
    """Raises RecordsDisagree where the record of any run of a log is not the log's own.

    A run whose directory is not here was removed on purpose, or is on another machine; another
    account's cannot be looked into. The log's own private notes are compared too.
    """
    if not os.access(runs, os.R_OK | os.X_OK):
        return
    notes = notes_of_log(runs, log.number)
    _refuse(notes.directory, notes.wrong(log))
    for run in log.document().runs:
        directory = runs / run
        if os.path.isdir(directory) and os.access(directory, os.R_OK | os.X_OK):
            must_agree(directory, log)


def _against_log(directory: Path, log: LogFile) -> list[str]:
    """A tail cut off either of the two is found in the other."""
    copied = _Copied.of(directory.name, log)
    why = disagreement(directory, log)
    if why:
        return [f"{why[0].upper()}{why[1:]}."]
    if copied.closed is None and _Journal.read(directory, copied).ended and not is_live(directory):
        return [
            f"The log {log.number} does not know that the run {directory.name} has ended: the log "
            "is an older copy, or the run was killed at its end. `invoke resume --run "
            f"{directory.name}` completes the log."
        ]
    return []
