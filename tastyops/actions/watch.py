"""``watch``: look at something again and again until it is as it should be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tastyops.actions import action, param
from tastyops.errors import Failed
from tastyops.model.action import Facts
from tastyops.model.commands import Output, Probe, Report, Sleep, Steps
from tastyops.model.duration import format_duration
from tastyops.model.public_text import PublicText
from tastyops.model.runbook import Marked
from tastyops.templates import rendering


@dataclass(frozen=True, kw_only=True)
class Watch:
    """The parameters of ``watch``."""

    command: str = param("shell", "A command that only reads")
    until: Marked | None = param(
        "expression", "When to stop: an expression over rc, stdout, value and percent", None
    )
    every: float = param("duration", "Time between two looks", 10.0)
    percent: str = param(
        "text",
        "A regular expression whose first group is the progress in percent",
        r"([0-9]+(?:\.[0-9]+)?) ?%",
    )
    milestones: list[float] = param(
        "list",
        "Percentages that get an entry in the log when they are passed",
        (10, 25, 33.3, 50, 66.6, 80, 90),
    )
    what: str | None = param("text", "The name of what is watched, for the log", None)


@dataclass
class _Progress:
    """What was seen so far; times are those of the answers."""

    started: float
    first: float
    percent: float = 0.0
    passed: float = 0.0

    def remaining(self, now: float) -> float | None:
        """Seconds until 100 % at the rate so far; None while there is no rate."""
        gained, taken = self.percent - self.first, now - self.started
        return taken / gained * (100 - self.percent) if gained > 0 and taken > 0 else None


@action(
    "watch",
    scalar="command",
    returns={"stdout": "private", "percent": "percentage", "seconds": "duration", "rc": "count"},
)
def watch(params: Watch, facts: Facts) -> Steps:
    """Poll a reading command until a condition holds; milestones, rate and ETA go into the log."""
    seen: _Progress | None = None
    while True:
        answer: Output = yield Probe(("sh", "-c", params.command))
        percent = _percent(params.percent, answer.excerpt)
        if seen is None:
            seen = _Progress(answer.at, percent or 0.0)
        if percent is not None:
            seen.percent = percent
            yield _report(params, seen, answer.at)
        if _enough(params.until, answer, percent, facts.names):
            return {
                "stdout": answer.excerpt.strip(),
                "percent": percent,
                "rc": answer.status,
                "seconds": round(answer.at - seen.started),
            }
        yield Sleep(params.every, "the next look")


def _percent(pattern: str, text: str) -> float | None:
    try:
        found = re.search(pattern, text)
        return min(100.0, max(0.0, float(found[1]))) if found else None
    except (re.error, IndexError, ValueError) as error:
        raise Failed(f"`percent` does not fit what was seen: {error}") from error


def _enough(
    until: Marked | None, answer: Output, percent: float | None, names: Mapping[str, Any]
) -> bool:
    if until is None:
        return percent is not None and percent >= 100
    text = answer.excerpt.strip()
    seen = {"stdout": text, "value": text, "rc": answer.status, "percent": percent}
    return rendering.holds(until, {**names, **seen})


def _report(params: Watch, seen: _Progress, now: float) -> Report:
    """Progress for the terminal, and an entry for the highest milestone newly passed."""
    done = seen.percent / 100
    passed = max((m for m in map(float, params.milestones) if m <= seen.percent), default=0.0)
    if passed <= seen.passed or seen.percent >= 100:
        return Report(done)
    seen.passed = passed
    left = seen.remaining(now)
    eta = f" Done in {format_duration(round(left / 60) * 60 or 60)} at this rate." if left else ""
    return Report(done, PublicText.fixed(f"{params.what or 'Watch'} {passed:g}% complete.{eta}"))
