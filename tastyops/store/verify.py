"""``invoke verify``: is a record, a run's or a log's, and all it refers to, as it was written?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tastyops.errors import JournalDamaged
from tastyops.journal.chain import Fault
from tastyops.journal.public import Closed
from tastyops.store.blobs import read_blob
from tastyops.store.logs import LogFile
from tastyops.store.notes import Notes, notes_of_log
from tastyops.store.runs import BLOBS, JOURNAL, read_lines


def verify_run(directory: Path, log: LogFile | None) -> tuple[int, str, list[str]]:
    """How many events, the head hash, and everything that is wrong, as sentences."""
    wrong: list[str] = []
    count, head = 0, ""
    for line in read_lines(directory):
        count = line.number
        wrong += [_sentence(directory, fault, line.data) for fault in line.faults]
        if line.data is not None:
            head = str(line.data.get("hash", ""))
            wrong += _blob_faults(directory, line.number, line.data)
    wrong += Notes(directory, directory.name).wrong(log)
    if log is not None:
        wrong += _against_log(directory.name, count, head, log)
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


def _blob_faults(directory: Path, number: int, data: dict[str, Any]) -> list[str]:
    result = data.get("body", {}).get("result", {})
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
