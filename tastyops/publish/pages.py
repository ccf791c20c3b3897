"""HTML: every page of the site, from summaries and documents. Reads no log and writes no file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import BaseLoader, ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from tastyops.journal.public_events import PublicEvent, RiskPeriod
from tastyops.model.public_text import one_line
from tastyops.model.publishing import Publishing, Service
from tastyops.publish.charts import month_name, time_element, timeline, year_at_a_glance
from tastyops.publish.summary import GRACE, State, Summary, moment, risk_period, worst
from tastyops.records.document.build import Document, Line
from tastyops.records.document.times import offset_minutes

BUILT_IN = Path(__file__).with_name("templates")

LATEST = 12
"""Logs in the list of the front page."""

MOST_OPEN = 25
"""Open logs on the front page."""

ON_A_PAGE = 60
"""Logs in a list before a part of it becomes a page of its own."""

PART = 24_000
"""Characters of escaped transcript, or of an index, on one page: a page stays under 50 KB."""

DASH = " \N{EN DASH} "
"""Between the parts of a page's title."""

Needed = Callable[[str, Sequence[Summary]], bool]
"""Whether a part of a list, with its path and its logs, has to be rendered."""


def every_part(path: str, logs: Sequence[Summary]) -> bool:
    """Every part is rendered."""
    return True


_LINK = re.compile(r"https?://[^\s<>\"'\\]+")


