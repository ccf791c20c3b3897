"""Inline SVG: a log's timeline, and a year at a glance. Each comes with the same facts as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from markupsafe import Markup, escape

from tastyops.journal.public_events import Closed, Entry, PublicEvent, RunAttached, WorkStatus
from tastyops.publish.summary import Summary, in_words, moment
from tastyops.records.document.build import COMPLETED, Document
from tastyops.records.document.times import local, long_date

WIDTH, LEFT, RIGHT, ROW = 720, 110, 16, 30
"""Units of the drawing; it is scaled to the page's width."""

MOST_MARKS = 120
"""Marks on one row; among more, the eye sees a bar anyway."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing and its facts in words."""

    svg: Markup
    facts: tuple[Markup, ...] = ()


@dataclass
class _Row:
    """One row of a timeline: bars from one moment to another, and marks at single moments."""

    name: str
    style: str = ""
    bars: list[tuple[datetime, datetime]] = field(default_factory=list)
    marks: list[datetime] = field(default_factory=list)


def time_element(at: datetime, offset: int) -> Markup:
    """``<time>`` for people and machines: hour and minute, zone, day."""
    return Markup('<time datetime="{}">{}</time>').format(
        f"{at:%Y-%m-%dT%H:%M:%SZ}", in_words(at, offset)
    )


def timeline(
    log: Summary, document: Document, events: Sequence[PublicEvent], now: datetime
) -> Chart | None:
    """When the works or the incident ran, with the at-risk period, completed works and entries.

    None for a log with fewer than two moments. ``now``: the right end of what has not ended.
    """
    if document.imported:
        marks = [line.at for line in document.imported.transcript if line.at]
        rows = [_Row("Entries", "mark-entry", [], marks)]
    else:
        rows = [row for row in _rows(log, events, now) if row.bars or row.marks]
    moments = [at for row in rows for at in [*row.marks, *(end for bar in row.bars for end in bar)]]
    if not moments or max(moments) - min(moments) < timedelta(minutes=1):
        return None
    first, last = min(moments), max(moments)

    def x(at: datetime) -> float:
        share = (at - first) / (last - first)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    height = ROW * len(rows) + 34
    parts = [
        Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-labelledby="chart">').format(
            WIDTH, height
        ),
        Markup(
            '<title id="chart">Timeline of {}; the list below has the same facts</title>'
        ).format(log.number),
    ]
    for index, row in enumerate(rows):
        parts += _drawn(row, ROW * index + 6, x)
    bottom = ROW * len(rows) + 8
    parts.append(
        Markup('<path class="axis" fill="none" d="M{0} {2}H{1}"/>').format(
            LEFT, WIDTH - RIGHT, bottom
        )
    )
    same_day = local(first, log.offset).date() == local(last, log.offset).date()
    for at, anchor in ((first, "start"), (last, "end")):
        shown = local(at, log.offset)
        label = f"{shown:%H:%M}" if same_day else f"{shown:%H:%M}, {long_date(shown)}"
        parts.append(
            Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(
                x(at), bottom + 18, anchor, label
            )
        )
    return Chart(Markup("").join([*parts, Markup("</svg>")]), tuple(_facts(log, document, rows)))


def _rows(log: Summary, events: Sequence[PublicEvent], now: datetime) -> Iterable[_Row]:
    def is_over(at: float) -> datetime:
        return moment(at) if at else now

    if log.ends:
        begins = moment(log.begins or log.ends)
        yield _Row("At-risk period", "bar-risk", [(begins, max(begins, moment(log.ends)))])
    if log.incident and events:
        since = min(event.happened_at for event in events)
        yield _Row("Incident", "bar-incident", [(since, max(since, is_over(log.ended)))])
    begun = {e.body.run: e.happened_at for e in reversed(events) if isinstance(e.body, RunAttached)}
    ended = {e.body.run: e.happened_at for e in events if isinstance(e.body, Closed)}
    runs = [(at, max(at, ended.get(run) or is_over(log.ended))) for run, at in begun.items()]
    yield _Row("Works" if not log.incident else "Repair", "bar-run", sorted(runs))
    done = [
        e.happened_at
        for e in events
        if isinstance(e.body, WorkStatus) and e.body.status == COMPLETED
    ]
    yield _Row("Completed", "mark-done", [], done)
    yield _Row("Entries", "mark-entry", [], [
        e.happened_at for e in events if isinstance(e.body, Entry)
    ])  # fmt: skip


