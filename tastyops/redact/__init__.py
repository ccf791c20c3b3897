"""Secrets masked by value, in every form a program is likely to print them.

Masking works on bytes and on a stream, so a secret cut in two by a read is still found.
Forms a program derives itself (a hash, a reversed string) cannot be recognised; a step that
prints such forms says ``no_log: true``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from tastyops.redact.spellings import (
    SHORTEST_SECRET,
    Spelling,
    Views,
    as_text,
    compiled,
    forms,
    literals,
    spellings,
)

MASK = b"********"

_SHORT = 4096
"""Bytes of a text in which all witnesses are looked for at once, rather than one by one."""

LEAST_TOLD = 3
"""Units of a spelling below which a piece gives nothing away and is everywhere."""


class Masker:
    """Replaces the secrets it was made with; without secrets it passes bytes through."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._plain = frozenset(secrets)
        found = {each for secret in self._plain for each in literals(secret)}
        self._literals = sorted(found, key=len, reverse=True)
        self._spellings = tuple(s for secret in sorted(self._plain) for s in spellings(secret))
        self._reach = max((each.reach for each in self._spellings), default=0)

    def __bool__(self) -> bool:
        """Whether there is any secret."""
        return bool(self._plain)

    def mask(self, data: bytes) -> bytes:
        """``data`` with every form of every secret replaced by asterisks."""
        return _covered(data, self.spans(data))

    def spans(self, data: bytes) -> list[tuple[int, int]]:
        """Where secrets stand in the data, in order; those that overlap are one."""
        views = Views(data)
        if len(data) < _SHORT and not self._may_stand_in(views):
            return []
        found = [span for literal in self._literals for span in _occurrences(literal, data)]
        for spelling in self._spellings:
            if spelling.is_possible(views):
                found += spelling.spans(data)
        merged: list[tuple[int, int]] = []
        for span in sorted(found):
            if merged and span[0] < merged[-1][1]:
                begun, ended = merged.pop()
                merged.append((begun, max(ended, span[1])))
            else:
                merged.append(span)
        return [self._with_quotes(data, *span) for span in merged] if merged else merged

    def _may_stand_in(self, views: Views) -> bool:
        """Whether a short text has any witness: most have none, and there are many of them."""
        data, closed_up, digits = self._witnesses
        return views.matches(data, closed_up, digits)

    @cached_property
    def _witnesses(self) -> tuple[re.Pattern[bytes], ...]:
        """All witnesses as three patterns: of the data, closed up, and of its digits."""
        witnessed = all(each.closed_up or each.digits for each in self._spellings)
        pieces = [
            self._literals,
            (each for spelling in self._spellings for each in spelling.closed_up),
            (each for spelling in self._spellings for each in spelling.digits),
        ]
        return tuple(
            re.compile(b"|".join(map(re.escape, dict.fromkeys(each))) if witnessed else b"")
            for each in pieces
        )

    def _with_quotes(self, data: bytes, start: int, end: int) -> tuple[int, int]:
        """The span, with the quotes that belong to a form of the secret."""
        for lead, form in self._quoted_forms:
            at = start - lead
            if at >= 0 and at + len(form) >= end and data.startswith(form, at):
                return at, at + len(form)
        return start, end

    @cached_property
    def _quoted_forms(self) -> list[tuple[int, bytes]]:
        """Forms that begin or end with quotes of their own, and where the secret begins in each."""
        found: set[tuple[int, bytes]] = set()
        for secret in self._plain:
            text, plain = as_text(secret), secret.encode()
            for form in forms(secret):
                inside = form.find(plain)
                spans = [(inside, inside + len(plain))] if inside >= 0 else [*text.spans(form)][:1]
                if spans and spans[0] != (0, len(form)):
                    found.add((spans[0][0], form))
        return sorted(found, key=lambda each: len(each[1]), reverse=True)

    def glimpse(self, data: bytes) -> bytes:
        """``mask`` for a piece out of a stream, whose ends may cut a secret in two."""
        if not self:
            return data
        head = max((_ends_inside(each, data) for each in self._spellings), default=0)
        tail = min((_begins_inside(each, data) for each in self._spellings), default=len(data))
        if head >= tail:
            return MASK
        inside = self.mask(data[head:tail])
        return (MASK if head else b"") + inside + (MASK if tail < len(data) else b"")

    def text(self, text: str) -> str:
        """The same for text."""
        if not self or len(text) < SHORTEST_SECRET:
            return text
        return self.mask(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")

    def data(self, value: Any, keep: Collection[str] = (), *, numbers: bool = True) -> Any:
        """JSON data with every text in it masked. Keys stay, and so do the fields in ``keep``.

        A number that is a secret becomes text, unless ``numbers`` says that they mean something.
        """
        if not self:
            return value
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {
                    key: item if key in keep else self.data(item, keep, numbers=numbers)
                    for key, item in value.items()
                }
            case list() | tuple():
                return [self.data(item, keep, numbers=numbers) for item in value]
            case int() | float() if numbers and str(value) in self._plain:
                return MASK.decode()
        return value

    def stream(self, *, at_least: int = 64 * 1024) -> MaskedStream:
        """A masker for one stream of chunks, which works on blocks of so many bytes."""
        return MaskedStream(self, at_least)

    @property
    def reach(self) -> int:
        """Bytes that a stream holds back: the longest form, wrapped and escaped."""
        return self._reach


def _covered(data: bytes, spans: Iterable[tuple[int, int]]) -> bytes:
    done, parts = 0, []
    for start, end in spans:
        parts += [data[done:start], MASK]
        done = end
    return b"".join([*parts, data[done:]]) if parts else data


def _occurrences(literal: bytes, data: bytes) -> Iterator[tuple[int, int]]:
    at = data.find(literal)
    while at >= 0:
        yield at, at + len(literal)
        at = data.find(literal, at + len(literal))


_CUT_ESCAPE = 11
"""Bytes of an escape that may stand before the first whole unit: the end of ``\\U0001F600``."""


def _ends_inside(spelling: Spelling, data: bytes) -> int:
    """How many of the first bytes are the end of a spelling that began before the data."""
    furthest = 0
    for start in range(min(_CUT_ESCAPE + 1, len(data))):
        here = {unit for unit in spelling.distinct if compiled(unit).match(data, start)}
        if not here:
            continue
        for index in range(1, len(spelling.units) - LEAST_TOLD + 1):
            if spelling.units[index][1] not in here:
                continue
            last, at = spelling.follow(data, start, index)
            if last == len(spelling.units) or (at == len(data) and last - index >= LEAST_TOLD):
                furthest = max(furthest, at)
                break
    return furthest


_MAY_GO_ON = re.compile(
    rb"(?:[\\'\"$%=&][^\s]{0,16}|\r?\n[^\n]{0,100}|[ \x80-\xff]{0,4}|[0-9A-Fa-f]|\r)\Z"
)
"""What stands at the end of a piece that cuts a gap or an escape in two."""


def _begins_inside(spelling: Spelling, data: bytes) -> int:
    """Where a spelling begins that goes on behind the data, or the data's length."""
    begin = spelling.units[:LEAST_TOLD]
    first = compiled(b"".join(gap + unit for gap, unit in begin)[len(begin[0][0]) :])
    for match in first.finditer(data, max(0, len(data) - spelling.reach)):
        last, at = spelling.follow(data, match.start(), 0)
        if last < len(spelling.units) and _MAY_GO_ON.match(data, at):
            return match.start()
    return len(data)


class MaskedStream:
    """Masks a stream chunk by chunk: what may be the start of a secret waits for the next chunk."""

    def __init__(self, masker: Masker, at_least: int) -> None:
        self._masker = masker
        self._held = bytearray()
        self._enough = masker.reach + max(at_least, 1)

    def feed(self, chunk: bytes) -> bytes:
        """The masked bytes that are safe to write now."""
        if not self._masker:
            return chunk
        self._held += chunk
        if len(self._held) < self._enough:
            return b""
        data = bytes(self._held)
        cut = len(data) - self._masker.reach
        spans = self._masker.spans(data)
        for start, end in spans:
            if start < cut < end:
                cut = end if start == 0 else start
        self._held = bytearray(data[cut:])
        return _covered(data[:cut], [span for span in spans if span[1] <= cut])

    def finish(self) -> bytes:
        """The masked remainder."""
        data, self._held = bytes(self._held), bytearray()
        return self._masker.mask(data)