@dataclass(frozen=True, slots=True)
class Page:
    """A file of the site."""

    path: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table of contents."""

    path: str
    name: str
    incidents: int
    works: int


@dataclass(frozen=True, slots=True)
class Link:
    """A link from one list to another."""

    path: str
    name: str


@dataclass(frozen=True, slots=True)
class Group:
    """Logs under a heading."""

    heading: str
    logs: Sequence[Summary]


@dataclass(frozen=True, slots=True)
class Point:
    """A sentence at the head of a log, with points under it."""

    text: str
    points: tuple[str, ...] = ()


def linked(text: str) -> Markup:
    """Text as HTML: escaped, its http and https addresses made links."""
    clean = one_line(str(text))
    found, end = Markup(""), 0
    for match in _LINK.finditer(clean):
        address = match[0].rstrip(".,;:!?)]}")
        found += escape(clean[end : match.start()])
        found += Markup('<a href="{0}" rel="nofollow noreferrer">{0}</a>').format(address)
        end = match.start() + len(address)
    return found + escape(clean[end:])


class Pages:
    """Renders pages. ``now`` decides what is open; nothing else on a page comes from the clock."""

    def __init__(
        self,
        site: Publishing,
        services: Sequence[Service],
        zone: str,
        now: datetime,
        *,
        practice: bool,
        logo: str = "",
    ) -> None:
        self._site, self._services, self._zone, self._now = site, services, zone, now
        own: list[BaseLoader] = [FileSystemLoader(site.templates)] if site.templates else []
        self._environment = Environment(
            loader=ChoiceLoader([*own, FileSystemLoader(BUILT_IN)]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        names = {service.slug: service.name for service in services}
        self._environment.filters.update(
            linked=linked,
            clean=one_line,
            at=lambda at, offset: time_element(moment(at) if isinstance(at, float) else at, offset),
            stamp=self._stamp,
            service_name=lambda slug: names.get(slug, slug),
        )
        self._environment.globals.update(
            site=site, services=services, practice=practice, logo=logo, now=now, service=None
        )

    def _stamp(self, at: datetime) -> Markup:
        return time_element(at, offset_minutes(self._zone, at))

    def _page(self, template: str, path: str, title: str, **values: Any) -> Page:
        root = "../" * path.count("/")
        text = self._environment.get_template(template).render(
            path=path, root=root, page_title=one_line(title), **values
        )
        return Page(path, text.encode())

    def style(self) -> Page:
        """The stylesheet, with the site's colours in it."""
        text = self._environment.get_template("style.css").render(
            colour=self._site.colour, colour_dark=self._site.colour_dark
        )
        return Page("style.css", text.encode())

    def front(self, logs: Sequence[Summary], as_of: datetime | None) -> Page:
        """The front page; ``logs`` are newest first."""
        states = {log.number: log.state(self._now) for log in logs}
        open_logs = [log for log in logs if states[log.number].is_open]
        order = list(State)
        open_logs.sort(key=lambda log: order.index(states[log.number]))  # stable: newest first
        headline = worst(states[log.number] for log in open_logs)
        closed = [log for log in logs if not states[log.number].is_open]
        return self._page(
            "front.html",
            "index.html",
            f"{headline_words(headline)}{DASH}{self._site.title}",
            headline=_Headline(headline, open_logs, states),
            open=open_logs[:MOST_OPEN],
            more_open=max(0, len(open_logs) - MOST_OPEN),
            service_states=self.service_states(open_logs),
            latest=closed[:LATEST],
            glance=year_at_a_glance(logs, max((log.month for log in logs), default="1970-01")),
            as_of=as_of,
        )

    def service_states(self, open_logs: Iterable[Summary]) -> list[tuple[Service, State]]:
        """Each service with its worst state."""
        states: dict[str, list[State]] = {service.slug: [] for service in self._services}
        for log in open_logs:
            for slug in log.services:
                states[slug].append(log.state(self._now))
        return [(service, worst(states[service.slug])) for service in self._services]

    def log(self, log: Summary, document: Document, events: Sequence[PublicEvent]) -> list[Page]:
        """A log's page, and a page for each part of a long transcript."""
        moments = {event.seq: event.happened_at for event in events}
        old = document.imported
        if old:
            moments |= {-i: line.at for i, line in enumerate(old.transcript, 1) if line.at}
        state = log.state(self._now)
        parts = _parts(document.transcript)
        numbered = [(f"{log.number}-part-{i}.html", i) for i in range(len(parts) - 1, 0, -1)]
        links = [{"path": path, "number": number} for path, number in numbered]
        title = f"{state.words}{DASH}{log.short_title}{DASH}{self._site.title}"
        as_of = self.as_of([log])
        first = events[0].recorded_at if events else self._now
        render = partial(
            self._page, "log.html",
            log=log, document=document, state=state, as_of=as_of,
            summary=old.points if old else [Point(line) for line in document.summary],
            moved=_moved(log, events),
            posted=old.posted if old else time_element(first, log.offset),
            timeline=timeline(log, document, events, as_of or self._now),
        )  # fmt: skip
        pages = [render(log.page, title, part=0, parts=links, days=_days(parts[0], moments, log))]
        for (path, number), lines in zip(numbered, parts[1:], strict=True):
            days = _days(lines, moments, log)
            pages.append(render(path, title, part=number, parts=[], days=days))
        return pages

    def as_of(self, logs: Iterable[Summary]) -> datetime | None:
        """The last moment at which an entry or the clock changed what is shown of these logs."""
        found = 0.0
        now, within = self._now.timestamp(), self._site.next_update
        for log in logs:
            found = max(found, log.changed)
            if log.state(self._now).is_open:
                due = max(log.last_entry, log.opened, log.begins) + within
                turns = (log.begins, log.begins + GRACE.total_seconds(), log.ends, due)
                found = max(found, *(at if at <= now else 0.0 for at in turns))
        return moment(found) if found else None

    def month(self, key: str, logs: Sequence[Summary]) -> list[Page]:
        """The logs of a month, newest first; a long month in parts."""
        return self._list(f"archive/{key}", month_name(key), logs)

    def year(self, key: str, logs: Sequence[Summary]) -> Page:
        """A year: its months, and its logs if they are few."""
        months = sorted({log.month for log in logs}, reverse=True)
        rows = [
            _row(f"archive/{month}.html", month_name(month), [s for s in logs if s.month == month])
            for month in months
        ]
        groups = [Group("Logs", logs)] if len(logs) <= ON_A_PAGE else []
        return self._page(
            "list.html", f"archive/{key}.html", f"{key}{DASH}{self._site.title}",
            heading=key, lead="", rows=rows, row_name="Month", groups=groups, links=[],
            links_name="", as_of=self.as_of(logs),
        )  # fmt: skip

    def archive(self, by_year: Mapping[str, Sequence[Summary]]) -> Page:
        """The years."""
        rows = [
            _row(f"archive/{key}.html", key, by_year[key]) for key in sorted(by_year, reverse=True)
        ]
        return self._page(
            "list.html", "archive.html", f"Archive{DASH}{self._site.title}",
            heading="Archive", lead="", rows=rows, row_name="Year", groups=[], links=[],
            links_name="", as_of=None,
        )  # fmt: skip

    def service(
        self, service: Service, logs: Sequence[Summary], needed: Needed = every_part
    ) -> list[Page]:
        """A service: its state, its open logs and its history; a long history in parts.

        Parts that are not ``needed`` are left out.
        """
        open_logs = [log for log in logs if log.state(self._now).is_open]
        state = worst(log.state(self._now) for log in open_logs)
        return self._list(
            f"services/{service.slug}",
            service.name,
            logs,
            lead=service.note,
            title=f"{headline_words(state)}{DASH}{service.name}{DASH}{self._site.title}",
            needed=needed,
            service=service,
            service_state=state,
        )

    def services(self, logs: Iterable[Summary]) -> Page:
        """All services with their states."""
        states = self.service_states(log for log in logs if log.state(self._now).is_open)
        title = f"Services{DASH}{self._site.title}"
        return self._page(
            "services.html", "services.html", title, service_states=states, as_of=None
        )

    def _list(
        self, stem: str, heading: str, logs: Sequence[Summary], *, title: str = "", lead: str = "",
        needed: Needed = every_part, **values: Any,
    ) -> list[Page]:  # fmt: skip
        """Logs, newest first. The oldest sixty are part 1 and stay so, whatever is added."""
        in_parts = max(0, (len(logs) - 1) // ON_A_PAGE)
        top = len(logs) - in_parts * ON_A_PAGE
        chunks = [(f"{stem}.html", logs[:top])]
        for number in range(in_parts, 0, -1):
            start = top + (in_parts - number) * ON_A_PAGE
            chunks.append((f"{stem}-part-{number}.html", logs[start : start + ON_A_PAGE]))
        links = [Link(path, path[len(stem) + 1 : -5].replace("-", " ")) for path, _ in chunks[1:]]
        found = []
        for path, some in chunks:
            if path != chunks[0][0] and not needed(path, some):
                continue
            part = "" if path == chunks[0][0] else f", {path[len(stem) + 1 : -5].replace('-', ' ')}"
            found.append(
                self._page(
                    "list.html", path, title or f"{heading}{part}{DASH}{self._site.title}",
                    heading=heading + part, lead=lead, rows=[], row_name="",
                    groups=[Group("", some)] if some else [],
                    links=links if path == chunks[0][0] else [], links_name="Older logs",
                    as_of=self.as_of(some), **values,
                )
            )  # fmt: skip
        return found

    def search(self, initials: Iterable[str]) -> Page:
        """The way into the index of words."""
        letters = [Link(f"index/{name}.html", name.upper()) for name in sorted(initials)]
        return self._page(
            "search.html", "search.html", f"Search{DASH}{self._site.title}",
            heading="Search", letters=letters, words=[], links=[], as_of=None,
        )  # fmt: skip

    def index(self, initial: str, words: Sequence[IndexedWord]) -> list[Page]:
        """The words with that initial; more than a page holds, in parts."""
        chunks: list[list[IndexedWord]] = [[]]
        size = 0
        for word in words:
            length = 60 + sum(90 + len(escape(log.title[:60])) for log in word.logs)
            if chunks[-1] and size + length > PART:
                chunks.append([])
                size = 0
            chunks[-1].append(word)
            size += length
        stem = f"index/{initial}"
        paths = [f"{stem}.html", *(f"{stem}-part-{i}.html" for i in range(2, len(chunks) + 1))]
        links = [
            Link(path, f"{some[0].word} to {some[-1].word}")
            for path, some in zip(paths, chunks, strict=True)
            if some
        ]
        heading = f"Words with {initial.upper()}"
        return [
            self._page(
                "search.html", path, f"{heading}{DASH}{self._site.title}",
                heading=heading, letters=[], words=some, as_of=None,
                links=[link for link in links if link.path != path],
            )
            for path, some in zip(paths, chunks, strict=True)
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class IndexedWord:
    """A word of the index, with the newest logs it stands in and the number of older ones."""

    word: str
    logs: Sequence[Summary]
    more: int


def headline_words(state: State) -> str:
    """The state of everything in two or three words."""
    return {
        State.INCIDENT: "Incident open",
        State.AT_RISK: "At risk now",
        State.UNFINISHED: "Works not completed",
        State.PLANNED: "All is well; works are planned",
    }.get(state, "All is well")


class _Headline:
    """The state of everything, and the log that causes it."""

    def __init__(
        self, state: State, open_logs: Sequence[Summary], states: Mapping[str, State]
    ) -> None:
        self.state = State.OVER if state is State.PLANNED else state
        self.words = headline_words(state)
        causes = [log for log in open_logs if states[log.number] is state]
        if not causes:
            self.sentence = Markup("No incident is open and no works are under way.")
            return
        link = Markup('<a href="{}">{}</a>').format(causes[0].page, causes[0].short_title)
        more = f" and {len(causes) - 1} more" if len(causes) > 1 else ""
        self.sentence = link + more + "."


def _row(path: str, name: str, logs: Sequence[Summary]) -> Row:
    incidents = sum(log.incident for log in logs)
    return Row(path, name, incidents, len(logs) - incidents)


def _moved(log: Summary, events: Sequence[PublicEvent]) -> list[Markup]:
    """The at-risk periods announced before the present one, oldest first."""
    told = []
    for index, event in enumerate(events):
        if isinstance(event.body, RiskPeriod):
            begins, ends, _ = risk_period(events[: index + 1])
            if begins and ends:
                told.append((begins, ends))
    present = (moment(log.begins), moment(log.ends))
    return [
        Markup("{} to {}").format(*(time_element(at, log.offset) for at in period))
        for period in dict.fromkeys(told)
        if period != present
    ]


def _parts(transcript: Sequence[Line]) -> list[list[Line]]:
    """The transcript in pages, newest first. Filled from the oldest line, so full pages stay."""
    parts: list[list[Line]] = [[]]
    size = 0
    for line in reversed(transcript):
        length = sum(len(escape(one_line(text))) + 60 for text in (line.text, *line.points)) + 160
        if parts[0] and size + length > PART:
            parts.insert(0, [])
            size = 0
        parts[0].insert(0, line)
        size += length
    return parts


def _days(
    lines: Sequence[Line], moments: Mapping[int, datetime], log: Summary
) -> list[dict[str, Any]]:
    """The lines by day; each day's list goes on counting down where the day before ended."""
    days: list[dict[str, Any]] = []
    left = len(lines)
    for line in lines:
        if not days or days[-1]["name"] != line.day:
            days.append({"name": line.day, "first": left, "lines": []})
        at = moments.get(line.number)
        days[-1]["lines"].append(
            {
                "number": line.number,
                "iso": f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if at else "",
                "minute": f"{line.minute[:2]}:{line.minute[2:]}" if line.minute else "",
                "text": line.text,
                "points": line.points,
            }
        )
        left -= 1
    return days
