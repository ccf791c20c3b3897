"""Public events → the log document, which every rendering is made from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from msgspec import structs

from tastyops.journal.envelope import unstamp
from tastyops.journal.public_events import (
    Attends,
    Closed,
    Corrected,
    Entry,
    Imported,
    LogOpened,
    PublicBody,
    PublicEvent,
    Retitled,
    RiskPeriod,
    RunAttached,
    SummaryAdded,
    Withdrawn,
    WorkAdded,
    WorkStatus,
)
from tastyops.records.document.old_log import OldLog, read_old_log
from tastyops.records.document.times import closing_time, local, long_date, offset_name, risk_period

COMPLETED = "Completed"
CANCELLED = "Cancelled"
ENDED_WITHOUT = "Ended without completion"
NOT_COMPLETED = "Not completed"

_TIMED = frozenset({COMPLETED, ENDED_WITHOUT})


@dataclass(frozen=True, slots=True)
class WorkItem:
    """An item of "Works to be carried out" and what became of it, if anything did yet.

    ``run``: the run it belongs to; empty for a work a person added. ``open``: neither done nor left
    out by anybody's choice, so a log with it is not Completed.
    """

    title: str
    status: str = ""
    why: str = ""
    run: str = ""
    by_hand: bool = False
    open: bool = True

    @property
    def note(self) -> str:
        """``(Completed)``, ``(Cancelled: why)``, or nothing."""
        if not self.status:
            return ""
        if self.status == COMPLETED and self.why and not self.by_hand:
            return f"(Completed {self.why})"  # "from step 2.1 on"
        return f"({self.status}: {self.why})" if self.why else f"({self.status})"


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of the transcript, with the minute it stands at.

    ``number`` is how a person who corrects or withdraws it names it; it never changes.
    """

    minute: str
    day: str
    text: str
    points: tuple[str, ...] = ()
    number: int = 0


@dataclass
class Document:
    """A whole log. ``transcript`` is newest first.

    ``closed``: it takes no more works. A run that ended without completion leaves its log open to
    another attempt.
    """

    number: str = ""
    kind: str = "at risk"
    title: str = ""
    date: str = ""
    practice: bool = False
    attending: list[str] = field(default_factory=list)
    status: str = "Planned"
    zone: str = "GMT"
    offset: int = 0
    summary: list[str] = field(default_factory=list)
    works: list[WorkItem] = field(default_factory=list)
    transcript: list[Line] = field(default_factory=list)
    withdrawn: list[Line] = field(default_factory=list)
    records: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    closed: bool = False
    at_risk: str = ""
    """``from 0001hrs until 0200hrs``; empty where no period was said."""
    imported: OldLog | None = None
    """What was written by hand elsewhere, for a log that was imported."""

    @property
    def tag(self) -> str:
        """``[AT RISK 2008/004]``, and the word PRACTICE where it was not the real thing."""
        mark = " PRACTICE" if self.practice else ""
        return f"[{self.kind.upper()} {self.number}]{mark}"

    @property
    def heading(self) -> str:
        """The first line of the log."""
        dash = " -" if self.practice else ""
        return f"{self.tag}{dash} {self.date} - {self.title}"

    @property
    def subtitle(self) -> str:
        """``Maintenance log for …`` or ``Incident log for …``."""
        if self.imported is not None:
            return self.imported.subtitle
        word = "Incident" if self.kind == "incident" else "Maintenance"
        return f"{word} log for {self.date}"

    @property
    def spans_days(self) -> bool:
        """Whether the transcript needs day headings."""
        return len({line.day for line in self.transcript}) > 1


def build(events: Iterable[PublicEvent]) -> Document:
    """The log these events add up to."""
    building = _Building()
    for event in events:
        building.take(event)
    return building.finished()


