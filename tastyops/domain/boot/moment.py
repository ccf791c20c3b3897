"""A runbook's clock time (``23:55``, ``2026-11-22 23:55``) → the moment it means; and back."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from tastyops.errors import Refused, shown
from tastyops.model.action import Facts
from tastyops.model.clock_time import possible, readings
from tastyops.model.duration import format_duration

RECENTLY = 6 * 3600.0
"""Seconds within which a clock time that has passed is a time missed, not tomorrow's."""

_SAID = re.compile(
    r"(?:(?P<date>\d{4}-\d\d-\d\d)[ T])?(?P<clock>\d\d:\d\d(?::\d\d)?)", re.ASCII
)


def next_occurrence(text: str, zone: str, now: float) -> float:
    """Seconds since the epoch at which clocks in ``zone`` will next show ``text``.

    Raises Refused for what is no time, a moment that has passed (also a time without a date that
    passed in the last six hours), and one that clock changes skip or repeat.
    """
    day, clock = _read(text)
    place = ZoneInfo(zone)
    today = datetime.fromtimestamp(now, UTC).astimezone(place).date()
    if day is not None:
        found = _only(text, day, clock, place)
        if found <= now:
            raise Refused(f"{shown(text)} is in the past: {_ago(now - found)} ago")
        return found
    passed = [
        each.timestamp()
        for near in (today - timedelta(1), today)
        for each in readings(near, clock, place)
        if each.timestamp() <= now
    ]
    if passed and now - max(passed) < RECENTLY:
        raise Refused(
            f"{shown(text)} is in the past: {_ago(now - max(passed))} ago"
            " (for tomorrow, give the date, too)"
        )
    first = next(
        near
        for near in (today, today + timedelta(1))
        if possible(near, clock, place)[-1].timestamp() > now
    )
    return _only(text, first, clock, place)


def _read(text: str) -> tuple[date | None, time]:
    found = _SAID.fullmatch(text.strip())
    if found is None:
        raise Refused(f"{shown(text)} is not a time such as 23:55 or 2026-11-22 23:55")
    try:
        day = date.fromisoformat(found["date"]) if found["date"] else None
        return day, time.fromisoformat(found["clock"])
    except ValueError:
        raise Refused(f"{shown(text)} does not exist on a clock or calendar") from None


def _only(text: str, day: date, clock: time, zone: tzinfo) -> float:
    found = readings(day, clock, zone)
    if not found:
        raise Refused(f"{shown(text)} does not exist on {day}: clocks are put forward over it")
    if len(found) > 1:
        raise Refused(f"{shown(text)} comes twice on {day}: clocks are put back")
    return found[0].timestamp()


def _ago(seconds: float) -> str:
    return format_duration(max(1, round(seconds)))


def log_time(at: float, facts: Facts, now: float) -> str:
    """``23:55`` as the run's log tells the time, with the date where it is not today's."""
    due, today = _local(at, facts), _local(now, facts)
    clock = f"{due:%H:%M:%S}" if due.second else f"{due:%H:%M}"
    return clock if due.date() == today.date() else f"{due:%Y-%m-%d} {clock}"


def exact_time(at: float, facts: Facts) -> str:
    """``2026-11-22 23:55:00 (UTC)``, for the operator's eyes."""
    due = _local(at, facts)
    return f"{due:%Y-%m-%d %H:%M:%S} ({due.tzname()})"


def _local(at: float, facts: Facts) -> datetime:
    moment = datetime.fromtimestamp(at, UTC)
    if facts.offset is None:
        return moment.astimezone(ZoneInfo(facts.zone))
    return moment.astimezone(timezone(timedelta(minutes=facts.offset)))
