"""``invoke verify``: is a record, a run's or a log's, and all it refers to, as it was written?"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tastyops.errors import JournalDamaged
from tastyops.journal.chain import Fault, Line
from tastyops.journal.envelope import event_from_json
from tastyops.journal.public import Closed
from tastyops.store.blobs import read_blob
from tastyops.store.logs import LogFile
from tastyops.store.notes import Notes, notes_of_log
from tastyops.store.runs import BLOBS, JOURNAL, read_lines

MOST_FAULTS = 1000
"""A file that is no journal has a fault in each of its lines."""


def verify_run(directory: Path, log: LogFile | None) -> tuple[int, str, list[str]]:
    """How many events, the head hash, and everything that is wrong, as sentences."""
    count, head, wrong = verify_lines(directory, read_lines(directory))
    wrong += Notes(directory, directory.name).wrong(log)
    if log is not None:
        wrong += _against_log(directory.name, count, head, log)
    return count, head, wrong


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


def _against_log(run: str, count: int, head: str, log: LogFile) -> list[str]:
    """The head hash in the closed log finds a tail that was cut off."""
    for event in log.events:
        body = event.body
        if (
            isinstance(body, Closed)
            and body.run == run
            and (body.events, body.head) != (count, head)
        ):
            return [
                f"The log {log.number} was closed with {body.events} events and head {body.head}; "
                f"the journal has {count} events and head {head}."
            ]
    return []
