"""Clock times as a person says them (``0900``, ``09:00``, ``2026-11-22 09:00``) → moments.

A time without a date is the latest past moment at which the clocks of the zone showed it. Where
clocks were changed, a time may not exist, or exist twice; neither is guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from tastyops.errors import UsageError, shown
from tastyops.window import readings

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
        raise _no_time(text, "it is not a time such as 0900, 09:00 or 2026-11-22 09:00")
    digits = match["digits"]
    hour, minute = (digits[:2], digits[2:]) if digits else (match["hour"], match["minute"])
    try:
        clock = time(int(hour), int(minute), int(match["second"] or 0))
    except ValueError:
        raise _no_time(text, "no clock shows that; hours go from 00 to 23") from None
    try:
        day = date.fromisoformat(match["date"]) if match["date"] else None
    except ValueError:
        raise _no_time(text, f"there is no {match['date']} in the calendar") from None
    if day is not None and not EARLIEST <= day.year <= LATEST:
        raise _no_time(text, f"no log is of the year {day.year}")
    return Said(text.strip(), clock, day, _offset(text, match["offset"]))


def _offset(text: str, written: str | None) -> timezone | None:
    if written is None:
        return None
    if written in "zZ":
        return UTC
    hours, minutes = int(written[1:3]), int(written[3:].lstrip(":") or 0)
    if hours > 14 or minutes > 59:
        raise _no_time(text, f"there is no UTC offset {written}")
    east = timedelta(hours=hours, minutes=minutes)
    return timezone(-east if written[0] == "-" else east)


def moments(
    said: Said, zone: str, now: datetime, since: datetime | None = None
) -> list[datetime]:
    """The past moments that can be meant: one, or two where clocks went back. Raises UsageError.

    ``since``: a live log's beginning. A time without a date is then of the log's days; one that
    has not come yet today is a slip, and not taken for yesterday's.
    """
    place = said.offset or ZoneInfo(zone)
    if said.day is not None:
        return _on(said, said.day, place, now)
    today = now.astimezone(place).date()
    for day in (today + timedelta(1), today, today - timedelta(1)):
        past = [moment for moment in readings(day, said.clock, place) if moment <= now]
        if not past and not _in_a_past_gap(day, said.clock, place, now):
            continue
        if since is not None and day < since.astimezone(place).date():
            raise UsageError(
                f"{shown(said.text)} has not come yet today ({_clock(now, place)} now), and the "
                "log began today.",
                still_true=_STILL,
                next_step=f"If another day is meant, say so: {day} {said.clock:%H:%M}.",
            )
        return _on(said, day, place, now)
    raise _no_time(said.text, "it has not come yet")


def _in_a_past_gap(day: date, clock: time, zone: tzinfo, now: datetime) -> bool:
    """Whether that time was skipped, so that it cannot be taken for the day before's."""
    if readings(day, clock, zone):
        return False
    after = datetime.combine(day, clock).replace(tzinfo=zone, fold=0).astimezone(UTC)
    return after <= now


def _on(said: Said, day: date, zone: tzinfo, now: datetime) -> list[datetime]:
    found = readings(day, said.clock, zone)
    if not found:
        raise UsageError(
            f"{shown(said.text)} does not exist: clocks were put forward over {said.clock:%H:%M} "
            f"on {day}.",
            still_true=_STILL,
            next_step="Give the time that clocks did show, or one with its offset, as in "
            f"{said.clock:%H:%M}Z.",
        )
    past = [moment for moment in found if moment <= now]
    if not past:
        raise UsageError(
            f"{shown(said.text)} lies in the future; it is {_clock(now, zone)} now.",
            still_true=_STILL,
            next_step="A log tells what happened. Give a time that has passed.",
        )
    return past


def _clock(now: datetime, zone: tzinfo) -> str:
    return f"{now.astimezone(zone):%H:%M on %Y-%m-%d}"


def with_offset(moment: datetime, zone: str) -> str:
    """``2026-10-25 01:30+01:00``: a form that means this moment and no other."""
    local = moment.astimezone(ZoneInfo(zone))
    form = "%Y-%m-%d %H:%M:%S" if local.second else "%Y-%m-%d %H:%M"
    east = round((local.utcoffset() or timedelta()).total_seconds() / 60)
    hours, minutes = divmod(abs(east), 60)
    return f"{local:{form}}{'-' if east < 0 else '+'}{hours:02}:{minutes:02}"


def choices(said: Said, found: Sequence[datetime], zone: str) -> list[str]:
    """The two moments a doubled time may mean, each as what to type and what it is in UTC."""
    return [f"{with_offset(moment, zone)} ({moment:%H:%M} UTC)" for moment in found]


def _no_time(text: str, why: str) -> UsageError:
    return UsageError(
        f"{shown(text)} cannot be taken as a time: {why}.",
        still_true=_STILL,
        next_step="Times are 0900, 09:00, or with a date 2026-11-22 09:00; with an offset, 09:00Z.",
    )
