"""Logs that were written by hand, read from the text of a status blog.

A log begins with ``[AT RISK 2008/004] March 8th 2008 - Title``, below the day it was posted. Every
line belongs to something in the result, and text, order and dates stay as written. What is unusual
is listed beside it, so that a person can look.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from itertools import pairwise

from tastyops.model.public_text import LONGEST_ENTRY

_HEADING = re.compile(r"\[(INCIDENT|AT RISK) (\d{4})/(\d{1,6})\] (.+)")
_SUBTITLE = re.compile(r"(?:Maintenance|Incident) log for (.+)")
_TRANSCRIPT = re.compile(r"Transcript(?:, times are in (.+?))?:")
_BULLET = re.compile(r"( *)• ?(.*)")
_ENTRY = re.compile(r"\[(\d{2})(\d{2})(\.\d+)?\] ?(.*)", re.S)
_NOTE = re.compile(
    r"(.*) \(((?:not )?(?:complete|completed|cancelled|postponed|in progress)[^()]*)\)", re.I | re.S
)
_WORKS = re.compile(r"works to be carried out:", re.I)
_ZONE = re.compile(r"(?:GMT|UTC|BST)([+-]\d{1,2})?(?::?(\d{2}))?")
_DAY = re.compile(
    r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,? )?"
    r"(?:(?P<d1>\d{1,2})(?:st|nd|rd|th)? (?P<m1>[A-Z][a-z]{2,8})"
    r"|(?P<m2>[A-Z][a-z]{2,8}) (?P<d2>\d{1,2})(?:st|nd|rd|th)?)(?:,? (?P<year>\d{4}))?",
    re.I,
)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@dataclass(frozen=True, slots=True)
class OldPoint:
    """A sentence at the head, with the sentences below it."""

    text: str
    points: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OldWork:
    """A work with its note as written: ``Complete``, ``Cancelled``, or nothing."""

    title: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class OldLine:
    """A line of the transcript. ``at`` is None if its day cannot be told."""

    day: str
    minute: str
    text: str
    points: tuple[str, ...] = ()
    at: datetime | None = None


@dataclass
class OldLog:
    """A log as it was written. ``lines`` is its whole text, from its heading on."""

    number: str
    incident: bool
    date: str
    title: str
    posted: str = ""
    subtitle: str = ""
    attending: str = ""
    status: str = ""
    zone: str = ""
    offset: int = 0
    points: list[OldPoint] = field(default_factory=list)
    works: list[OldWork] = field(default_factory=list)
    transcript: list[OldLine] = field(default_factory=list)
    lines: tuple[str, ...] = ()
    oddities: list[str] = field(default_factory=list)

    @property
    def posted_at(self) -> datetime | None:
        """Noon of the day it was posted, or of its own day; None where neither is a date."""
        day = read_day(self.posted) or read_day(self.date, int(self.number[:4]))
        return _moment(day, time(12), self.offset) if day else None

    @property
    def is_over(self) -> bool:
        """Whether its status says that it has ended."""
        return self.status.lower().startswith(("complete", "cancelled", "resolved", "closed"))


def split_logs(text: str) -> list[tuple[int, str, tuple[str, ...]]]:
    """Each log of a blog: the number of its heading's line, the day above it, and its lines."""
    lines = text.replace("\r\n", "\n").split("\n")
    starts = [index for index, line in enumerate(lines) if _HEADING.fullmatch(line.strip())]
    found = []
    for here, following in pairwise([*starts, len(lines)]):
        before = next((i for i in range(here - 1, -1, -1) if lines[i].strip()), None)
        posted = lines[before].strip() if before is not None and _is_day(lines[before]) else ""
        own = lines[here:following]
        while own and (not own[-1].strip() or (following < len(lines) and _is_posting_day(own))):
            own.pop()
        found.append((here + 1, posted, tuple(own)))
    return found


def _is_posting_day(own: Sequence[str]) -> bool:
    """Whether the last line is the day above the next log: unindented, alone in its paragraph."""
    alone = len(own) > 1 and not own[-2].strip()
    return alone and not own[-1].startswith(" ") and _is_day(own[-1])


