"""``runs/<run id>/``: a run's private directory, and the one writer of its journal.

``journal.jsonl`` (the events), ``runbook.yml`` (the file's very bytes), ``blobs/`` (large
outputs, named by SHA-256), ``spool/`` (events other processes hand in). Directories are 0700,
files 0600. ``docs/journal.md`` describes the format for other readers. Until the run is over, its
mailbox (``records.mailbox``) lies beside the directory.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tastyops.errors import JournalDamaged, Locked, UsageError
from tastyops.journal.chain import GENESIS, LONGEST_LINE, Line, lines_of, seal, unseal
from tastyops.journal.envelope import (
    NOT_AN_EVENT,
    Event,
    body_from_json,
    event_from_json,
    event_to_json,
)
from tastyops.journal.events import Address, Body, LineTorn, Noted
from tastyops.journal.state import RunState, fold
from tastyops.local.plain_files import (
    PRIVATE_DIRECTORY,
    make_private_directory,
    open_plain,
    read_plain,
    reading,
)
from tastyops.ports import HandedIn
from tastyops.records.blobs import OutputCapture, read_blob
from tastyops.records.event_masking import masked_in_run
from tastyops.records.files import (
    CLOSED,
    append_all,
    lock_soon,
    must_write,
    sync_directory,
    try_lock,
    write_whole,
)
from tastyops.records.mailbox import laid_on
from tastyops.redact import Masker

JOURNAL, RUNBOOK, BLOBS, SPOOL = "journal.jsonl", "runbook.yml", "blobs", "spool"

_TAIL = 64 * 1024
"""Bytes at the end of a journal that are read first: nearly every line is shorter."""


def new_run_id(now: datetime) -> str:
    """An id that sorts by time and is unique without asking anybody."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%S%f}"[:18] + f"-{secrets.token_hex(2)}"


