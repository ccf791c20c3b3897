"""What lists need to know of a log, and the state it is in at a given moment.

A summary is small and is kept between two builds, so that a build after one new entry reads one
journal, not ten thousand. The state is derived from the journal, the at-risk period and the clock,
and never from the absence of a closing line alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from tastyops.journal.envelope import unstamp
from tastyops.journal.public_events import Entry, LogOpened, PublicEvent, RiskPeriod
from tastyops.model.public_text import one_line
from tastyops.model.publishing import Service
from tastyops.records.document.build import CANCELLED, Document
from tastyops.records.document.times import local, long_date, offset_name

SHORT = 120
"""Characters of a title in a list."""

GRACE = timedelta(minutes=15)
"""Time after the announced beginning until a page says that the works have not begun."""

_WORD = re.compile(r"[^\W_](?:[\w.+-]*[^\W_])?")
_LONGEST_WORD = 40


class State(StrEnum):
    """What a log means for users now. The order is from bad to good."""

    INCIDENT = "incident"
    AT_RISK = "at-risk"
    UNFINISHED = "unfinished"
    PLANNED = "planned"
    OVER = "over"
    CANCELLED = "cancelled"

    @property
    def words(self) -> str:
        """The state as a badge says it."""
        return _WORDS[self]

    @property
    def is_open(self) -> bool:
        """Whether the log belongs on top of the front page."""
        return self not in (State.OVER, State.CANCELLED)


_WORDS = {
    State.INCIDENT: "Incident open",
    State.AT_RISK: "At risk now",
    State.UNFINISHED: "Not completed",
    State.PLANNED: "Planned",
    State.OVER: "Over",
    State.CANCELLED: "Cancelled",
}

BY_URGENCY = tuple(State)


class Summary(Struct, frozen=True, array_like=True):
    """One log in a list. Moments are seconds since 1970; 0 where there is none.

    ``month``: ``2026-11``, the one in which the log was first published.
    ``phase``: ``planned``, ``running``, ``unfinished``, ``cancelled`` or ``closed``.
    ``sequence`` counts the changes of the announced period and the endings; ``scheduled`` is the
    last of them. ``services``: slugs of those it concerns. ``words``: its terms in the index.
    """

    number: str
    incident: bool
    practice: bool
    title: str
    date: str
    offset: int
    month: str
    phase: str
    status: str
    opened: float
    ended: float
    begins: float
    ends: float
    last_entry: float
    changed: float
    sequence: int
    scheduled: float
    lead: str
    latest: str
    imported: bool
    services: tuple[str, ...]
    words: tuple[str, ...]

    @property
    def year(self) -> str:
        """``2026``."""
        return self.number.partition("/")[0]

    @property
    def page(self) -> str:
        """The permanent address, relative to the site: ``2026/003.html``."""
        return f"{self.number}.html"

    @property
    def tag(self) -> str:
        """``[INCIDENT 2026/003]``, with the word PRACTICE where it was not the real thing."""
        kind = "INCIDENT" if self.incident else "AT RISK"
        return f"[{kind} {self.number}]" + (" PRACTICE" if self.practice else "")

    @property
    def short_title(self) -> str:
        """The title, cut for a list; the log's own page has all of it."""
        return self.title if len(self.title) <= SHORT else self.title[: SHORT - 1] + "…"

    def state(self, now: datetime) -> State:
        """The state at ``now``."""
        if self.phase == "closed":
            return State.OVER
        at = now.timestamp()
        if self.incident:
            return State.INCIDENT
        if self.phase == "cancelled":
            return State.CANCELLED
        if self.phase == "unfinished":
            return State.AT_RISK if at < self.ends else State.UNFINISHED
        if self.phase == "running":
            return State.PLANNED if at < self.begins else State.AT_RISK
        return State.PLANNED

    def next_update(self, now: datetime, within: float) -> datetime | None:
        """The moment by which an open incident or running works owe readers another entry."""
        if self.state(now) not in (State.INCIDENT, State.AT_RISK):
            return None
        return moment(max(self.last_entry, self.opened, self.begins) + within)

    def has_not_begun(self, now: datetime) -> bool:
        """Whether the announced beginning has passed and no run has begun."""
        grace = self.begins + GRACE.total_seconds()
        return self.phase == "planned" and self.begins > 0 and now.timestamp() >= grace

    def overruns(self, now: datetime) -> bool:
        """Whether the works go on after the end of the at-risk period."""
        return self.phase == "running" and 0 < self.ends <= now.timestamp()