def _is_day(line: str) -> bool:
    return read_day(line.strip(), 2000) is not None


def read_old_log(lines: Sequence[str], posted: str = "", zone_offset: int = 0) -> OldLog:
    """One log. ``zone_offset``: minutes east of UTC where the text names no zone."""
    return _Reader(lines, posted, zone_offset).log()


@dataclass
class _Item:
    """A bullet with all that belongs to it."""

    depth: int
    text: str
    below: list[str] = field(default_factory=list)


class _Reader:
    """Reads a log's lines from the top."""

    def __init__(self, lines: Sequence[str], posted: str, zone_offset: int) -> None:
        heading = _HEADING.fullmatch(lines[0].strip())
        if heading is None:
            raise ValueError(f"{lines[0][:80]!r} is not the heading of a log")
        date_, dash, title = heading[4].partition(" - ")
        self._log = OldLog(
            f"{heading[2]}/{int(heading[3]):03}", heading[1] == "INCIDENT",
            date_ if dash else "", title if dash else heading[4],
            posted, offset=zone_offset, lines=tuple(lines),
        )  # fmt: skip
        self._zone_offset = zone_offset
        self._lines = lines[1:]
        self._day = ""
        self._in_works = self._in_transcript = False
        self._item: _Item | None = None

    def log(self) -> OldLog:
        """The log, complete."""
        for line in self._lines:
            if line.strip():
                self._take(line)
        self._finish_item()
        log = self._log
        log.transcript = list(_dated(log))
        log.oddities += _oddities(log, self._in_transcript)
        return log

    def _take(self, line: str) -> None:
        bullet = _BULLET.fullmatch(line.rstrip())
        if bullet:
            self._take_bullet(len(bullet[1]), bullet[2])
        elif line.startswith(" ") and self._item is not None:
            self._continue(line.strip())
        else:
            self._finish_item()
            self._take_plain(line.strip())

    def _take_bullet(self, indent: int, text: str) -> None:
        if self._item is not None and indent > self._item.depth and not self._is_works(self._item):
            self._item.below.append(text)
            return
        self._finish_item()
        self._item = _Item(indent, text)

    def _is_works(self, item: _Item) -> bool:
        return _WORKS.fullmatch(item.text) is not None

    def _continue(self, text: str) -> None:
        assert self._item is not None  # noqa: S101  asked by the caller
        if self._item.below:
            self._item.below[-1] += f" {text}"
        else:
            self._item.text += f" {text}"

    def _finish_item(self) -> None:
        item, self._item = self._item, None
        if item is None:
            return
        entry = _ENTRY.fullmatch(item.text)
        log = self._log
        if entry:
            minute = entry[1] + entry[2] + (entry[3] or "")
            log.transcript.append(OldLine(self._day, minute, entry[4], tuple(item.below)))
        elif self._is_works(item):
            self._in_works = True
        elif self._in_transcript:
            log.oddities.append(f"a transcript entry without a time: {item.text[:60]}")
            log.transcript.append(OldLine(self._day, "", item.text, tuple(item.below)))
        elif self._in_works and item.depth > 2:
            note = _NOTE.fullmatch(item.text)
            log.works.append(OldWork(note[1], note[2]) if note else OldWork(item.text))
            log.works += [OldWork(each) for each in item.below]
        else:
            self._in_works = False
            log.points.append(OldPoint(item.text, tuple(item.below)))

    def _take_plain(self, text: str) -> None:
        log = self._log
        transcript = _TRANSCRIPT.fullmatch(text)
        if transcript:
            self._in_transcript, log.zone = True, transcript[1] or ""
            log.offset = zone_minutes(log.zone, self._zone_offset)
        elif text.startswith("Attending:"):
            log.attending = text.removeprefix("Attending:").strip()
        elif text.startswith("Status:"):
            log.status = text.removeprefix("Status:").strip()
        elif _SUBTITLE.fullmatch(text):
            log.subtitle = text
        elif self._in_transcript and _is_day(text):
            self._day = text
        elif self._in_transcript:
            log.oddities.append(f"a transcript line without a time: {text[:60]}")
            log.transcript.append(OldLine(self._day, "", text))
        else:
            log.oddities.append(f"a line of no known kind: {text[:60]}")
            log.points.append(OldPoint(text))