class RunJournal:
    """The one writer of a run's journal; owns its sequence, its hash chain and its fsync."""

    def __init__(
        self, directory: Path, run: str, masker: Masker, *, seq: int, head: str, epoch: int = 1
    ) -> None:
        self.directory = directory
        self._run = run
        self._masker = masker
        self._seq = seq
        self._head = head
        self.epoch = epoch
        self._pending: list[bytes] = []
        self._synced = True
        self._path = directory / JOURNAL
        self._handed_in: list[Path] = []
        """Files taken from the spool whose events are not durable yet."""
        self._noted: set[str] | None = None
        with must_write(self._path):
            self._fd = open_plain(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        self._own()

    def _own(self) -> None:
        """Marks the run as live for as long as this process has its journal open. Raises Locked."""
        if not lock_soon(self._fd):
            os.close(self._fd)
            raise Locked(
                f"The run {self.directory.name} is live: another process writes its journal.",
                still_true="It goes on undisturbed; nothing was written.",
                next_step="`invoke status` shows it; `invoke cancel` ends it.",
            )

    @classmethod
    def create(
        cls, runs: Path, run: str, runbook: bytes, masker: Masker, *, entered: bool = False
    ) -> RunJournal:
        """A new run's directory and its empty journal. Raises JournalUnwritable.

        ``entered``: other accounts may reach the run's desk, which lies beside its directory.
        """
        directory = runs / run
        with must_write(directory):
            make_private_directory(runs, entered=entered)
            for made in (directory, directory / BLOBS, directory / SPOOL):
                made.mkdir(mode=PRIVATE_DIRECTORY)
                made.chmod(PRIVATE_DIRECTORY)
            write_whole(directory / RUNBOOK, runbook, 0o600)
            sync_directory(runs)
        return cls(directory, run, masker, seq=0, head=GENESIS)

    @classmethod
    def reopen(
        cls, directory: Path, masker: Masker
    ) -> tuple[RunJournal, RunState, LineTorn | None]:
        """A run's journal, reopened in its next epoch, and the state it describes.

        A last line that was not written whole was never acted on: its bytes are put aside, and the
        event that says so is given back to be appended. Raises JournalDamaged for anything else.
        """
        journal = cls(directory, directory.name, masker, seq=0, head=GENESIS)
        try:
            torn = put_aside_torn(directory / JOURNAL)
            state = read_state(directory)
        except BaseException:
            os.close(journal._fd)
            raise
        journal._seq, journal._head = state.seq, state.head or GENESIS
        journal.epoch = state.epoch + 1
        return journal, state, torn

    def append(self, body: Body, at: Address, *, who: str, happened: datetime) -> Event:
        """Seals an event into the chain. The next ``commit`` writes it."""
        self._seq += 1
        body = masked_in_run(body, self._masker)
        event = Event(
            self._run, self._seq, self.epoch, datetime.now(UTC), happened, who, at, body, self._head
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

    def commit(self, durable: bool = True) -> None:
        """Writes pending events with one write and one fdatasync. Raises JournalUnwritable."""
        data, self._pending = b"".join(self._pending), []
        with must_write(self._path):
            if data:
                append_all(self._fd, data)
                self._synced = False
            if durable and not self._synced:
                os.fdatasync(self._fd)
                self._synced = True
        if durable:
            taken, self._handed_in = self._handed_in, []
            for path in taken:
                path.unlink(missing_ok=True)

    def mask_with(self, masker: Masker) -> None:
        """Sets the masker. A resumed run has its secrets only after its journal was read."""
        self._masker = masker

    def capture(self, no_log: bool = False) -> OutputCapture:
        """A place for one command's output."""
        return OutputCapture(self.directory / BLOBS, self._masker, keep=not no_log)

    def load(self, sha256: str) -> bytes:
        """A blob by its digest. Raises JournalDamaged."""
        return read_blob(self.directory / BLOBS / sha256)

    def mask(self, data: bytes) -> bytes:
        """A piece of a stream with every secret masked, also one that the piece cuts."""
        return self._masker.glimpse(data)

    def spooled(self) -> Iterator[HandedIn]:
        """What other processes handed in since the last call, in the order it was handed in.

        To be appended before the next one is asked for: a file leaves the spool with the first
        durable commit after that, so a crash before loses nothing; after one that struck just then,
        a note is known by its id and not taken in twice.
        """
        for path in _spool_files(self.directory):
            if path in self._handed_in:
                continue
            try:
                data = json.loads(read_plain(path))
                handed = _handed_in(data)
            except FileNotFoundError:
                continue  # whoever handed it in took it back
            except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
                path.rename(path.with_suffix(".rejected"))
                continue
            if not self._is_known(handed.body):
                yield handed
            self._handed_in.append(path)
        for path, laid in laid_on(self.directory):
            if path not in self._handed_in:
                if not self._is_known(laid.body):
                    yield laid
                self._handed_in.append(path)

    def _is_known(self, body: Body) -> bool:
        if not isinstance(body, Noted) or not body.id:
            return False
        if self._noted is None:
            self._noted = noted_ids(self.directory)
        known = body.id in self._noted
        self._noted.add(body.id)
        return known

    def close(self) -> None:
        """Writes what is pending and closes the file."""
        try:
            self.commit()
        finally:
            descriptor, self._fd = self._fd, CLOSED
            os.close(descriptor)


def _handed_in(data: dict[str, Any]) -> HandedIn:
    at = data.get("at", {})
    where = Address(
        str(at.get("host", "")),
        str(at.get("step", "")),
        int(at.get("attempt", 0)),
        int(at.get("n", 0)),
    )
    body = body_from_json(str(data["kind"]), dict(data["body"]))
    return HandedIn(str(data["who"]), body, where, question=str(data.get("question", "")))


def _spool_files(directory: Path) -> list[Path]:
    spool = directory / SPOOL
    return sorted(spool / name for name in os.listdir(spool) if name.endswith(".json"))


def hand_in(
    directory: Path, who: str, body: Body, now: datetime, *, at: Address | None = None,
    question: str = "",
) -> Path:
    """Hands an event to the process that owns the run, through its spool; gives the file there.

    ``question``: the digest of the one it answers, so that it is none to a later one.
    """
    name = f"{now.astimezone(UTC):%Y%m%dT%H%M%S.%f}-{secrets.token_hex(3)}.json"
    at = at or Address()
    data = {
        "who": who,
        "kind": body.kind,
        "body": body.to_json(),
        "at": {"host": at.host, "step": at.step, "attempt": at.attempt, "n": at.n},
        "question": question,
    }
    path = directory / SPOOL / name
    with must_write(directory / SPOOL):
        write_whole(path, json.dumps(data).encode(), 0o600, like=directory)
    return path


def taken(path: Path, patience: float) -> bool:
    """Waits until a handed-in event is durable in the run's journal; False if it is not."""
    until = time.monotonic() + patience
    while path.exists():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def waiting(directory: Path) -> int:
    """The number of events in a run's spool that its journal does not have yet."""
    return len(_spool_files(directory)) if (directory / SPOOL).is_dir() else 0


def is_live(directory: Path) -> bool:
    """Whether a process has the run's journal open to write; the kernel knows when it dies."""
    with _journal(directory) as fd:
        return not try_lock(fd, shared=True)


def take_back(directory: Path, path: Path, note: Noted) -> bool:
    """Withdraws a note from the spool of an ended run; False if the run took the note."""
    with _journal(directory) as fd:
        if not try_lock(fd):
            return False  # another process goes on with the run, and will take it in
        known = note.id in noted_ids(directory)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        return not known


@contextlib.contextmanager
def _journal(directory: Path) -> Iterator[int]:
    path = directory / JOURNAL
    try:
        fd = open_plain(path)
    except OSError as error:
        raise JournalDamaged(f"{path} cannot be read: {error.strerror}.") from error
    try:
        yield fd
    finally:
        os.close(fd)


def noted_ids(directory: Path) -> set[str]:
    """The ids of the notes in a run's journal; reads past whatever is wrong with it."""
    found = set()
    with reading(directory / JOURNAL) as file:
        for line in lines_of(file):
            if b'"kind":"noted"' in line:
                with contextlib.suppress(ValueError, RecursionError, AttributeError):
                    found.add(json.loads(line).get("body", {}).get("id", ""))
    return found - {""}


def read_lines(directory: Path) -> Iterator[Line]:
    """Every line of a run's journal with what is wrong with it."""
    try:
        with reading(directory / JOURNAL) as file:
            yield from unseal(lines_of(file))
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
    """The state of a run. Raises JournalDamaged, also for events that make no run."""
    blobs = directory / BLOBS
    try:
        return fold(read_events(directory), lambda digest: read_blob(blobs / digest))
    except NOT_AN_EVENT as error:
        raise JournalDamaged(
            f"{directory / JOURNAL} holds an event that cannot be: {error!r:.200}.",
            next_step=f"`invoke verify {directory.name}` lists all that is wrong with it.",
        ) from error


def run_directories(runs: Path) -> list[Path]:
    """Every run, oldest first; empty if the directory is private to another account."""
    try:
        found = list(runs.iterdir()) if runs.is_dir() else []
    except PermissionError:
        return []
    return sorted(path for path in found if path.name[0] != "." and _has_journal(path))


def _has_journal(directory: Path) -> bool:
    """Not so for another account's run, into whose directory this one cannot look."""
    try:
        return (directory / JOURNAL).exists()
    except OSError:
        return False


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


def put_aside_torn(path: Path) -> LineTorn | None:
    """Recovers a truncated journal: moves what follows its last whole line into a file beside it.

    Raises JournalUnwritable, and JournalDamaged where no line is so long.
    """
    with must_write(path):
        tail = _after_the_last_line(path)
        if not tail:
            return None
        end = path.stat().st_size - len(tail)
        name = f"torn-{end}.bin"
        write_whole(path.with_name(name), tail, 0o600)
        os.truncate(path, end)
        sync_directory(path.parent)
    return LineTorn(name, len(tail))


def _after_the_last_line(path: Path) -> bytes:
    """The bytes of a last line that has no end. Raises JournalDamaged where no line is so long."""
    with reading(path) as file:
        size = file.seek(0, os.SEEK_END)
        for length in (_TAIL, LONGEST_LINE):
            file.seek(max(0, size - length))
            data = file.read()
            end = data.rfind(b"\n") + 1
            if end or len(data) == size:
                return data[end:]
    raise JournalDamaged(
        f"{path} ends in a line that is longer than any event is.",
        still_true="No host was touched.",
        next_step=f"`invoke verify {path.parent.name}` lists all that is wrong with it.",
    )
