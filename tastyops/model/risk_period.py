"""The at-risk period: from the words of a runbook or an operator to two moments.

A time without a date is of the period that is on when the run begins, or else of the next one: at
00:05 ``{from: "00:01", to: "02:00"}`` is on, at 02:30 tomorrow's is meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from tastyops.errors import UsageError, shown
from tastyops.model.clock_time import Said, possible, read_said, readings
from tastyops.model.runbook import WindowSpec

_STILL = "No host was touched."


@dataclass(frozen=True, slots=True)
class Period:
    """``begins`` is None where it is on from the run's beginning. Both are aware, in UTC."""

    begins: datetime | None
    ends: datetime


def resolve(spec: WindowSpec, zone: str, now: datetime) -> Period:
    """The period a runbook means, for a run that begins now. Raises UsageError."""
    place = ZoneInfo(zone)
    length = timedelta(seconds=spec.length) if spec.length is not None else None
    if not spec.begins:
        return Period(None, now + length if length is not None else next_end(spec.ends, zone, now))
    said = read_said(spec.begins)
    if said.day is not None:
        return _from(_on(said, said.day, place), spec, length, place)
    today = now.astimezone(said.offset or place).date()
    day = next(
        day
        for day in (today + timedelta(days) for days in (-1, 0, 1, 2))
        if _latest_end(possible(day, said.clock, said.offset or place), spec, length, place) > now
    )
    return _from(_on(said, day, place), spec, length, place)


def next_end(text: str, zone: str, now: datetime) -> datetime:
    """The end that is meant by a time, the next such moment unless it has a date."""
    return _after(read_said(text), ZoneInfo(zone), now)


def _from(begins: datetime, spec: WindowSpec, length: timedelta | None, place: tzinfo) -> Period:
    if length is not None:
        return Period(begins, begins + length)
    ends = _after(read_said(spec.ends), place, begins)
    if ends <= begins:
        raise UsageError(
            f"The window ends ({spec.ends}) before it begins ({spec.begins}).",
            still_true=_STILL, next_step="Correct the runbook's `window:`.",
        )  # fmt: skip
    return Period(begins, ends)


def _after(said: Said, place: tzinfo, moment: datetime) -> datetime:
    """The first time after a moment at which clocks show that; one with a date is as it is said.

    A day is resolved only if its time lies after the moment: clocks that are changed on another
    day do not matter.
    """
    if said.day is not None:
        return _on(said, said.day, place)
    day, later = _next_day(said, place, moment)
    return later[0] if readings(day, said.clock, said.offset or place) and len(later) == 1 else (
        _on(said, day, place)
    )


def _next_day(said: Said, place: tzinfo, moment: datetime) -> tuple[date, list[datetime]]:
    """The first day on which that time lies after a moment, and when it may be on that day."""
    zone = said.offset or place
    today = moment.astimezone(zone).date()
    for day in (today + timedelta(days) for days in (0, 1, 2)):
        later = [each for each in possible(day, said.clock, zone) if each > moment]
        if later:
            return day, later
    raise AssertionError("a time of day comes within two days")


def _latest_end(
    begins: list[datetime], spec: WindowSpec, length: timedelta | None, place: tzinfo
) -> datetime:
    """When a period that may begin at any of these moments ends at the latest."""
    if length is not None:
        return max(begins) + length
    said = read_said(spec.ends)
    if said.day is not None:
        return max(possible(said.day, said.clock, said.offset or place))
    return max(max(_next_day(said, place, moment)[1]) for moment in begins)


def _on(said: Said, day: date, zone: tzinfo) -> datetime:
    found = readings(day, said.clock, said.offset or zone)
    if len(found) == 1:
        return found[0].astimezone(UTC)
    what = "comes twice" if found else "does not exist"
    raise UsageError(
        f"{shown(said.text)} {what} on {day}: clocks are changed then.",
        still_true=_STILL,
        next_step=f"Give it with its offset from UTC, as in {day} {said.clock:%H:%M}+01:00.",
    )
