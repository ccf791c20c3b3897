"""Monitoring warnings as JSON lines → entries for the log, or everything that is wrong with them.

``docs/incidents.md`` documents the form. Every word of a warning is published.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tastyops.errors import InvalidFile, Place, Problem, did_you_mean, shown
from tastyops.model.clock_time import EARLIEST
from tastyops.model.public_text import LONGEST_ENTRY, one_line

MOST_BYTES = 1 << 20
"""Bytes of one file of warnings; a log that needs more is no log any more."""
MOST_LINES = 5000

KEYS = ("at", "text", "source")

_AT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Warned:
    """One warning: when, what the log says of it, and a key that is the same if read again."""

    at: datetime
    text: str
    key: str


class _WrongLine(Exception):
    """Why a line is no warning."""


def read_warnings(data: bytes, name: str, now: datetime) -> list[Warned]:
    """Every warning, in the file's order. Raises InvalidFile with every bad line of the file."""
    found: list[Warned] = []
    problems: list[Problem] = []
    if len(data) > MOST_BYTES:
        raise _invalid([Problem(Place(name), f"it is larger than {MOST_BYTES:,} bytes")])
    lines = data.split(b"\n")
    if len(lines) > MOST_LINES + 1:
        raise _invalid([Problem(Place(name), f"it has more than {MOST_LINES:,} lines")])
    for number, raw in enumerate(lines, 1):
        if not raw.strip():
            continue
        try:
            found.append(_warning(raw, now))
        except _WrongLine as wrong:
            problems.append(Problem(Place(name, number), str(wrong)))
    if problems:
        raise _invalid(problems)
    return found


def _invalid(problems: list[Problem]) -> InvalidFile:
    return InvalidFile(problems, still_true="Nothing was written to the log.")


def _warning(raw: bytes, now: datetime) -> Warned:
    data = _object(raw)
    unknown = [key for key in data if key not in KEYS]
    if unknown:
        hint = did_you_mean(unknown[0], KEYS) or f"a warning has {', '.join(KEYS)}"
        raise _WrongLine(f"{shown(unknown[0])} is not known ({hint})")
    at = _moment(data, now)
    text, source = _sentence(data, "text"), ""
    if data.get("source") is not None:
        source = _sentence(data, "source")
    identity = json.dumps([at.isoformat(), text, source])
    key = f"warning:{hashlib.sha256(identity.encode()).hexdigest()[:32]}"
    published = one_line(f"{source}: {text}" if source else text)
    return Warned(at, published, key)


def _object(raw: bytes) -> dict[str, Any]:
    try:
        data = json.loads(raw.decode(), object_pairs_hook=_once)
    except UnicodeDecodeError as error:
        raise _WrongLine(f"it is not UTF-8 (byte {error.start + 1})") from error
    except json.JSONDecodeError as error:
        raise _WrongLine(f"it is not JSON: {error.msg} at column {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise _WrongLine("it is not JSON that can be read") from error
    if not isinstance(data, dict):
        raise _WrongLine('it is not an object such as {"at": "…", "text": "…"}')
    return data


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in _twice(names):
        raise _WrongLine(f"{shown(name)} stands there twice")
    return dict(pairs)


def _twice(names: list[str]) -> Iterator[str]:
    seen = set()
    for name in names:
        if name in seen:
            yield name
        seen.add(name)


def _moment(data: dict[str, Any], now: datetime) -> datetime:
    written = data.get("at")
    if written is None:
        raise _WrongLine("'at' is missing: when it was, such as 2026-11-23T03:12:00Z")
    if not isinstance(written, str) or not _AT.fullmatch(written):
        raise _WrongLine(
            "'at' is not a time with its offset, such as 2026-11-23T03:12:00Z or "
            "2026-11-23T03:12:00+01:00"
        )
    try:
        at = datetime.fromisoformat(written.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _WrongLine(f"'at': there is no {shown(written)}") from error
    if at.year < EARLIEST:
        raise _WrongLine(f"'at': the year {at.year} is before any log")
    if at > now:
        raise _WrongLine(f"'at': {shown(written)} lies in the future")
    return at


def _sentence(data: dict[str, Any], name: str) -> str:
    written = data.get(name)
    if not isinstance(written, str):
        what = "is missing" if written is None else "is not text"
        raise _WrongLine(f"'{name}' {what}")
    text = one_line(written)
    if not text:
        raise _WrongLine(f"'{name}' is empty")
    if len(text) == LONGEST_ENTRY and text.endswith("…"):
        raise _WrongLine(f"'{name}' is longer than {LONGEST_ENTRY:,} characters")
    return text
