"""The iCalendar of announced works (RFC 5545, RFC 5546), with MAINTNOTE properties.

All times are UTC, because clients misread time zones. The UID never changes, SEQUENCE and the
stamps come from the log's journal, so equal logs give equal bytes. Works of the last year stay; a
cancelled event stays, marked, until its end has passed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from tastyops.model.publishing import Publishing, Service
from tastyops.publish.summary import State, Summary, in_words, moment

KEPT = timedelta(days=366)
"""Time that an event stays in the calendar after its end."""

FOLD = 75
"""Octets of a line (RFC 5545, 3.1)."""


def render_calendar(
    logs: Iterable[Summary], site: Publishing, name: str, services: Sequence[Service],
    now: datetime,
) -> bytes:  # fmt: skip
    """The calendar of these logs' at-risk periods."""
    names = {service.slug: service.name for service in services}
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//tastyops//publish//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"NAME:{escape_text(name)}",
        f"X-WR-CALNAME:{escape_text(name)}",
        "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
        "X-PUBLISHED-TTL:PT1H",
    ]
    for log in sorted(logs, key=lambda each: each.number):
        if _belongs(log, now):
            lines += _event(log, site, names, now)
    lines.append("END:VCALENDAR")
    return b"".join(folded(line) for line in lines)


def _belongs(log: Summary, now: datetime) -> bool:
    if log.incident or not log.ends:
        return False
    kept = timedelta() if log.state(now) is State.CANCELLED else KEPT
    return moment(log.ends) + kept >= now


def _event(log: Summary, site: Publishing, names: dict[str, str], now: datetime) -> Iterator[str]:
    state = log.state(now)
    cancelled = state is State.CANCELLED
    begins = moment(log.begins or log.ends)
    ends = max(moment(log.ends), begins + timedelta(minutes=1))
    mark = "PRACTICE " if log.practice else ""
    summary = ("Cancelled: " if cancelled else "") + f"{mark}{log.short_title}"
    changed = utc(moment(log.scheduled))
    period = " until ".join(in_words(at, log.offset) for at in (begins, ends))
    concerned = [names[slug] for slug in log.services if slug in names] or [site.title]
    yield "BEGIN:VEVENT"
    yield f"UID:{log.number.replace('/', '-')}@{site.authority}"
    yield f"SEQUENCE:{log.sequence}"
    yield f"DTSTAMP:{changed}"
    yield f"LAST-MODIFIED:{changed}"
    yield f"DTSTART:{utc(begins)}"
    yield f"DTEND:{utc(ends)}"
    yield f"SUMMARY:{escape_text(summary)}"
    yield "DESCRIPTION:" + escape_text(f"{log.tag} {period}. {log.lead}".strip())
    yield f"URL:{site.address}{log.page}"
    yield f"STATUS:{'CANCELLED' if cancelled else 'CONFIRMED'}"
    yield "TRANSP:TRANSPARENT"
    yield "CATEGORIES:" + ",".join(escape_text(each) for each in concerned)
    yield f"X-MAINTNOTE-PROVIDER:{escape_text(site.authority)}"
    yield f"X-MAINTNOTE-ACCOUNT:{escape_text(site.title)}"
    yield f"X-MAINTNOTE-MAINTENANCE-ID:{log.number}"
    yield "X-MAINTNOTE-IMPACT:DEGRADED"
    yield f"X-MAINTNOTE-STATUS:{_MAINTNOTE[state]}"
    for each in concerned:
        yield f"X-MAINTNOTE-OBJECT-ID;X-MAINTNOTE-OBJECT-IMPACT=DEGRADED:{escape_text(each)}"
    yield "END:VEVENT"


_MAINTNOTE = {
    State.PLANNED: "CONFIRMED",
    State.AT_RISK: "IN-PROCESS",
    State.UNFINISHED: "COMPLETED",
    State.OVER: "COMPLETED",
    State.CANCELLED: "CANCELLED",
}


def utc(at: datetime) -> str:
    """A moment as RFC 5545 has it."""
    return f"{at:%Y%m%dT%H%M%SZ}"


def escape_text(text: str) -> str:
    """A TEXT value (RFC 5545, 3.3.11); other control characters are gone already."""
    for sign in ("\\", ";", ","):
        text = text.replace(sign, "\\" + sign)
    return text.replace("\n", "\\n")


def folded(line: str) -> bytes:
    """The line with CRLF, folded at 75 octets without cutting a character."""
    pieces: list[bytes] = []
    piece = b""
    for character in line:
        data = character.encode()
        room = FOLD if not pieces else FOLD - 1
        if len(piece) + len(data) > room:
            pieces.append(piece)
            piece = b""
        piece += data
    return b"\r\n ".join([*pieces, piece]) + b"\r\n"