def moment(seconds: float) -> datetime:
    """Seconds since 1970 as a moment."""
    return datetime.fromtimestamp(seconds, UTC)


def in_words(at: datetime, offset: int) -> str:
    """``14:05 GMT+1, July 14th 2009``."""
    shown = local(at, offset)
    return f"{shown:%H:%M} {offset_name(offset)}, {long_date(shown)}"


def worst(states: Iterable[State]) -> State:
    """The most urgent of these states; OVER where there is none."""
    found = set(states)
    return next((state for state in BY_URGENCY if state in found), State.OVER)


def summarise(
    number: str, document: Document, events: Sequence[PublicEvent], services: Sequence[Service]
) -> Summary:
    """The summary of a log. ``number`` is the one in its file's name."""
    opening = next((event.body for event in events if isinstance(event.body, LogOpened)), None)
    hosts = set(opening.hosts) if opening else set()
    begins, ends, moves = risk_period(events)
    entries = [event for event in events if isinstance(event.body, Entry)]
    closings = [event for event in events if event.body.kind == "closed"]
    title = one_line(document.title)
    posted = document.imported.posted_at if document.imported else None
    first = posted or (events[0].recorded_at if events else None)
    lead = next(iter(document.summary), "")
    return Summary(
        number=number,
        incident=document.kind == "incident",
        practice=document.practice,
        title=title,
        date=one_line(document.date),
        offset=document.offset,
        month=f"{local(first or moment(0), document.offset):%Y-%m}",
        phase=_phase(document),
        status=one_line(document.status),
        opened=_seconds(first) if first else 0.0,
        ended=_seconds(closings[-1].happened_at) if closings else 0.0,
        begins=_seconds(begins) if begins else 0.0,
        ends=_seconds(ends) if ends else 0.0,
        last_entry=max((_seconds(event.recorded_at) for event in entries), default=0.0),
        changed=max((_seconds(event.recorded_at) for event in events), default=0.0),
        sequence=max(0, moves - 1) + len(closings),
        scheduled=max(
            (_seconds(e.recorded_at) for e in events if e.body.kind in ("risk-period", "closed")),
            default=0.0,
        ),
        lead=_cut(one_line(lead), 240),
        latest=_cut(one_line(document.transcript[0].text), 240) if document.transcript else "",
        imported=document.imported is not None,
        services=tuple(s.slug for s in services if hosts.intersection(s.hosts)),
        words=_words([title, *(work.title for work in document.works)]),
    )


def as_moment(text: str) -> datetime | None:
    """A time of a journal; None for what is no time."""
    try:
        return unstamp(text)
    except ValueError:
        return None


def risk_period(events: Sequence[PublicEvent]) -> tuple[datetime | None, datetime | None, int]:
    """The at-risk period as last announced, and how often it was announced."""
    begins: datetime | None = None
    ends: datetime | None = None
    count = 0
    for event in events:
        if not isinstance(event.body, RiskPeriod):
            continue
        until = as_moment(event.body.ends)
        if until is None:
            continue
        since = as_moment(event.body.begins) or begins or event.happened_at
        begins, ends, count = since, until, count + 1
    return begins, ends, count


def _phase(document: Document) -> str:
    cancelled = document.status.startswith(CANCELLED)
    if document.closed:
        return "cancelled" if cancelled and document.kind != "incident" else "closed"
    if cancelled:
        return "cancelled"
    known = {"Planned": "planned", "In progress": "running"}
    return known.get(document.status, "unfinished")


def _seconds(at: datetime) -> float:
    return at.timestamp()


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _words(texts: Iterable[str]) -> tuple[str, ...]:
    """The terms of an index: words with a letter, of two characters or more, at most sixty."""
    found: dict[str, None] = {}
    for text in texts:
        for word in _WORD.findall(text.casefold()):
            if 2 <= len(word) <= _LONGEST_WORD and not word.isdigit() and word not in _COMMON:
                found[word] = None
    return tuple(found)[:60]


_COMMON = frozenset(
    ("a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "in", "into", "is", "it",
     "its", "of", "off", "on", "or", "that", "the", "to", "until", "was", "were", "will", "with")
)  # fmt: skip
