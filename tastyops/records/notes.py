"""Notes for a live run, and private notes for a closed record.

A finished run's journal is closed: its length and head hash stand in the log. What is noted later
goes elsewhere: a public note into the log's own journal, a private one into ``notes.jsonl`` beside
the run's journal, a chain of its own. How many there are, and their head hash, goes into the log's
journal, so a tail cut off the notes is found too; nothing of what they say does.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from itertools import islice
from pathlib import Path

from tastyops.errors import JournalDamaged
from tastyops.journal.chain import GENESIS, Line, lines_of, seal, unseal
from tastyops.journal.envelope import Event, event_from_json, event_to_json
from tastyops.journal.events import Address, Noted
from tastyops.journal.public_events import PrivateKept
from tastyops.local.plain_files import make_private_directory, reading
from tastyops.records.files import append_or_nothing, locked, must_write, sync_directory
from tastyops.records.logs import LogFile
from tastyops.records.runs import hand_in, is_live, read_events, take_back

NOTES = "notes.jsonl"

MOST = 100_000
"""Private notes of one record that are read."""


class Handed(Enum):
    """The fate of a note that was handed to a live run."""

    TAKEN = "taken"
    WAITING = "waiting"
    """The note is in the spool. The run takes it later, as it is busy or stopped."""
    ENDED = "ended"
    """The run ended before it took the note, and the note was withdrawn."""


def hand_over(
    directory: Path, who: str, note: Noted, now: datetime, patience: float = 10.0
) -> Handed:
    """Hands a note to the process that owns a run and waits until it is in the journal."""
    path = hand_in(directory, who, note, now)
    deadline = time.monotonic() + patience
    while path.exists():
        if not is_live(directory) and take_back(directory, path, note):
            return Handed.ENDED
        if time.monotonic() > deadline:
            return Handed.WAITING
        time.sleep(0.02)
    return Handed.TAKEN


@dataclass(frozen=True, slots=True)
class Notes:
    """The private notes of one record: of a run, or of a log that has none.

    ``of``: the run's id, or the log's number.
    """

    directory: Path
    of: str

    @property
    def path(self) -> Path:
        """The file, which exists once there is a note."""
        return self.directory / NOTES

    def add(self, note: Noted, *, who: str, happened: datetime, log: LogFile | None) -> None:
        """Adds one, durable, then has the log know how many there are. Raises JournalUnwritable."""
        with must_write(self.path):
            if not self.directory.exists():
                make_private_directory(self.directory.parent)
                make_private_directory(self.directory)
                sync_directory(self.directory.parent)
            with locked(self.path, mode=0o600):
                before = self.lines()
                last = before[-1].data if before else None
                if before and (last is None or before[-1].faults):
                    raise JournalDamaged(
                        f"{self.path}:{len(before)}: {before[-1].faults[0].what}.",
                        still_true="The note was not added.",
                        next_step=f"Move {self.path} out of the way to begin anew; keep it.",
                    )
                seq, head = len(before) + 1, str(last["hash"]) if last else GENESIS
                now = datetime.now(UTC)
                event = Event(self.of, seq, 0, now, happened, who, Address(), note, head)
                line, head = seal(event_to_json(event))
                append_or_nothing(self.path, line, 0o600)
        if log is not None:
            log.append(PrivateKept(self.of, seq, head), now, who=who)

    def lines(self) -> list[Line]:
        """Every line with what is wrong with it; empty if there is no file."""
        try:
            with reading(self.path) as file:
                return list(islice(unseal(lines_of(file)), MOST))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise JournalDamaged(f"{self.path} cannot be read: {error.strerror}.") from error

    def events(self) -> list[Event]:
        """The notes. Raises JournalDamaged."""
        lines = self.lines()
        for line in lines:
            if line.faults:
                raise JournalDamaged(f"{self.path}:{line.number}: {line.faults[0].what}.")
        return [event_from_json(line.data) for line in lines if line.data is not None]

    def wrong(self, log: LogFile | None) -> list[str]:
        """Everything wrong with the notes, also compared with the number in the log."""
        lines = self.lines()
        wrong = [
            f"{self.path}:{fault.line}: {fault.what}" for line in lines for fault in line.faults
        ]
        heads = [str((line.data or {}).get("hash", "")) for line in lines]
        for event in log.events if log else ():
            kept = event.body
            if isinstance(kept, PrivateKept) and kept.of == self.of:
                there = heads[kept.notes - 1] if 0 < kept.notes <= len(heads) else ""
                if there != kept.head:
                    wrong.append(
                        f"The log {log.number if log else ''} knows of {kept.notes} private notes "
                        f"with head {kept.head}; {self.path} has {len(heads)}"
                        + (f", and head {there} there." if there else ".")
                    )
        return wrong


def notes_of_log(runs: Path, number: str) -> Notes:
    """The private notes of a log itself, made while it had no run."""
    return Notes(runs / f"log-{number.replace('/', '-')}", number)


def private_notes(directory: Path) -> Iterator[Event]:
    """The private notes in a run's own journal, as far as it can be read."""
    with contextlib.suppress(JournalDamaged):
        for event in read_events(directory):
            if isinstance(event.body, Noted) and not event.body.public:
                yield event


def new_note(text: str, *, public: bool, at: str = "") -> Noted:
    """A note with an id of its own."""
    return Noted(text, public, at, os.urandom(8).hex())
