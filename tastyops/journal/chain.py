"""The hash chain: each line carries its own hash and the one before it.

Altering a line breaks its own hash, removing or reordering one breaks the next line's ``prev``.
A tail cut off is found by the head hash that stands in the closed log.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from msgspec import Struct

GENESIS = "0" * 32

LONGEST_LINE = 256 * 1024 * 1024
"""Bytes in one line: a file that is no journal must not fill the memory. The longest event there
can be registers two streams of 8 MiB, as text and as lines, each character escaped with six.
"""

_NAMED = 1024 * 1024
"""Bytes up to which an altered line is looked into for what it was."""

_SEAL = 4096
"""Bytes at the end of a line in which its hash is looked for."""


def _digest(text: bytes | memoryview, end: bytes = b"") -> str:
    found = hashlib.sha256(text)
    found.update(end)
    return found.hexdigest()[:32]


def seal(data: dict[str, Any]) -> tuple[bytes, str]:
    """The line for an object that already holds ``prev``, and its hash."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    body = text.encode("utf-8", "backslashreplace")
    own = _digest(body)
    return body[:-1] + b',"hash":"' + own.encode() + b'"}\n', own


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """A file's lines; after the first piece of one that is too long there is nothing more."""
    while line := file.readline(LONGEST_LINE + 1):
        yield line
        if len(line) > LONGEST_LINE:
            return


class Fault(Struct, frozen=True):
    """One thing wrong with a journal; ``line`` counts from 1."""

    line: int
    what: str


class Line(Struct, frozen=True):
    """One line read back: its object, or the fault that stands in its place."""

    number: int
    data: dict[str, Any] | None
    faults: tuple[Fault, ...]


def unseal(
    lines: Iterable[bytes], *, before: str = GENESIS, expected: int | None = None, first: int = 1
) -> Iterator[Line]:
    """Every line with what is wrong with it; a torn last line is a fault, never dropped.

    A reader that goes on where it left off says the hash ``before``, the sequence number
    ``expected`` and the number of the ``first`` line.
    """
    for number, raw in enumerate(lines, first):
        data, own, faults = _read(number, raw)
        if data is not None:
            if data.get("prev") != before:
                faults.append(
                    Fault(number, "an event before this one was altered, removed or moved")
                )
            seq = data.get("seq")
            if expected is not None and seq != expected:
                faults.append(Fault(number, f"event {seq} stands where {expected} belongs"))
            expected = seq + 1 if isinstance(seq, int) else None
        before = own
        yield Line(number, data, tuple(faults))


def _read(number: int, raw: bytes) -> tuple[dict[str, Any] | None, str, list[Fault]]:
    if len(raw) > LONGEST_LINE:
        return None, "", [Fault(number, "the line is longer than any event is")]
    if not raw.endswith(b"\n"):
        return None, "", [Fault(number, "the line is torn: it was not written to its end")]
    end = raw[-_SEAL:].rstrip(b"\n")
    before, mark, tail = end.rpartition(b',"hash":"')
    own = tail[:-2].decode("ascii", "replace")
    body = memoryview(raw)[: max(0, len(raw) - _SEAL) + len(before)]
    if not mark or tail[-2:] != b'"}' or _digest(body, b"}") != own:
        data = _parsed(raw) if len(raw) <= _NAMED else None
        return data, own, [Fault(number, "this event was altered after it was written")]
    data = _parsed(raw)
    faults = [] if data is not None else [Fault(number, "this line is not an event")]
    return data, own, faults


def _parsed(raw: bytes) -> dict[str, Any] | None:
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None
