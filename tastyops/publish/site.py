"""The site on disk: what changed since the last build is rendered, and written if it differs.

A build under the site's lock reads the logs whose journals changed, renders their pages and the
lists they stand in, and writes each file beside its place before it replaces the old one. The
summaries of all logs are kept in a file of the site that holds nothing a page does not hold.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

import tastyops
from tastyops.errors import JournalDamaged, UsageError
from tastyops.journal.public_events import PublicEvent
from tastyops.local.plain_files import make_public_directory, open_plain, read_plain
from tastyops.model.publishing import Publishing, Service
from tastyops.publish.calendar import render_calendar
from tastyops.publish.feed import Update, newest, render_feed, updates
from tastyops.publish.pages import BUILT_IN, IndexedWord, Page, Pages
from tastyops.publish.status_json import render_status
from tastyops.publish.summary import Summary, summarise
from tastyops.records.document.build import Document, build
from tastyops.records.files import locked, must_write, sync_directory, write_whole
from tastyops.records.public_journal import PublicJournal

MEMORY = ".tastyops-site.json"
"""Summaries of all logs as of the last build; its presence marks a directory as a site of ours."""

LARGEST_LOGO = 100_000
NEWEST = 20
"""Logs under a word of the index."""

SYNC_EACH = 100
"""Files that are made durable one by one; after more, the whole system is synchronised once."""

_JOURNAL = re.compile(r"(\d{3,6})-[^/]*\.jsonl")
_YEAR = re.compile(r"\d{4}")


@dataclass
class Built:
    """What a build did. ``faults``: logs that could not be read; their pages stay as they were."""

    logs: int = 0
    written: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Source:
    """A log's journal, as found: its number, and what tells whether it has changed."""

    number: str
    path: str
    size: int
    modified: int


class _Known(Struct):
    """What the last build remembered."""

    practice: bool | None = None
    fingerprint: str = ""
    services: list[str] = []
    logs: dict[str, tuple[int, int, str, Summary]] = {}
    """By number: size and time of the journal, state as rendered, summary."""


@dataclass(frozen=True, slots=True)
class Read:
    """A log that was read in this build."""

    summary: Summary
    document: Document
    events: Sequence[PublicEvent]


