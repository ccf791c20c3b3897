"""Spans of time as a runbook writes them (``90``, ``1m``, ``2h30m``)."""

from __future__ import annotations

import math
import re

from tastyops.errors import shown

LONGEST = 366 * 86400
"""Seconds in the longest span taken; anything above is a slip of the finger."""

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_NUMBER = r"\d{1,12}(?:\.\d{1,9})?"
_SPAN = re.compile("".join(rf"(?:({_NUMBER}){unit})?" for unit in _UNITS), re.ASCII)
_BARE = re.compile(_NUMBER, re.ASCII)


def parse_duration(value: str | int | float) -> float:
    """Seconds in a span such as ``1m30s``; a bare number counts seconds. Raises ValueError."""
    if not isinstance(value, str):
        return _checked(value, str(value)[:40])
    text = "".join(value.split())
    if _BARE.fullmatch(text):
        return _checked(float(text), value)
    match = _SPAN.fullmatch(text)
    if not match or not text:
        if text.startswith("-"):
            raise ValueError("a span of time cannot be negative")
        raise ValueError(f"{shown(value)} is not a span of time such as 90s, 1m or 2h30m")
    pairs = zip(match.groups(), _UNITS.values(), strict=True)
    return _checked(sum(float(number) * unit for number, unit in pairs if number), value)


def _checked(seconds: int | float, written: str) -> float:
    if seconds < 0:
        raise ValueError("a span of time cannot be negative")
    if not math.isfinite(seconds) or seconds > LONGEST:
        raise ValueError(f"{shown(written)} is longer than a year")
    return float(seconds)


def format_duration(seconds: float) -> str:
    """The shortest usual way to write a span: ``1m``, ``2h30m``, ``0.5s``."""
    whole, rest = divmod(seconds, 1)
    parts: list[str] = []
    left = int(whole)
    for unit, size in _UNITS.items():
        count, left = divmod(left, size)
        if unit == "s" and rest >= 0.001:
            parts.append(f"{round(count + rest, 3):g}s")
        elif count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
