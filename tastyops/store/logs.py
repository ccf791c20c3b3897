"""``logs/YEAR/NNN-title.md``: the numbered public record, and the journal it renders from."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tastyops.document.build import Document, build
from tastyops.document.copying import public_bodies
from tastyops.document.markdown import render_markdown
from tastyops.document.times import local, long_date, offset_minutes
from tastyops.errors import JournalDamaged, UsageError
from tastyops.journal.chain import GENESIS, seal, unseal
from tastyops.journal.events import Address, Event
from tastyops.journal.public import Closed, LogOpened, PublicBody, PublicEvent, public_from_json
from tastyops.redact import Masker
from tastyops.store.files import append_all, locked, must_write, write_whole

_NUMBERED = re.compile(r"(\d{3,})-.*\.(?:md|jsonl)")
LATEST = 1.0
"""Seconds an entry of a run may wait to be written into its log."""

_LOG_NUMBER = re.compile(r"(\d{4})/(\d{1,6})")


@dataclass(frozen=True, slots=True)
class LogHead:
    """What a new log begins with."""

    kind: str
    title: str
    zone: str
    practice: bool
    summary: Sequence[str]
    works: Sequence[str]
    attending: Sequence[str]


class LogBook:
    """A directory of logs: one sequence a year, numbers taken once and never again."""

    def __init__(self, directory: Path, *, say: Callable[[str], None]) -> None:
        self.directory = directory
        self._say = say

    def open(self, head: LogHead, at: datetime, masker: Masker) -> LogFile:
        """Takes the next number and writes the log's first page. Raises JournalUnwritable."""
        offset = offset_minutes(head.zone, at)
        day = local(at, offset)
        with must_write(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            self._keep_apart(head.practice)
            with locked(self.directory / ".lock"):
                number = self._take(day.year)
                path = self.directory / f"{day.year:04}" / f"{number:03}-{_slug(head.title)}"
                path.parent.mkdir(exist_ok=True)
                log = LogFile(path, masker, say=self._say)
                log.append(
                    LogOpened(
                        f"{day.year:04}/{number:03}",
                        head.kind,
                        head.title,
                        long_date(day),
                        offset,
                        head.practice,
                        list(head.summary),
                        list(head.works),
                        list(head.attending),
                    ),
                    at,
                )
        return log

    def _take(self, year: int) -> int:
        """The next free number; the highest ever taken is kept, so a gap is never filled."""
        record = self.directory / ".sequence"
        try:
            taken = json.loads(record.read_bytes()) if record.exists() else {}
        except ValueError:
            taken = {}
        last = int(taken.get(str(year), 0))
        present = [int(m[1]) for p in self._year(year) if (m := _NUMBERED.fullmatch(p.name))]
        number = last + 1
        if max(present, default=0) >= number:
            number = max(present) + 1
            if last:
                self._say(f"Log numbers up to {number - 1:03} are taken; this one is {number:03}.")
        taken[str(year)] = number
        write_whole(record, json.dumps(taken).encode())
        return number

    def _year(self, year: int) -> list[Path]:
        place = self.directory / f"{year:04}"
        return list(place.iterdir()) if place.is_dir() else []

    def _keep_apart(self, practice: bool) -> None:
        """A directory holds public logs or practice logs, never both."""
        mark = self.directory / ".practice"
        others = any(self.directory.glob("[0-9][0-9][0-9][0-9]/*.jsonl"))
        if practice and others and not mark.exists():
            raise UsageError(
                f"{self.directory} holds public logs; a practice log may not stand among them.",
                still_true="Nothing was written and no host was touched.",
                next_step="Give the practice its own directory with --logs DIR.",
            )
        if not practice and mark.exists():
            raise UsageError(
                f"{self.directory} holds practice logs; a public log may not stand among them.",
                still_true="Nothing was written and no host was touched.",
                next_step="Give the public log its own directory with --logs DIR.",
            )
        if practice and not mark.exists():
            mark.touch()

    def all(self) -> list[LogFile]:
        """Every log, oldest first."""
        everything = self.directory.glob("[0-9][0-9][0-9][0-9]/[0-9]*-*.jsonl")
        found = sorted(
            everything, key=lambda path: (path.parent.name, len(path.name.split("-")[0]), path.name)
        )
        return [LogFile(path.with_suffix(""), Masker(), say=self._say) for path in found]

    def find(self, number: str) -> LogFile | None:
        """The log with that number (``2026/003``)."""
        match = _LOG_NUMBER.fullmatch(number)
        if not match:
            return None
        for path in sorted((self.directory / match[1]).glob(f"{int(match[2]):03}-*.jsonl")):
            return LogFile(path.with_suffix(""), Masker(), say=self._say)
        return None


def _slug(title: str) -> str:
    words = re.findall(r"[a-z0-9]+", title.lower())
    return "-".join(words)[:60].rstrip("-") or "untitled"


@dataclass(frozen=True, slots=True)
class Copied:
    """A line for the log; ``source`` is the run event it comes from (``run#seq``), if any."""

    body: PublicBody
    at: datetime
    source: str = ""


class LogFile:
    """One log: its public journal, and the page that is rendered from it."""

    def __init__(self, stem: Path, masker: Masker, *, say: Callable[[str], None]) -> None:
        self.journal = stem.with_name(stem.name + ".jsonl")
        self.page = stem.with_name(stem.name + ".md")
        self._masker = masker
        self._say = say
        self._events: list[PublicEvent] = []
        self._head = GENESIS
        self._pages: list[str] = []
        if self.journal.exists():
            self._read()

    def _read(self) -> None:
        for data in _sound_lines(self.journal):
            event = public_from_json(data)
            self._head = str(data.get("hash", ""))
            if data.get("page"):
                self._pages = [*self._pages[-1:], str(data["page"])]
            if event is not None:
                self._events.append(event)

    @property
    def number(self) -> str:
        """``2026/003``."""
        return self.document().number

    @property
    def events(self) -> list[PublicEvent]:
        """Everything the log knows."""
        return list(self._events)

    def document(self) -> Document:
        """The log as a document."""
        return build(self._events)

    def append(self, body: PublicBody, at: datetime, source: str = "") -> None:
        """Adds a line and renders the page anew, both durable. Raises JournalUnwritable."""
        self.extend([Copied(body, at, source)])

    def extend(self, copies: Sequence[Copied]) -> None:
        """Adds lines and renders the page once. The last line carries the page's digest."""
        if not copies:
            return
        now, first = datetime.now(UTC), len(self._events) + 1
        drafts = [
            PublicEvent(first + i, now, copy.at, self._masked(copy.body), copy.source)
            for i, copy in enumerate(copies)
        ]
        page = render_markdown(build([*self._events, *drafts])).encode()
        drafts[-1] = replace(drafts[-1], page=_digest(page))
        with must_write(self.journal):
            self._set_aside_an_edit()
            _append_line(self.journal, b"".join(map(self._sealed, drafts)))
            write_whole(self.page, page)
        self._events += drafts
        self._pages = [*self._pages[-1:], drafts[-1].page]

    def _sealed(self, event: PublicEvent) -> bytes:
        line, self._head = seal(replace(event, prev=self._head).to_json())
        return line

    def _masked(self, body: PublicBody) -> PublicBody:
        if not self._masker.longest:
            return body
        data = json.loads(self._masker.text(json.dumps(body.to_json(), ensure_ascii=False)))
        return type(body)(**data)

    def edited(self) -> bool:
        """Whether the page is not the one that was written, nor the one before it (a crash)."""
        return self.page.exists() and _digest(self.page.read_bytes()) not in self._pages

    def _set_aside_an_edit(self) -> None:
        """An edit by hand is kept beside the log and spoken of, never overwritten silently."""
        if not self.edited():
            return
        count = len(list(self.page.parent.glob(f"{self.page.name}.edited-*"))) + 1
        kept = self.page.with_name(f"{self.page.name}.edited-{count}")
        self.page.rename(kept)
        self._say(
            f"{self.page} was edited by hand. The edit is kept as {kept.name}; the page is written "
            "anew from its journal."
        )


def _append_line(path: Path, line: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        append_all(fd, line)
        os.fsync(fd)
    finally:
        os.close(fd)


def _digest(page: bytes) -> str:
    return hashlib.sha256(page).hexdigest()[:32]


def _sound_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for line in unseal(file):
            if line.faults or line.data is None:
                what = line.faults[0].what if line.faults else "not an event"
                raise JournalDamaged(f"{path}:{line.number}: {what}.")
            yield line.data


class LogKeeper:
    """A listener that copies what a run may publish into its log, each event once.

    Quick steps share a rendering: what comes within ``LATEST`` seconds of the last is held back
    that long at most. The run's own journal has it already, so nothing is lost with it.
    """

    def __init__(self, log: LogFile) -> None:
        self._log = log
        self._copied = {event.source for event in log.events if event.source}
        self._held: list[Copied] = []
        self._written = 0.0
        self._over = False

    def event(self, event: Event) -> None:
        """Takes one event; it is written by ``caught_up``."""
        source = f"{event.run}#{event.seq}"
        if source not in self._copied:
            bodies = public_bodies(event)
            self._held += [Copied(body, event.happened_at, source) for body in bodies]
            self._over |= any(isinstance(body, Closed) for body in bodies)
            self._copied.add(source)

    def caught_up(self) -> None:
        """Writes what is held back, if the last time is long enough ago or the run is over."""
        now = time.monotonic()
        if self._held and (self._over or now - self._written >= LATEST):
            held, self._held = self._held, []
            self._log.extend(held)
            self._written = now

    def running(self, at: Address, out: bytes, err: bytes) -> None:
        """Output is never published."""