def _drawn(row: _Row, top: int, x: Callable[[datetime], float]) -> Iterable[Markup]:
    yield Markup('<text x="0" y="{}">{}</text>').format(top + 14, row.name)
    for since, until in row.bars:
        width = max(3.0, round(x(until) - x(since), 1))
        yield Markup('<rect class="{}" x="{}" y="{}" width="{}" height="16" rx="2"/>').format(
            row.style, x(since), top + 2, width
        )
    places = list(dict.fromkeys(x(at) for at in sorted(row.marks)))
    for place in places[:: max(1, -(-len(places) // MOST_MARKS))]:
        if row.style == "mark-done":
            path = Markup('<path class="mark-done" d="M{} {}l7 8-7 8-7-8z"/>').format(
                place, top + 2
            )
        else:
            path = Markup('<path class="mark-entry" d="M{} {}v16"/>').format(place, top + 2)
        yield path


def _facts(log: Summary, document: Document, rows: Sequence[_Row]) -> Iterable[Markup]:
    for row in rows:
        for since, until in row.bars:
            over = log.ended or row.name == "At-risk period"
            length = "" if not over else f" ({span(until - since)})"
            end = time_element(until, log.offset) if over else Markup("now")
            yield Markup("{}: {} to {}{}").format(
                row.name, time_element(since, log.offset), end, length
            )
        if row.marks and row.name == "Completed":
            done = sum(work.status == COMPLETED for work in document.works)
            yield Markup("Works completed: {} of {}").format(done, len(document.works))
        elif row.marks:
            yield Markup("Entries: {}, see the transcript").format(len(row.marks))


def span(length: timedelta) -> str:
    """``2h 32min``; whole minutes."""
    minutes = round(length.total_seconds() / 60)
    days, rest = divmod(minutes, 24 * 60)
    hours, left = divmod(rest, 60)
    words = [f"{days}d"] * bool(days) + [f"{hours}h"] * bool(hours) + [f"{left}min"] * bool(left)
    return " ".join(words) or "under 1min"


@dataclass(frozen=True, slots=True)
class Month:
    """A row of the year's table."""

    key: str
    name: str
    incidents: int
    works: int

    @property
    def count(self) -> int:
        """Logs of that month."""
        return self.incidents + self.works


@dataclass(frozen=True, slots=True)
class Glance:
    """The last twelve months: a row for each, a mark for each log on its day."""

    title: str
    svg: Markup
    months: tuple[Month, ...]


MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


def month_name(key: str) -> str:
    """``2026-11`` as ``November 2026``."""
    year, _, month = key.partition("-")
    return f"{MONTHS[int(month) - 1]} {year}"


def year_at_a_glance(logs: Iterable[Summary], newest: str) -> Glance:
    """The twelve months up to ``newest`` (``2026-11``). Marks of one day and kind are one mark."""
    year, month = int(newest[:4]), int(newest[5:7])
    keys = [f"{year - (i >= month)}-{(month - 1 - i) % 12 + 1:02}" for i in range(12)]
    found: dict[str, list[Summary]] = {key: [] for key in keys}
    for log in logs:
        if log.month in found:
            found[log.month].append(log)
    rows = tuple(
        Month(key, month_name(key), sum(log.incident for log in in_month),
              sum(not log.incident for log in in_month))
        for key, in_month in found.items()
    )  # fmt: skip
    parts = [
        Markup(
            '<svg class="chart" viewBox="0 0 720 {}" role="img" aria-labelledby="glance">'
        ).format(12 * 20 + 8),
        Markup(
            '<title id="glance">Logs by day over twelve months; the table has the numbers</title>'
        ),
    ]
    for index, (key, in_month) in enumerate(found.items()):
        top = index * 20 + 4
        parts.append(Markup('<text x="0" y="{}">{}</text>').format(top + 13, month_name(key)))
        parts.append(
            Markup('<rect class="bar" x="130" y="{}" width="576" height="16" rx="2"/>').format(top)
        )
        days = sorted({(local(moment(s.opened), s.offset).day, s.incident) for s in in_month})
        for day, incident in days:
            at = 133 + round((day - 1) * 18.4, 1)
            shape = (
                Markup('<rect class="mark-incident" x="{}" y="{}" width="9" height="10"/>').format(
                    at, top + 3
                )
                if incident
                else Markup('<path class="mark-works" d="M{} {}l6 11h-12z"/>').format(
                    at + 12, top + 2
                )
            )
            parts.append(shape)
    svg = Markup("").join([*parts, Markup("</svg>")])
    return Glance(f"{escape(month_name(keys[-1]))} to {month_name(keys[0])}", svg, rows)
