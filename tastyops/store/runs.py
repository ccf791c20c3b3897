"""``runs/<run id>/``: a run's private directory, and the one writer of its journal.

``journal.jsonl`` (the events), ``runbook.yml`` (the file's very bytes), ``blobs/`` (large
outputs, named by SHA-256), ``spool/`` (events other processes hand in). Directories are 0700,
files 0600. ``docs/journal.md`` describes the format for other readers.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path

from tastyops.errors import JournalDamaged, UsageError
from tastyops.journal.chain import GENESIS, Line, seal, unseal
from tastyops.journal.events import (
    NOT_AN_EVENT,
    Address,
    Body,
    Event,
    body_from_json,
    event_from_json,
    event_to_json,
)
from tastyops.journal.state import RunState, fold
from tastyops.redact import Masker
from tastyops.store.blobs import OutputCapture, read_blob
from tastyops.store.files import append_all, must_write, sync_directory, write_whole

OWN_WORDS = frozenset({
    "digest", "sha256", "runbook", "plan", "kind", "how", "outcome", "question", "action", "fate",
    "boot_id", "directory", "log", "unknown",
})  # fmt: skip
"""Fields with words and digests of ours, made without secrets: one that looks alike stays."""

FREE = frozenset({"inputs", "params", "registered"})
"""Fields whose names and numbers are the author's, so a number may be a secret."""

JOURNAL, RUNBOOK, BLOBS, SPOOL = "journal.jsonl", "runbook.yml", "blobs", "spool"


def new_run_id(now: datetime) -> str:
    """An id that sorts by time and is unique without asking anybody."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%S%f}"[:18] + f"-{secrets.token_hex(2)}"


class RunJournal:
    """The one writer of a run's journal; owns its sequence, its hash chain and its fsync."""

    def __init__(self, directory: Path, run: str, masker: Masker, *, seq: int, head: str) -> None:
        self.directory = directory
        self._run = run
        self._masker = masker
        self._seq = seq
        self._head = head
        self._pending: list[bytes] = []
        self._synced = True
        self._path = directory / JOURNAL
        with must_write(self._path):
            self._fd = os.open(
                self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
            )

    @classmethod
    def create(cls, runs: Path, run: str, runbook: bytes, masker: Masker) -> RunJournal:
        """A new run's directory and its empty journal. Raises JournalUnwritable."""
        directory = runs / run
        with must_write(directory):
            runs.mkdir(parents=True, exist_ok=True)
            directory.mkdir(mode=0o700)
            for name in (BLOBS, SPOOL):
                (directory / name).mkdir(mode=0o700)
            write_whole(directory / RUNBOOK, runbook, 0o600)
            sync_directory(runs)
        return cls(directory, run, masker, seq=0, head=GENESIS)

    def append(self, body: Body, at: Address, *, who: str, happened: datetime) -> Event:
        """Seals an event into the chain; it is written by the next ``commit``."""
        self._seq += 1
        body = self._masked(body)
        event = Event(
            self._run, self._seq, 1, datetime.now(UTC), happened, who, at, body, self._head
        )
        line, own = seal(event_to_json(event))
        self._pending.append(line)
        self._head = own
        return Event(
            event.run,
            event.seq,
            event.epoch,
            event.recorded_at,
            happened,
            who,
            at,
            body,
            event.prev,
            own,
        )

    def _masked(self, body: Body) -> Body:
        if not self._masker.longest:
            return body
        told = {
            f.name: self._masker.data(getattr(body, f.name), OWN_WORDS, numbers=False)
            for f in fields(body)
            if f.name not in OWN_WORDS and f.name not in FREE
        }
        told |= {
            f.name: self._masker.data(getattr(body, f.name))
            for f in fields(body)
            if f.name in FREE
        }
        return replace(body, **told)

    def commit(self, durable: bool = True) -> None:
        """Writes what is pending in one write, and one fdatasync. Raises JournalUnwritable."""
        data, self._pending = b"".join(self._pending), []
        with must_write(self._path):
            if data:
                append_all(self._fd, data)
                self._synced = False
            if durable and not self._synced:
                os.fdatasync(self._fd)
                self._synced = True

    def capture(self, no_log: bool = False) -> OutputCapture:
        """A place for one command's output."""
        return OutputCapture(self.directory / BLOBS, self._masker, keep=not no_log)

    def load(self, sha256: str) -> bytes:
        """A blob by its digest. Raises JournalDamaged."""
        return read_blob(self.directory / BLOBS / sha256)

    def mask(self, data: bytes) -> bytes:
        """A piece of a stream with every secret of the run replaced, also one the ends cut."""
        return self._masker.glimpse(data)

    def spooled(self) -> Sequence[tuple[str, Body]]:
        """What other processes handed in since the last call, in the order it was handed in."""
        taken: list[tuple[str, Body]] = []
        spool = self.directory / SPOOL
        for path in sorted(spool / name for name in os.listdir(spool) if name.endswith(".json")):
            try:
                data = json.loads(path.read_bytes())
                taken.append((str(data["who"]), body_from_json(str(data["kind"]), data["body"])))
            except (OSError, ValueError, KeyError, TypeError):
                path.rename(path.with_suffix(".rejected"))
                continue
            path.unlink(missing_ok=True)
        return taken

    def close(self) -> None:
        """Writes what is pending and closes the file."""
        try:
            self.commit()
        finally:
            os.close(self._fd)