class _Building:
    """A document in the making, one event after the other."""

    def __init__(self) -> None:
        self._document = Document()
        self._entries: dict[int, tuple[datetime, Entry, bool]] = {}
        """By its line's number: when, what, and whether a person said it to the minute only."""
        self._withdrawn: set[int] = set()
        self._under_way: set[str] = set()
        self._by_hand = False
        self._risk_begins: datetime | None = None

    def take(self, event: PublicEvent) -> None:
        """One event; a kind that says nothing to a reader of the page is passed over."""
        document = self._document
        match event.body:
            case LogOpened() as opened:
                self._by_hand = opened.by_hand
                self._document = _opened(opened)
            case Entry() as entry:
                at = event.happened_at
                vague = bool(entry.remark and event.who and not (at.second or at.microsecond))
                self._entries[event.seq] = (at, entry, vague)
            case Corrected(entry=number, text=text) if number in self._entries:
                at, entry, vague = self._entries[number]
                self._entries[number] = (at, structs.replace(entry, text=text), vague)
            case Withdrawn(entry=number):
                self._withdrawn.add(number)
            case SummaryAdded(text=text):
                document.summary.append(text)
            case Retitled(title=title):
                document.title = title
            case RiskPeriod() as period:
                with contextlib.suppress(ValueError):  # a line that is no time's says nothing
                    self._at_risk(period, event.happened_at)
            case Attends(name=name):
                if name not in document.attending:
                    document.attending.append(name)
            case Imported(posted=posted, lines=text):
                document.imported = read_old_log(text, posted, document.offset)
                _fill(document, document.imported)
            case Closed() as closed:
                self._close(closed, event.happened_at)
            case body:
                self._take_of_works(body)

    def _at_risk(self, period: RiskPeriod, at: datetime) -> None:
        if period.begins or self._risk_begins is None:
            self._risk_begins = unstamp(period.begins) if period.begins else at
        document = self._document
        document.at_risk = risk_period(
            self._risk_begins, unstamp(period.ends), document.offset, document.date
        )

    def _take_of_works(self, body: PublicBody) -> None:
        works = self._document.works
        match body:
            case WorkAdded(title=title):
                works.append(WorkItem(title))
            case WorkStatus(number=number) if 1 <= number <= len(works):
                works[number - 1] = replace(
                    works[number - 1], status=body.status, why=body.why, by_hand=body.by_hand,
                    open=body.status in ("", NOT_COMPLETED),
                )
            case RunAttached(run=run, offset=offset):
                self._document.status = "In progress"
                self._document.runs.append(run)
                self._under_way.add(run)
                works[offset:] = [replace(work, run=run) for work in works[offset:]]
            case _:
                pass

    def _close(self, closed: Closed, at: datetime) -> None:
        if closed.run:
            self._run_closed(closed, at)
            return
        self._document.status = self._ended(closed.status, at)
        self._document.closed = True

    def _run_closed(self, closed: Closed, at: datetime) -> None:
        """A run's end is the log's, unless another run goes on, or a person has the last word.

        A person has it who opened the log, has closed it, or added a work that is not done.
        """
        document = self._document
        self._under_way.discard(closed.run)
        if closed.head:
            document.records.append(
                f"run {closed.run}, {closed.events} events, head {closed.head}"
            )
        if closed.status != COMPLETED:
            document.works = [_left_over(work, closed.run) for work in document.works]
        awaited = any(not work.run and not work.status for work in document.works)
        if self._by_hand or self._under_way or document.closed or awaited:
            return
        others_open = any(work.open for work in document.works if work.run != closed.run)
        done = closed.status == COMPLETED and not others_open
        status = ENDED_WITHOUT if closed.status == COMPLETED and others_open else closed.status
        document.status = self._ended(status, at)
        document.closed = done

    def _ended(self, status: str, at: datetime) -> str:
        timed = status in _TIMED
        return f"{status} at {closing_time(at, self._document.offset)}" if timed else status

    def finished(self) -> Document:
        """The document, its transcript in order."""
        document = self._document
        lines = _transcript(self._entries, document.offset)
        if document.imported is not None:
            lines += _old_lines(document.imported)
        document.transcript = [line for line in lines if line.number not in self._withdrawn]
        document.withdrawn = [line for line in lines if line.number in self._withdrawn]
        return document


def _fill(document: Document, old: OldLog) -> None:
    """Puts what was written by hand into the document; its transcript comes when all is known."""
    document.attending = [old.attending] if old.attending else []
    document.status = old.status.removesuffix(".") or "Not stated"
    document.closed = old.is_over
    for point in old.points:
        document.summary += [point.text, *point.points]
    for work in old.works:
        document.works.append(WorkItem(work.title, work.note, open=not work.note))


def _old_lines(old: OldLog) -> list[Line]:
    """The transcript in the order of its source. Their numbers are negative: no event is one."""
    return [
        Line(line.minute, line.day, line.text, line.points, -number)
        for number, line in enumerate(old.transcript, 1)
    ]


def _left_over(work: WorkItem, run: str) -> WorkItem:
    """What a run that failed or was stopped never began was not left out by anybody's choice."""
    ours = work.run == run and work.status == CANCELLED and not work.by_hand
    return replace(work, open=True) if ours else work


def _opened(opened: LogOpened) -> Document:
    return Document(
        number=opened.number,
        kind=opened.kind_of,
        title=opened.title,
        date=opened.date,
        practice=opened.practice,
        attending=list(opened.attending),
        status="In progress" if opened.kind_of == "incident" else "Planned",
        zone=offset_name(opened.offset),
        offset=opened.offset,
        summary=list(opened.summary),
        works=[WorkItem(title) for title in opened.works],
    )


def _transcript(entries: Mapping[int, tuple[datetime, Entry, bool]], offset: int) -> list[Line]:
    """Newest first: by the moment it happened, then by recording.

    The machine's entries keep their order even if the clock stepped back. What a person said to the
    minute only stands after the entries of that minute that were there when it was recorded.
    """
    placed: list[tuple[datetime, int, datetime, Entry]] = []
    latest: datetime | None = None
    last_of: dict[datetime, datetime] = {}
    for number, (at, entry, vague) in entries.items():
        place = at
        if not entry.remark:
            latest = place = at if latest is None else max(latest, at)
        elif vague:
            place = last_of.get(at, at)
        placed.append((place, number, at, entry))
        minute = place.replace(second=0, microsecond=0)
        last_of[minute] = max(place, last_of.get(minute, place))
    placed.sort(key=lambda item: item[:2], reverse=True)
    return [
        Line(
            f"{local(at, offset):%H%M}",
            long_date(local(at, offset)),
            entry.text,
            tuple(entry.points),
            number,
        )
        for _, number, at, entry in placed
    ]
