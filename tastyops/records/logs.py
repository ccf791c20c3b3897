"""``logs/YEAR/NNN-title.md``: the numbered public record, and the journal it renders from."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from msgspec import structs

from tastyops.errors import UsageError
from tastyops.journal.envelope import Event
from tastyops.journal.events import Address
from tastyops.journal.public_events import (
    Attends,
    Closed,
    LogOpened,
    PublicBody,
    PublicEvent,
    RunAttached,
    SummaryAdded,
    WorkAdded,
)
from tastyops.local.plain_files import make_public_directory, read_plain, reading
from tastyops.records.document.build import Document, build
from tastyops.records.document.copying import moment_of, public_bodies, written_by
from tastyops.records.document.markdown import render_markdown
from tastyops.records.document.times import local, long_date, offset_minutes
from tastyops.records.event_masking import masked_in_log
from tastyops.records.files import locked, must_write, write_whole
from tastyops.records.public_journal import LARGEST, PublicJournal
from tastyops.redact import Masker

_NUMBERED = re.compile(r"(\d{3,})-.*\.(?:md|jsonl)")

LATEST = 1.0
"""Seconds an entry of a run may wait to be written into its log."""

EDITED_LOOKS = 5
"""Looks at a page before it counts as edited: a run may write it between two of them."""

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
    by_hand: bool = False
    """A person opens it before there is any run, and closes it; the end of a run does not."""
    hosts: Sequence[str] = ()
    day: datetime | None = None
    """The moment whose day and UTC offset are the log's, where the works begin only later."""


class LogBook:
    """A directory of logs: one sequence a year, numbers taken once and never again."""

    def __init__(self, directory: Path, *, say: Callable[[str], None]) -> None:
        self.directory = directory
        self._say = say

    def open(self, head: LogHead, at: datetime, masker: Masker, who: str = "") -> LogFile:
        """Takes the next number and writes the log's first page. Raises JournalUnwritable."""
        offset = offset_minutes(head.zone, head.day or at)
        day = local(at, offset)
        with must_write(self.directory):
            make_public_directory(self.directory)
            self._keep_apart(head.practice)
            with locked(self.directory / ".lock"):
                number = self._take(day.year)
                path = self.directory / f"{day.year:04}" / f"{number:03}-{_slug(head.title)}"
                make_public_directory(path.parent)
                log = LogFile(path, masker, say=self._say)
                log.append(
                    LogOpened(
                        f"{day.year:04}/{number:03}",
                        head.kind,
                        head.title,
                        long_date(local(head.day or at, offset)),
                        offset,
                        head.practice,
                        list(head.summary),
                        list(head.works),
                        list(head.attending),
                        head.by_hand,
                        list(head.hosts),
                    ),
                    at,
                    who=who,
                )
        return log

    def adopt(
        self, number: str, opened: LogOpened, bodies: Sequence[PublicBody], at: datetime, who: str
    ) -> LogFile:
        """A log under a number it has already. Raises UsageError if that number is taken."""
        year, _, count = number.partition("/")
        with must_write(self.directory):
            make_public_directory(self.directory)
            self._keep_apart(opened.practice)
            with locked(self.directory / ".lock"):
                if self.find(number) is not None:
                    raise UsageError(
                        f"{self.directory} has a log {number} already.",
                        still_true="That log is as it was.",
                    )
                path = self.directory / year / f"{count}-{_slug(opened.title)}"
                make_public_directory(path.parent)
                log = LogFile(path, Masker(), say=self._say)
                log.extend([Copied(body, at, who=who) for body in (opened, *bodies)])
        return log

    def join(
        self, number: str, head: LogHead, run: str, at: datetime, masker: Masker
    ) -> tuple[LogFile, int]:
        """Attaches a run to a log that is there: its works become further works of the log.

        Gives the log and the number of the run's first work in it. Raises UsageError when there is
        no such log, it is closed, or one of the two is practice and the other is not.
        """
        log = self.find(number, masker)
        if log is None:
            raise UsageError(
                f"There is no log {number} in {self.directory}.",
                still_true="Nothing was written and no host was touched.",
                next_step="`invoke list` shows what there is; without --into a new log is begun.",
            )
        first = 0

        def joining() -> list[Copied]:
            nonlocal first
            document = log.document()
            _may_join(document, practice=head.practice)
            first = len(document.works) + 1
            bodies: list[PublicBody] = [
                *(SummaryAdded(line) for line in head.summary if line not in document.summary),
                *(Attends(name) for name in head.attending if name not in document.attending),
                *(WorkAdded(title) for title in head.works),
            ]
            # named as copied from the run's first event, so that the run does not attach itself too
            attached = Copied(RunAttached(run, first - 1), at, f"{run}#1")
            return [*(Copied(body, at) for body in bodies), attached]

        log.change(joining)
        return log, first

    def _take(self, year: int) -> int:
        """The next free number; the highest ever taken is kept, so a gap is never filled."""
        record = self.directory / ".sequence"
        try:
            taken = json.loads(read_plain(record)) if record.exists() else {}
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
            write_whole(mark, b"")

    def _journals(self) -> list[Path]:
        everything = self.directory.glob("[0-9][0-9][0-9][0-9]/[0-9]*-*.jsonl")
        return sorted(
            everything, key=lambda path: (path.parent.name, len(path.name.split("-")[0]), path.name)
        )

    def all(self) -> list[LogFile]:
        """Every log, oldest first."""
        return [LogFile(path.with_suffix(""), Masker(), say=self._say) for path in self._journals()]

    def latest(self) -> LogFile | None:
        """The log with the highest number; None where there is none."""
        paths = self._journals()
        return LogFile(paths[-1].with_suffix(""), Masker(), say=self._say) if paths else None

    def find(self, number: str, masker: Masker | None = None) -> LogFile | None:
        """The log with that number (``2026/003``); what is written to it passes ``masker``."""
        match = _LOG_NUMBER.fullmatch(number)
        if not match:
            return None
        for path in sorted((self.directory / match[1]).glob(f"{int(match[2]):03}-*.jsonl")):
            return LogFile(path.with_suffix(""), masker or Masker(), say=self._say)
        return None


