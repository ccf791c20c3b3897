"""Times as a person writes them (``0900``, ``2026-11-22 09:00``) and the moments they are.

Where clocks were changed, a time may not exist, or exist twice; neither is guessed at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo

from tastyops.errors import UsageError, shown

EARLIEST, LATEST = 1970, 9998
"""The years taken; anything else is a slip, and no server's clock shows it."""

_SAID = re.compile(
    r"(?:(?P<date>\d{4}-\d\d-\d\d)[ tT]\s*)?"
    r"(?:(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d))?|(?P<digits>\d{4}))"
    r"\s*(?P<offset>[zZ]|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)
_STILL = "Nothing was written."


@dataclass(frozen=True, slots=True)
class Said:
    """A time as it was said: on which date, if one was named, and in which offset, if one was."""

    text: str
    clock: time
    day: date | None = None
    offset: timezone | None = None


def read_said(text: str) -> Said:
    """What a person typed. Raises UsageError when it is no time."""
    match = _SAID.fullmatch(text.strip())
    if match is None:
        raise no_time(text, "it is not a time such as 0900, 09:00 or 2026-11-22 09:00")
    digits = match["digits"]
    hour, minute = (digits[:2], digits[2:]) if digits else (match["hour"], match["minute"])
    try:
        clock = time(int(hour), int(minute), int(match["second"] or 0))
    except ValueError:
        raise no_time(text, "no clock shows that; hours go from 00 to 23") from None
    try:
        day = date.fromisoformat(match["date"]) if match["date"] else None
    except ValueError:
        raise no_time(text, f"there is no {match['date']} in the calendar") from None
    if day is not None and not EARLIEST <= day.year <= LATEST:
        raise no_time(text, f"no log is of the year {day.year}")
    return Said(text.strip(), clock, day, _offset(text, match["offset"]))


def _offset(text: str, written: str | None) -> timezone | None:
    if written is None:
        return None
    if written in "zZ":
        return UTC
    hours, minutes = int(written[1:3]), int(written[3:].lstrip(":") or 0)
    if hours > 14 or minutes > 59:
        raise no_time(text, f"there is no UTC offset {written}")
    east = timedelta(hours=hours, minutes=minutes)
    return timezone(-east if written[0] == "-" else east)


def readings(day: date, clock: time, zone: tzinfo) -> list[datetime]:
    """The moments, in UTC, at which clocks showed that: one; none in a gap; two in a fold."""
    naive = datetime.combine(day, clock)
    early, late = (naive.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if early == late:
        return [early]
    exists = early.astimezone(zone).replace(tzinfo=None, fold=0) == naive
    return [early, late] if exists else []


def possible(day: date, clock: time, zone: tzinfo) -> list[datetime]:
    """As ``readings``; for a time that was skipped, the two moments between which it would lie."""
    naive = datetime.combine(day, clock)
    around = sorted(naive.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return readings(day, clock, zone) or around


def no_time(text: str, why: str) -> UsageError:
    """What is said of a text that is no time."""
    return UsageError(
        f"{shown(text)} cannot be taken as a time: {why}.",
        still_true=_STILL,
        next_step="Times are 0900, 09:00, or with a date 2026-11-22 09:00; with an offset, 09:00Z.",
    )