def _dated(log: OldLog) -> Iterator[OldLine]:
    """The transcript's lines with their moments, as far as days and minutes can be told."""
    year = int(log.number[:4])
    subtitle = _SUBTITLE.fullmatch(log.subtitle)
    own = read_day(log.date, year) or (read_day(subtitle[1], year) if subtitle else None)
    for line in log.transcript:
        day = read_day(line.day, year) if line.day else own
        at = None
        if day and line.minute:
            hour, minute = int(line.minute[:2]), int(line.minute[2:4])
            if hour < 24 and minute < 60:
                at = _moment(day, time(hour, minute), log.offset)
        yield OldLine(line.day or log.date, line.minute, line.text, line.points, at)


def _oddities(log: OldLog, has_transcript: bool) -> Iterator[str]:
    if not log.posted:
        yield "no day of posting above the log"
    if not log.date:
        yield "no date in the heading"
    subtitle = _SUBTITLE.fullmatch(log.subtitle)
    year = int(log.number[:4])
    if not subtitle:
        yield "no line 'Maintenance log for …' or 'Incident log for …'"
    elif read_day(subtitle[1], year) != read_day(log.date, year):
        yield f"two dates: {log.date} and {subtitle[1]}"
    if not has_transcript:
        yield "no line 'Transcript, times are in …'"
    elif not _ZONE.fullmatch(log.zone):
        yield "no time zone that is known; the inventory's is used"
    yield from _odd_status(log)
    yield from _odd_lines(log)


def _odd_status(log: OldLog) -> Iterator[str]:
    if not log.status:
        yield "no status"
    elif not re.search(r"\d", log.status):
        yield f"a status without a time: {log.status}"
    if not log.attending:
        yield "nobody attending"


def _odd_lines(log: OldLog) -> Iterator[str]:
    for text in log.lines:
        if re.search(r"\d{4}\.\d\d(?!\d)", text) and not _HEADING.fullmatch(text):
            yield f"a time with seconds: {text.strip()[:60]}"
    for day in dict.fromkeys(line.day for line in log.transcript):
        match = _DAY.fullmatch(day)
        if match and not match["year"]:
            yield f"a day without a year: {day}"
    for line in log.transcript:
        if line.minute and line.at is None:
            yield f"[{line.minute}] is at no known moment"
        if len(line.text) > LONGEST_ENTRY:
            yield f"[{line.minute}] has {len(line.text)} characters; a page cuts it"
    moments = [line for line in log.transcript if line.at]
    for upper, lower in pairwise(moments):
        if upper.at and lower.at and upper.at < lower.at:
            yield f"[{upper.minute}] stands above [{lower.minute}], which is later"


def read_day(text: str, year: int | None = None) -> date | None:
    """``July 14th 2009``, ``Sunday Nov 18th``, ``Tuesday 14 July 2009``; None for other text."""
    match = _DAY.fullmatch(text.strip())
    if not match:
        return None
    month = (match["m1"] or match["m2"])[:3].lower()
    when = int(match["year"]) if match["year"] else year
    if month not in MONTHS or when is None:
        return None
    try:
        return date(when, MONTHS.index(month) + 1, int(match["d1"] or match["d2"]))
    except ValueError:
        return None


def zone_minutes(zone: str, otherwise: int = 0) -> int:
    """Minutes east of UTC: ``GMT+1`` is one hour ahead, as everywhere in a log."""
    match = _ZONE.fullmatch(zone)
    if not match:
        return otherwise
    hours = int(match[1] or 0) + (zone.startswith("BST") and 1)
    return hours * 60 + (int(match[2]) if match[2] else 0) * (-1 if hours < 0 else 1)


def _moment(day: date, at: time, offset: int) -> datetime:
    return datetime.combine(day, at, timezone(timedelta(minutes=offset)))