def _may_join(document: Document, *, practice: bool) -> None:
    """Raises UsageError unless a run may write into that log."""
    if document.closed:
        raise UsageError(
            f"The log {document.number} is closed ({document.status}); it takes no more works.",
            still_true="Nothing was written and no host was touched.",
            next_step="Run without --into, which begins a log of its own.",
        )
    if document.practice != practice:
        what, other = ("practice", "is not") if practice else ("no practice", "is")
        raise UsageError(
            f"This run is {what}, and the log {document.number} {other}.",
            still_true="Nothing was written and no host was touched.",
        )


def _slug(title: str) -> str:
    words = re.findall(r"[a-z0-9]+", title.lower())
    return "-".join(words)[:60].rstrip("-") or "untitled"


@dataclass(frozen=True, slots=True)
class Copied:
    """A line for the log. ``source``: what it is copied from (``run#seq``), ``who``: by hand."""

    body: PublicBody
    at: datetime
    source: str = ""
    who: str = ""


class LogFile:
    """One log: its public journal, and the page that is rendered from it.

    Several processes may write into one log: a run its entries, a person a correction. Every
    write is read-append-render under the log's lock, after taking in what others appended.
    """

    def __init__(self, stem: Path, masker: Masker, *, say: Callable[[str], None]) -> None:
        self.journal = stem.with_name(stem.name + ".jsonl")
        self.page = stem.with_name(stem.name + ".md")
        self._lock = stem.with_name(f".{stem.name.partition('-')[0]}.lock")
        self._masker = masker
        self._say = say
        self._tidied = False
        self._lines = PublicJournal(self.journal)
        self._lines.catch_up()

    def mask_with(self, masker: Masker) -> None:
        """What is written passes this masker from now on."""
        self._masker = masker

    @property
    def number(self) -> str:
        """``2026/003``."""
        return self.document().number

    @property
    def events(self) -> list[PublicEvent]:
        """Everything the log knows, as of the last look."""
        return list(self._lines.events)

    def latest(self) -> list[PublicEvent]:
        """Everything the log knows now. Raises JournalDamaged."""
        self._lines.catch_up()
        return self.events

    @property
    def torn(self) -> bool:
        """Whether the journal ends in a piece of a line."""
        return self._lines.torn > 0

    def document(self) -> Document:
        """The log as a document."""
        return build(self._lines.events)

    def append(self, body: PublicBody, at: datetime, source: str = "", who: str = "") -> None:
        """Adds a line and renders the page anew, both durable. Raises JournalUnwritable."""
        self.extend([Copied(body, at, source, who)])

    def extend(self, copies: Sequence[Copied]) -> None:
        """Adds lines and renders the page once. Raises JournalUnwritable."""
        if copies:
            self.change(lambda: copies)

    def change(self, decide: Callable[[], Sequence[Copied]]) -> None:
        """Adds what ``decide`` says once nobody else can write and all others wrote is known.

        ``decide`` may look at ``document()`` and ``events``; where it raises, nothing is written.
        The last line carries the digest of the page as it renders with that line in it.
        """
        with must_write(self.journal), locked(self._lock):
            self._lines.catch_up()
            copies = decide()
            if not copies:
                return
            self._lines.set_aside_what_is_torn(self._say)
            masker = self._masker
            lines = [(masked_in_log(c.body, masker), c.at, c.source, c.who) for c in copies]
            drafts = self._lines.drafts(lines)
            page = render_markdown(build([*self._lines.events, *drafts])).encode()
            drafts[-1] = structs.replace(drafts[-1], page=_digest(page))
            self._set_aside_an_edit()
            self._tidy()
            self._lines.append(drafts)
            write_whole(self.page, page)

    def _tidy(self) -> None:
        """Removes half-written pages of writers that were killed; the lock says they are gone."""
        if not self._tidied:
            for left in self.page.parent.glob(f".{self.page.name}.*"):
                left.unlink(missing_ok=True)
        self._tidied = True

    def edited(self) -> bool:
        """Whether the page is not the one that was written, nor the one before it (a crash)."""
        for _ in range(EDITED_LOOKS):
            try:
                if self.page.stat().st_size > LARGEST:
                    return True  # no log of ours has such a page
                with reading(self.page) as file:
                    page = hashlib.file_digest(file, "sha256").hexdigest()[:32]
            except FileNotFoundError:
                return False
            self._lines.catch_up()  # another process may have written it since the last look
            if page in self._lines.pages:
                return False
        return True

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