def hand_in(directory: Path, who: str, body: Body, now: datetime) -> None:
    """Hands an event to the process that owns the run, through its spool."""
    name = f"{now.astimezone(UTC):%Y%m%dT%H%M%S.%f}-{secrets.token_hex(3)}.json"
    data = {"who": who, "kind": body.kind, "body": body.to_json()}
    with must_write(directory / SPOOL):
        write_whole(directory / SPOOL / name, json.dumps(data).encode(), 0o600)


def read_lines(directory: Path) -> Iterator[Line]:
    """Every line of a run's journal with what is wrong with it."""
    try:
        with (directory / JOURNAL).open("rb") as file:
            yield from unseal(file)
    except OSError as error:
        raise JournalDamaged(f"{directory / JOURNAL} cannot be read: {error.strerror}.") from error


def read_events(directory: Path) -> Iterator[Event]:
    """The run's events. Raises JournalDamaged at the first line that is not sound."""
    for line in read_lines(directory):
        if line.faults or line.data is None:
            fault = line.faults[0].what if line.faults else "not an event"
            raise JournalDamaged(
                f"{directory / JOURNAL}:{line.number}: {fault}.",
                next_step=f"`invoke verify {directory.name}` lists all that is wrong with it.",
            )
        yield event_from_json(line.data)


def read_state(directory: Path) -> RunState:
    """The run as its journal tells it. Raises JournalDamaged, also for events that make no run."""
    blobs = directory / BLOBS
    try:
        return fold(read_events(directory), lambda digest: read_blob(blobs / digest))
    except NOT_AN_EVENT as error:
        raise JournalDamaged(
            f"{directory / JOURNAL} holds an event that cannot be: {error!r:.200}.",
            next_step=f"`invoke verify {directory.name}` lists all that is wrong with it.",
        ) from error


def run_directories(runs: Path) -> list[Path]:
    """Every run, oldest first."""
    if not runs.is_dir():
        return []
    return sorted(
        path for path in runs.iterdir() if path.name[0] != "." and (path / JOURNAL).exists()
    )


def find_run(runs: Path, wanted: str) -> Path | None:
    """A run by its id, the beginning of one, or ``last``. Raises UsageError where several fit."""
    everything = run_directories(runs)
    if wanted == "last":
        return everything[-1] if everything else None
    fits = [path for path in everything if path.name.startswith(wanted)]
    if len(fits) > 1 and not any(path.name == wanted for path in fits):
        raise UsageError(
            f"{wanted} fits {len(fits)} runs.", next_step="Give more of the id; `invoke list`."
        )
    return next((path for path in fits if path.name == wanted), fits[0] if fits else None)