class Site:
    """One directory of pages, made from one directory of logs."""

    def __init__(
        self,
        directory: Path,
        logs: Path,
        settings: Publishing,
        services: Sequence[Service],
        zone: str,
        *,
        practice: bool,
    ) -> None:
        self._directory, self._logs = directory, logs
        self._settings, self._services, self._zone = settings, services, zone
        self._practice = practice

    def build(self, now: datetime) -> Built:
        """Brings the site up to date. Raises UsageError, JournalUnwritable."""
        self._refuse_foreign_directory()
        with must_write(self._directory):
            make_public_directory(self._directory)
            with locked(self._directory / ".tastyops-site.lock"):
                return self._build(now)

    def _refuse_foreign_directory(self) -> None:
        site, logs = self._directory.resolve(), self._logs.resolve()
        if site == logs or site in logs.parents or logs in site.parents:
            raise UsageError(
                f"The site ({self._directory}) and the logs ({self._logs}) must lie apart.",
                still_true="Nothing was written.",
                next_step="Choose with --site DIR.",
            )
        if not self._directory.is_dir() or (self._directory / MEMORY).exists():
            return
        others = [path.name for path in self._directory.iterdir() if not path.name.startswith(".")]
        if others:
            raise UsageError(
                f"{self._directory} holds other files, such as {min(others)}, and no site.",
                still_true="Nothing was written.",
                next_step="Give an empty directory or a new one with --site DIR.",
            )

    def _build(self, now: datetime) -> Built:
        known, built = self._recall(), Built()
        logo = self._logo()
        fingerprint = self._fingerprint(logo)
        if known.practice is not None and known.practice != self._practice:
            what = "practice logs" if known.practice else "public logs"
            raise UsageError(
                f"{self._directory} is a site of {what}.",
                still_true="Nothing was written.",
                next_step="Give practice and public logs a site each with --site DIR.",
            )
        if known.fingerprint != fingerprint:
            known.logs = {}
        sources, faults = find_sources(self._logs)
        built.faults += faults
        read = self._read(sources, known, built)
        kept = {number: known.logs[number][3] for number in known.logs}
        logs = {**kept, **{number: each.summary for number, each in read.items()}}
        self._refuse_wrong_kind(logs.values())
        built.logs = len(logs)
        pages = Pages(
            self._settings,
            self._services,
            self._zone,
            now,
            practice=self._practice,
            logo=logo.path if logo else "",
        )
        writer = _Writer(self._directory)
        self._render(writer, pages, known, logs, read, sources, now)
        if logo:
            writer.put(logo)
        writer.settle()
        built.written = writer.written
        self._remember(fingerprint, logs, read, sources, known, now)
        return built

    def _render(
        self, writer: _Writer, pages: Pages, known: _Known, logs: dict[str, Summary],
        read: dict[str, Read], sources: dict[str, Source], now: datetime,
    ) -> None:  # fmt: skip
        """Renders what the read logs and the clock touch; a new or lost site is rendered whole."""
        present = _present(self._directory, logs)
        stale = {
            number
            for number, summary in logs.items()
            if number in read
            or number not in present
            or summary.state(now).is_open
            or known.logs[number][2] != summary.state(now)
        }
        for number in sorted(stale):
            if number not in read and number in sources:
                with suppress(JournalDamaged):  # it was reported when it was read
                    read[number] = self._read_one(sources[number])
            if number in read:
                each = read[number]
                writer.put(*pages.log(each.summary, each.document, each.events))
        old = [entry[3] for number, entry in known.logs.items() if number in stale]
        touched = [*old, *(logs[number] for number in stale)]
        newest_first = sorted(logs.values(), key=lambda log: (log.opened, log.number), reverse=True)
        by_month: dict[str, list[Summary]] = defaultdict(list)
        by_year: dict[str, list[Summary]] = defaultdict(list)
        for log in newest_first:
            month = log.month
            by_month[month].append(log)
            by_year[month[:4]].append(log)
        for month in {log.month for log in touched}:
            writer.put(*pages.month(month, by_month.get(month, [])))
        for year in {log.month[:4] for log in touched}:
            writer.put(pages.year(year, by_year.get(year, [])))
        writer.put(pages.archive(by_year), pages.style())
        writer.put(pages.front(newest_first, pages.as_of(newest_first)))
        appended = stale if _only_appended(known, logs) else None
        self._render_services(writer, pages, newest_first, known, appended)
        self._render_index(writer, pages, newest_first, touched, whole=not known.logs)
        if self._settings.address:
            self._render_for_programs(writer, pages, newest_first, read, sources, now)

    def _render_services(
        self, writer: _Writer, pages: Pages, logs: Sequence[Summary], known: _Known,
        anew: set[str] | None,
    ) -> None:  # fmt: skip
        """Each service's page; of the parts of its history those with logs ``anew``, or all."""
        for slug in set(known.services) - {service.slug for service in self._services}:
            for path in (self._directory / "services").glob(f"{slug}*"):
                if re.fullmatch(rf"{re.escape(slug)}(-part-\d+)?\.\w+", path.name):
                    path.unlink()
        if self._services:
            writer.put(pages.services(logs))
        by_service = _by_service(logs)
        for service in self._services:
            slug = service.slug
            own = by_service[slug]

            def needed(path: str, some: Sequence[Summary]) -> bool:
                touched = anew is None or any(log.number in anew for log in some)
                return touched or not (self._directory / path).exists()

            writer.put(*pages.service(service, own, needed))

    def _render_for_programs(
        self, writer: _Writer, pages: Pages, logs: Sequence[Summary], read: dict[str, Read],
        sources: dict[str, Source], now: datetime,
    ) -> None:  # fmt: skip
        """Feed, calendar and status file: of everything, and of each service."""

        def updates_of(log: Summary) -> list[Update]:
            if log.number not in read and log.number in sources:
                with suppress(JournalDamaged):  # it was reported when it was read
                    read[log.number] = self._read_one(sources[log.number])
            each = read.get(log.number)
            return list(updates(each.summary, each.document, each.events)) if each else []

        site, services = self._settings, self._services
        schema = (BUILT_IN / "status.schema.json").read_bytes()
        writer.put(Page("status.schema.json", schema))
        by_service = _by_service(logs)
        for service in (None, *services):
            stem = f"services/{service.slug}" if service else ""
            own = by_service[service.slug] if service else logs
            new = (log for log in own if not log.imported)
            changed = sorted(new, key=lambda log: (log.changed, log.number), reverse=True)
            feed, calendar, status = (
                (f"{stem}.xml", f"{stem}.ics", f"{stem}.json")
                if service
                else ("feed.xml", "calendar.ics", "status.json")
            )
            name = f"{site.title}: {service.name}" if service else site.title
            found = newest(changed, updates_of)
            shown = [service] if service else services
            as_of = pages.as_of(own)
            writer.put(
                Page(feed, render_feed(found, site, feed, service, services)),
                Page(calendar, render_calendar(own, site, name, services, now)),
                Page(status, render_status(own, site, shown, now, as_of, practice=self._practice)),
            )

    def _render_index(
        self, writer: _Writer, pages: Pages, logs: Sequence[Summary], touched: Sequence[Summary],
        *, whole: bool,
    ) -> None:  # fmt: skip
        """The index of words, newest log first: the initials of the touched logs' words."""
        index: dict[str, list[Summary]] = defaultdict(list)
        initials = set()
        wanted = {initial(word) for log in touched for word in log.words}
        for log in logs:
            for word in log.words:
                first = initial(word)
                initials.add(first)
                if whole or first in wanted:
                    index[word].append(log)
        by_initial: dict[str, list[IndexedWord]] = defaultdict(list)
        for word in sorted(index):
            found = index[word]
            more = max(0, len(found) - NEWEST)
            by_initial[initial(word)].append(IndexedWord(word, found[:NEWEST], more))
        for name, words in by_initial.items():
            writer.put(*pages.index(name, words))
        for name in wanted - set(by_initial):
            writer.put(*pages.index(name, []))
        writer.put(pages.search(initials))

    def _read(self, sources: dict[str, Source], known: _Known, built: Built) -> dict[str, Read]:
        """The logs whose journals are not as they were at the last build."""
        found = {}
        for number, source in sources.items():
            before = known.logs.get(number)
            if before and before[:2] == (source.size, source.modified):
                continue
            try:
                found[number] = self._read_one(source)
            except JournalDamaged as error:
                built.faults.append(f"{number} is left as it was on the site: {error.what}")
        return found

    def _read_one(self, source: Source) -> Read:
        journal = PublicJournal(Path(source.path))
        journal.catch_up()
        document = build(journal.events)
        summary = summarise(source.number, document, journal.events, self._services)
        return Read(summary, document, journal.events)

    def _refuse_wrong_kind(self, logs: Iterable[Summary]) -> None:
        wrong = next((log for log in logs if log.practice != self._practice), None)
        if wrong is None:
            return
        if wrong.practice:
            raise UsageError(
                f"The log {wrong.number} is PRACTICE; it is not published among public logs.",
                still_true="Nothing was written.",
                next_step="`invoke publish --practice --site DIR` makes a site that says PRACTICE.",
            )
        raise UsageError(
            f"The log {wrong.number} is no practice log, so --practice does not publish it.",
            still_true="Nothing was written.",
            next_step="Leave out --practice.",
        )

    def _logo(self) -> Page | None:
        if not self._settings.logo:
            return None
        path = Path(self._settings.logo)
        try:
            data = read_plain(path)
        except OSError as error:
            raise UsageError(
                f"The logo {path} cannot be read: {error.strerror}.",
                still_true="Nothing was written.",
                next_step="Correct `logo:` in the inventory.",
            ) from error
        if len(data) > LARGEST_LOGO:
            raise UsageError(
                f"The logo {path} has {len(data)} bytes; at most {LARGEST_LOGO} are published.",
                still_true="Nothing was written.",
                next_step="Give a smaller image.",
            )
        return Page(f"logo{path.suffix.lower()}", data)

    def _fingerprint(self, logo: Page | None) -> str:
        """What else pages are made of: settings, services, templates, the program."""
        digest = hashlib.sha256(
            repr((tastyops.__version__, self._settings, self._services, self._zone, logo)).encode()
        )
        for folder in (BUILT_IN, Path(__file__).parent, Path(self._settings.templates or BUILT_IN)):
            for path in sorted(folder.glob("*.*")):
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()[:32]

    def _recall(self) -> _Known:
        """What was remembered; nothing where there is no memory, or another version's."""
        try:
            return msgspec.json.decode(read_plain(self._directory / MEMORY), type=_Known)
        except (OSError, msgspec.MsgspecError):
            return _Known()

    def _remember(
        self, fingerprint: str, logs: dict[str, Summary], read: dict[str, Read],
        sources: dict[str, Source], known: _Known, now: datetime,
    ) -> None:  # fmt: skip
        entries: dict[str, tuple[int, int, str, Summary]] = {}
        for number, summary in sorted(logs.items()):
            source = sources.get(number)
            if number in read and source:
                size, modified = source.size, source.modified
            else:
                size, modified = known.logs[number][:2]
            entries[number] = (size, modified, summary.state(now), summary)
        slugs = [service.slug for service in self._services]
        data = msgspec.json.encode(_Known(self._practice, fingerprint, slugs, entries))
        path = self._directory / MEMORY
        if not path.exists() or read_plain(path) != data:
            write_whole(path, data)