def _digest(page: bytes) -> str:
    return hashlib.sha256(page).hexdigest()[:32]


class LogKeeper:
    """A listener that copies what a run may publish into its log, each event once.

    Quick steps share a rendering: what comes within ``LATEST`` seconds of the last is held back
    that long at most. The run's own journal has it already, so nothing is lost with it.
    """

    def __init__(self, log: LogFile) -> None:
        self._log = log
        self._copied = {event.source for event in log.events if event.source}
        attached = (event.body for event in log.events)
        self._works_before = {b.run: b.offset for b in attached if isinstance(b, RunAttached)}
        """For a run that joined the log: how many works were there before its own."""
        self._held: list[Copied] = []
        self._written = 0.0
        self._over = False

    def event(self, event: Event) -> None:
        """Takes one event; it is written by ``caught_up``."""
        source = f"{event.run}#{event.seq}"
        if source not in self._copied:
            bodies = public_bodies(event, self._works_before.get(event.run, 0))
            at, who = moment_of(event), written_by(event)
            self._held += [Copied(body, at, source, who) for body in bodies]
            self._over |= any(isinstance(body, Closed) for body in bodies)
            self._copied.add(source)

    @property
    def held(self) -> int:
        """How many lines wait to be written."""
        return len(self._held)

    def caught_up(self) -> None:
        """Writes what is held back, if the last time is long enough ago or the run is over."""
        if self._over or time.monotonic() - self._written >= LATEST:
            self.flush()

    def flush(self) -> None:
        """Writes what is held back: a run that waits for a person leaves a page that says so."""
        if self._held:
            held, self._held = self._held, []
            self._log.extend(held)
            self._written = time.monotonic()

    def running(self, at: Address, out: bytes, err: bytes) -> None:
        """Output is never published."""
