"""Dates and times as the log writes them, in the one UTC offset a log has."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def offset_minutes(zone: str, at: datetime) -> int:
    """Minutes east of UTC that ``zone`` keeps at that moment."""
    offset = at.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()
    return round(offset.total_seconds() / 60)


def offset_name(minutes: int) -> str:
    """``GMT``, ``GMT+1``, ``GMT+5:30``: here GMT+1 is one hour *ahead* of GMT."""
    if minutes == 0:
        return "GMT"
    hours, rest = divmod(abs(minutes), 60)
    return f"GMT{'+' if minutes > 0 else '-'}{hours}" + (f":{rest:02}" if rest else "")


def local(at: datetime, offset: int) -> datetime:
    """The moment in the log's offset."""
    return at.astimezone(timezone(timedelta(minutes=offset)))


def long_date(day: datetime) -> str:
    """``December 1st 2026``."""
    number = day.day
    suffix = (
        "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    )
    return f"{_MONTHS[day.month - 1]} {number}{suffix} {day.year}"


def closing_time(at: datetime, offset: int) -> str:
    """``16:05hrs, December 1st 2026``."""
    moment = local(at, offset)
    return f"{moment:%H:%M}hrs, {long_date(moment)}"


def risk_period(begins: datetime | None, ends: datetime, offset: int, date: str) -> str:
    """``from 0001hrs until 0200hrs``; with its day where that is not the log's ``date``."""

    def told(at: datetime) -> str:
        moment = local(at, offset)
        day = long_date(moment)
        return f"{moment:%H%M}hrs" + ("" if day == date else f", {day}")

    return (f"from {told(begins)} " if begins else "") + f"until {told(ends)}"