def _by_service(logs: Iterable[Summary]) -> dict[str, list[Summary]]:
    found: dict[str, list[Summary]] = defaultdict(list)
    for log in logs:
        for slug in log.services:
            found[slug].append(log)
    return found


def _only_appended(known: _Known, logs: dict[str, Summary]) -> bool:
    """Whether every log that is new was opened after all that were known."""
    last = max(((entry[3].opened, number) for number, entry in known.logs.items()), default=None)
    new = logs.keys() - known.logs.keys()
    return last is not None and all((logs[number].opened, number) > last for number in new)


def initial(word: str) -> str:
    """The page of the index a word stands on: its first character if that is a-z or 0-9."""
    first = word[0]
    return first if first.isascii() and first.isalnum() else "other"


def find_sources(logs: Path) -> tuple[dict[str, Source], list[str]]:
    """Every journal under ``logs`` by its log's number, and what is wrong with file names."""
    found: dict[str, Source] = {}
    faults = []
    years = logs.iterdir() if logs.is_dir() else ()
    names = sorted(year.name for year in years if _YEAR.fullmatch(year.name) and year.is_dir())
    for year in names:
        with os.scandir(logs / year) as files:
            for entry in sorted(files, key=lambda e: e.name):
                match = _JOURNAL.fullmatch(entry.name)
                if not match or not entry.is_file(follow_symlinks=False):
                    continue
                number = f"{year}/{int(match[1]):03}"
                if number in found:
                    faults.append(f"{entry.path}: {number} is {found[number].path} already.")
                    continue
                status = entry.stat(follow_symlinks=False)
                source = Source(number, entry.path, status.st_size, status.st_mtime_ns)
                found[number] = source
    return found, faults


def _present(directory: Path, logs: Iterable[str]) -> set[str]:
    """The logs whose page is in the directory."""
    found = set()
    for year in {number[:4] for number in logs}:
        with suppress(FileNotFoundError), os.scandir(directory / year) as files:
            found |= {f"{year}/{e.name[:-5]}" for e in files if e.name.endswith(".html")}
    return found


class _Writer:
    """Replaces files that differ; readers see the old bytes or the new ones."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.written: list[str] = []
        self._folders: set[Path] = set()

    def put(self, *pages: Page) -> None:
        """Writes those pages that are not there byte for byte."""
        for page in pages:
            path = self._directory / page.path
            with suppress(FileNotFoundError):
                if read_plain(path) == page.data:
                    continue
            if path.parent not in self._folders:
                make_public_directory(path.parent)
                self._folders.add(path.parent)
            self._replace(path, page.data)
            self.written.append(page.path)

    def _replace(self, path: Path, data: bytes) -> None:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        fd = open_plain(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                if len(self.written) < SYNC_EACH:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def settle(self) -> None:
        """Makes everything written durable."""
        if len(self.written) > SYNC_EACH:
            os.sync()
            return
        for folder in self._folders:
            sync_directory(folder)
