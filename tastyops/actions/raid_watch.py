"""``raid.watch``: until every mirror has all its members again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tastyops.actions import action, param
from tastyops.domain.raid import guards, progress
from tastyops.errors import Failed, Refused
from tastyops.facts.md import ARRAYS, Array
from tastyops.facts.parsers import parse
from tastyops.model.action import Facts
from tastyops.model.commands import Output, Probe, Report, Sleep, Steps
from tastyops.model.duration import format_duration
from tastyops.model.public_text import PublicText

ENTRY_GAP = 60.0
"""Seconds between two entries in the log, at least."""

LONGEST_PAUSE = 60.0
SHARE = 50
"""A look is taken whenever a fiftieth of the time left has gone by: some hundred looks in all,
however long it takes, so that the journal stays small."""

IDLE_LOOKS = 3
"""Looks at which an array is not whole and does not re-sync, before that is a failure.

A re-sync begins a moment after a member is added. One that waits for another is not counted.
"""


@dataclass(frozen=True, kw_only=True)
class RaidWatch:
    """The parameters of ``raid.watch``."""

    arrays: list[str] = param("list", "The arrays, such as md0; default: all that re-sync", ())
    every: float = param("duration", "The shortest time between two looks", 5.0)
    milestones: list[float] = param(
        "list",
        "Percentages that get an entry in the log when they are passed",
        (10, 25, 33.3, 50, 66.6, 80, 90),
    )
    stall: float = param(
        "duration", "How long a re-sync may stand still before the step fails", 900.0
    )


@dataclass
class _Seen:
    """What was seen so far; times are those of the answers, in seconds."""

    started: float
    names: tuple[str, ...]
    passed: float = 0.0
    entry_at: float | None = None
    moved_at: float = 0.0
    done: float = -1.0
    idle: int = 0


@action(
    "raid.watch",
    scalar="arrays",
    returns={"arrays": "device", "seconds": "duration", "changed": "flag"},
    sentence="Re-sync completed.",
    already="No RAID mirror re-syncs, and none lacks a member.",
)
def raid_watch(params: RaidWatch, facts: Facts) -> Steps:
    """Watch re-syncs until every mirror is idle and not degraded; milestones, rate and ETA."""
    seen: _Seen | None = None
    while True:
        answer: Output = yield Probe(ARRAYS.argv)
        arrays = parse(ARRAYS.parser, answer)
        if seen is None:
            seen = _Seen(answer.at, _names(params, arrays), moved_at=answer.at)
        watched = [array for array in arrays if array.name in seen.names]
        if len(watched) != len(seen.names):
            raise Failed("an array that the step watched no longer exists")
        if all(array.whole for array in watched):
            return _registered(seen, watched, answer.at)
        all_of_it = progress.combine([progress.of_array(array) for array in watched])
        _moving(params, seen, watched, all_of_it.done, answer.at)
        yield _report(params, seen, watched, all_of_it, answer.at)
        yield Sleep(_pause(params, seen, all_of_it, answer.at), "the re-sync to go on")


def _names(params: RaidWatch, arrays: tuple[Array, ...]) -> tuple[str, ...]:
    known = {name: array for array in arrays for name in (array.name, array.path, array.uuid)}
    if params.arrays:
        missing = [name for name in params.arrays if name not in known]
        if missing:
            raise Refused(f"there is no array {missing[0]}")
        found = [known[name] for name in params.arrays]
        for array in found:
            guards.in_scope(array)
        return tuple(array.name for array in found)
    mirrors = [array for array in arrays if not array.out_of_scope]
    return tuple(array.name for array in mirrors if not array.whole) or tuple(
        array.name for array in mirrors
    )


def _registered(seen: _Seen, watched: list[Array], now: float) -> dict[str, Any]:
    return {
        "arrays": [array.path for array in watched],
        "seconds": round(now - seen.started),
        "changed": seen.done >= 0,
    }


def _moving(params: RaidWatch, seen: _Seen, watched: list[Array], done: float, now: float) -> None:
    """Raises Failed when it can never be finished, or nothing moves that should."""
    unfinished = [array for array in watched if not array.whole]
    stopped = [array for array in unfinished if not array.syncing]
    seen.idle = seen.idle + 1 if stopped else 0
    if seen.idle > IDLE_LOOKS:
        out = ", ".join(m.path for array in stopped for m in array.members if m.faulty)
        thrown = f" ({out} was thrown out)" if out else ""
        raise Failed(f"{stopped[0].path} is not whole, and nothing re-syncs{thrown}")
    if done != seen.done or all(array.waiting or array.whole for array in watched):
        seen.done, seen.moved_at = done, now
    elif now - seen.moved_at > params.stall:
        raise Failed(f"the re-sync has not moved for {format_duration(params.stall)}")


def _report(
    params: RaidWatch, seen: _Seen, watched: list[Array], all_of_it: progress.Progress, now: float
) -> Report:
    """A line for each array on the terminal, and at most one entry a minute in the log."""
    parts = [
        f"{array.path} {progress.of_array(array).describe()}"
        for array in watched
        if not array.whole
    ]
    note = "; ".join([*parts, f"in all {all_of_it.describe()}"] if len(watched) > 1 else parts)
    text = _entry(params, seen, all_of_it, now)
    if text:
        seen.entry_at = now
    return Report(all_of_it.percent / 100, PublicText.fixed(text) if text else None, note)


def _entry(params: RaidWatch, seen: _Seen, all_of_it: progress.Progress, now: float) -> str:
    passed = max((m for m in map(float, params.milestones) if m <= all_of_it.percent), default=0.0)
    rate = f"{progress.megabytes(all_of_it.rate)}MB/sec" if all_of_it.rate else ""
    left = all_of_it.left
    eta = f"; done in {progress.rounded(left)} at this rate" if left is not None else ""
    if seen.idle:
        return ""
    if seen.entry_at is None:
        seen.passed = passed
        return f"RAID mirrors are re-syncing.{f' ({rate}{eta}.)' if rate else ''}"
    if passed <= seen.passed or now - seen.entry_at < ENTRY_GAP:
        return ""
    seen.passed = passed
    return f"Re-sync {passed:g}% complete.{f' ({rate}{eta}.)' if rate else ''}"


def _pause(params: RaidWatch, seen: _Seen, all_of_it: progress.Progress, now: float) -> float:
    """Longer the more is left, and no longer than that the next entry comes in time.

    While nothing re-syncs it is the shortest: whether that is a failure is to be known soon.
    """
    if seen.idle:
        return params.every
    left = all_of_it.left
    wanted = LONGEST_PAUSE if left is None and now > seen.started + 60 else (left or 0) / SHARE
    return round(max(params.every, min(LONGEST_PAUSE, wanted)), 1)
