"""Clock times as a person says them (``0900``, ``09:00``, ``2026-11-22 09:00``) → moments.

A time without a date is the latest past moment at which the clocks of the zone showed it. Where
clocks were changed, a time may not exist, or exist twice; neither is guessed at.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from tastyops.errors import UsageError, shown
from tastyops.model.clock_time import Said, no_time, readings

_STILL = "Nothing was written."


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
    raise no_time(said.text, "it has not come yet")


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
