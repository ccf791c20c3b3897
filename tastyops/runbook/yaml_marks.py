"""Which character of a scalar's text stands where in the file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_FAR_ENOUGH = 64 * 1024
"""Characters of one text that are mapped; templates are shorter, and nothing else is looked up."""


def line_map(event: Any, lines: Sequence[str]) -> tuple[tuple[int, int, int], ...]:
    """(offset in the text, line, column) where each of a scalar's lines in the file begins.

    Good to the character except after an escape inside double quotes.
    """
    start, end, quoted = event.start_mark, event.end_mark, event.style in ("'", '"')
    if start.line == end.line:
        return ((0, start.line + 1, start.column + 2),) if quoted else ()
    found = []
    cursor = 0
    block = event.style in ("|", ">")
    for number in range(start.line + block, min(end.line + 1, len(lines))):
        first = start.column + quoted if number == start.line else 0
        piece = lines[number][first : end.column - quoted if number == end.line else None]
        body = piece.strip()
        while cursor < len(event.value) and event.value[cursor].isspace():
            cursor += 1
        if cursor >= min(len(event.value), _FAR_ENOUGH):
            break
        at = _find(body, event.value, cursor)
        if at >= 0:
            column = first + len(piece) - len(piece.lstrip()) + 1
            found.append((at, number + 1, column))
            cursor = at + len(body) if event.value.startswith(body, at) else at + 1
    return tuple(found)


def _find(body: str, text: str, cursor: int) -> int:
    """Where a line of the file begins in the text; only near by, to stay linear."""
    if not body:
        return -1
    if text.startswith(body, cursor):
        return cursor
    word = body.split()[0]
    return text.find(word, cursor, cursor + len(body) + len(word))
