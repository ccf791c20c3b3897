"""The at-risk period of a run: what its runbook says, and ``--window-end``."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime, timedelta

from tastyops.cli import project
from tastyops.errors import UsageError
from tastyops.journal.envelope import stamp
from tastyops.journal.events import WindowSet
from tastyops.model.risk_period import Period, next_end, resolve
from tastyops.model.runbook import WindowSpec
from tastyops.records.document.times import risk_period
from tastyops.records.logs import LogFile

LONGEST_WAIT = timedelta(days=1)
"""A run that would wait longer for its window was most likely begun by a slip of the date."""


def window_end_argument(parser: ArgumentParser) -> None:
    """``--window-end``."""
    parser.add_argument(
        "--window-end", metavar="02:00", dest="window_end", type=project.filled,
        help="when the at-risk period ends, whatever the runbook says",
    )


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
            f"The at-risk period is over: {_told(period, now)}.",
            still_true="No host was touched and no log number was taken.",
            next_step="Announce another and say it in the runbook's `window:`, or give this run "
            "another end with --window-end.",
        )
    if period.begins is not None and period.begins - now > LONGEST_WAIT:
        raise UsageError(
            f"The at-risk period begins in {(period.begins - now).days} days or more: "
            f"{_told(period, now)}.",
            still_true="No host was touched and no log number was taken.",
            next_step="Begin the run on that day, or the day before: it waits up to a day.",
        )
    return period


def told(period: Period, log: LogFile) -> str:
    """The period in words, as its log tells the time."""
    document = log.document()
    return f"{risk_period(period.begins, period.ends, document.offset, document.date)}"


def begins_later(period: Period, now: datetime) -> bool:
    """Whether a run that begins now waits for its period."""
    return period.begins is not None and period.begins > now


def window_set(period: Period | None) -> list[WindowSet]:
    """The event a run begins with, if it has a period."""
    if period is None:
        return []
    return [WindowSet(stamp(period.ends), stamp(period.begins) if period.begins else "")]


def moved(end: str | None, zone: str, now: datetime, offset: int, date: str) -> list[WindowSet]:
    """The event of a resumed run whose operator gives it another end. Raises UsageError."""
    if end is None:
        return []
    ends = next_end(end, zone, now)
    if ends <= now:
        raise UsageError(
            f"--window-end {end}: that has passed.", still_true="No host was touched.",
            next_step="Give a time that is to come.",
        )
    told = risk_period(None, ends, offset, date)
    return [WindowSet(stamp(ends), entry=f"The at-risk period now lasts {told}.")]


def _told(period: Period, now: datetime) -> str:
    return risk_period(period.begins, period.ends, 0, "") + " GMT"
