"""The at-risk period of a run: what its runbook says, and ``--window-end``."""

from __future__ import annotations

from datetime import datetime, timedelta

from tastyops.errors import UsageError
from tastyops.journal.envelope import stamp
from tastyops.journal.events import WindowSet
from tastyops.model.risk_period import Period, next_end, resolve
from tastyops.model.runbook import WindowSpec
from tastyops.records.document.times import risk_period
from tastyops.records.logs import LogFile

LONGEST_WAIT = timedelta(days=1)
"""A run that would wait longer was most likely started with a wrong date."""


def window_of(
    spec: WindowSpec | None, end: str | None, zone: str, now: datetime
) -> Period | None:
    """The period of a run that begins now; None where there is none.

    Raises UsageError for one that is over, or that begins only in more than a day.
    """
    period = resolve(spec, zone, now) if spec else None
    if end is not None:
        ends = next_end(end, zone, max(now, (period and period.begins) or now))
        period = Period(period.begins if period else None, ends)
    if period is None:
        return None
    if period.ends <= now:
        raise UsageError(
            f"The at-risk period is over: {_in_gmt(period, now)}.",
            still_true="No host was touched and no log number was taken.",
            next_step="Announce another period and put it into the runbook's `window:`, or move "
            "this run's end with --window-end.",
        )
    if period.begins is not None and period.begins - now > LONGEST_WAIT:
        raise UsageError(
            f"The at-risk period begins in {(period.begins - now).days} days or more: "
            f"{_in_gmt(period, now)}.",
            still_true="No host was touched and no log number was taken.",
            next_step="Begin the run on that day, or the day before: it waits up to a day.",
        )
    return period


def in_words(period: Period, log: LogFile) -> str:
    """The period in words, in the time zone of its log."""
    document = log.document()
    return f"{risk_period(period.begins, period.ends, document.offset, document.date)}"


def begins_later(period: Period, now: datetime) -> bool:
    """Whether a run that begins now waits for its period."""
    return period.begins is not None and period.begins > now


def opening_events(period: Period | None) -> list[WindowSet]:
    """The event that records a run's period; none for a run without one."""
    if period is None:
        return []
    return [WindowSet(stamp(period.ends), stamp(period.begins) if period.begins else "")]


def new_end_events(
    end: str | None, zone: str, now: datetime, offset: int, date: str
) -> list[WindowSet]:
    """The event that moves a resumed run's end (``--window-end``). Raises UsageError."""
    if end is None:
        return []
    ends = next_end(end, zone, now)
    if ends <= now:
        raise UsageError(
            f"--window-end {end}: the time is in the past.", still_true="No host was touched.",
            next_step="Give a time in the future.",
        )
    words = risk_period(None, ends, offset, date)
    return [WindowSet(stamp(ends), entry=f"The at-risk period now lasts {words}.")]


def _in_gmt(period: Period, now: datetime) -> str:
    return risk_period(period.begins, period.ends, 0, "") + " GMT"
