"""Public events → the log document, which every rendering is made from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from tastyops.document.times import closing_time, local, long_date, offset_name
from tastyops.journal.public import (
    Attends,
    Closed,
    Entry,
    LogOpened,
    PublicEvent,
    RunAttached,
    WorkStatus,
)

_TIMED = frozenset({"Completed", "Ended without completion"})


@dataclass(frozen=True, slots=True)
class WorkItem:
    """An item of "Works to be carried out" and what became of it, if anything did yet."""

    title: str
    status: str = ""
    why: str = ""

    @property
    def note(self) -> str:
        """``(Completed)``, ``(Cancelled: why)``, or nothing."""
        if not self.status:
            return ""
        if self.status == "Completed":
            return f"(Completed {self.why})" if self.why else "(Completed)"
        return f"({self.status}: {self.why})" if self.why else f"({self.status})"


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of the transcript, with the minute it stands at."""

    minute: str
    day: str
    text: str
    points: tuple[str, ...] = ()


@dataclass
class Document:
    """A whole log. ``transcript`` is newest first."""

    number: str = ""
    kind: str = "at risk"
    title: str = ""
    date: str = ""
    practice: bool = False
    attending: list[str] = field(default_factory=list)
    status: str = "Planned"
    zone: str = "GMT"
    summary: list[str] = field(default_factory=list)
    works: list[WorkItem] = field(default_factory=list)
    transcript: list[Line] = field(default_factory=list)
    record: str = ""

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
        word = "Incident" if self.kind == "incident" else "Maintenance"
        return f"{word} log for {self.date}"

    @property
    def spans_days(self) -> bool:
        """Whether the transcript needs day headings."""
        return len({line.day for line in self.transcript}) > 1


def build(events: Iterable[PublicEvent]) -> Document:
    """The log these events add up to."""
    document, offset = Document(), 0
    entries: list[tuple[datetime, Entry]] = []
    for event in events:
        match event.body:
            case LogOpened() as opened:
                offset = opened.offset
                document = _opened(opened)
            case Entry() as entry:
                entries.append((event.happened_at, entry))
            case RunAttached():
                document.status = "In progress"
            case WorkStatus(number=number, status=status, why=why):
                item = document.works[number - 1]
                document.works[number - 1] = WorkItem(item.title, status, why)
            case Attends(name=name):
                if name not in document.attending:
                    document.attending.append(name)
            case Closed() as closed:
                _close(document, closed, event.happened_at, offset)
            case _:
                pass
    document.transcript = _transcript(entries, offset)
    return document


def _opened(opened: LogOpened) -> Document:
    return Document(
        number=opened.number,
        kind=opened.kind_of,
        title=opened.title,
        date=opened.date,
        practice=opened.practice,
        attending=list(opened.attending),
        zone=offset_name(opened.offset),
        summary=list(opened.summary),
        works=[WorkItem(title) for title in opened.works],
    )


def _close(document: Document, closed: Closed, at: datetime, offset: int) -> None:
    timed = closed.status in _TIMED
    document.status = f"{closed.status} at {closing_time(at, offset)}" if timed else closed.status
    if closed.head:
        document.record = f"run {closed.run}, {closed.events} events, head {closed.head}"


def _transcript(entries: list[tuple[datetime, Entry]], offset: int) -> list[Line]:
    """Newest first. The machine's entries keep their order even if the clock stepped back."""
    placed: list[tuple[datetime, int, datetime, Entry]] = []
    latest: datetime | None = None
    for index, (at, entry) in enumerate(entries):
        place = at
        if not entry.remark:
            latest = place = at if latest is None else max(latest, at)
        placed.append((place.replace(second=0, microsecond=0), index, at, entry))
    placed.sort(key=lambda item: item[:2], reverse=True)
    return [
        Line(
            f"{local(at, offset):%H%M}",
            long_date(local(at, offset)),
            entry.text,
            tuple(entry.points),
        )
        for _, _, at, entry in placed
    ]
