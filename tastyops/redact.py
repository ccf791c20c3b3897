"""Secrets masked by value, in every form a program is likely to print them.

Masking works on bytes and on a stream, so a secret cut in two by a read is still found.
Forms a program derives itself (a hash, a reversed string) cannot be recognised; a step that
prints such forms says ``no_log: true``.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MASK = b"********"
SHORTEST_SECRET = 6
"""Below this many characters a secret would mask innocent text; such a secret is refused."""

CUT_AT = 60
"""Characters of a value that a message of ours shows (``errors.shown``); no more is needed."""


def _base64_cores(secret: bytes) -> set[bytes]:
    """The parts of a base64 text that depend on the secret alone, for the three alignments."""
    cores: set[bytes] = set()
    for lead in range(3):
        encoded = base64.b64encode(b"\0" * lead + secret)
        start = (lead * 8 + 5) // 6 if lead else 0
        whole = (lead + len(secret)) * 8 // 6
        core = encoded[start:whole]
        if len(core) >= SHORTEST_SECRET:
            cores |= {core, core.replace(b"+", b"-").replace(b"/", b"_")}
    return cores


def _quoted(text: str) -> set[str]:
    """A text as it stands in a shell command, or in a command inside another's quotes."""
    inside = {text.replace("'", "'\\''"), text.replace("'", "'\"'\"'")}
    return {text, shlex.quote(text), *inside}


def _escaped(text: str) -> set[str]:
    """A text as it stands in JSON, or in an error of Python's."""
    json_text = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
    return {*json_text, repr(text)[1:-1], repr(f"{text}'\"")[1:-4]}


def _in_urls(text: str) -> set[str]:
    found = {quote(text, safe=""), quote(text), quote_plus(text)}
    lower = {re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), url) for url in found}
    return found | lower


def forms(secret: str) -> set[bytes]:
    """Every byte string that is masked for ``secret``."""
    once = _quoted(secret) | _escaped(secret)
    texts = {each for text in once for each in (*_quoted(text), *_escaped(text))} | _in_urls(secret)
    texts |= {line for line in secret.splitlines() if len(line) >= SHORTEST_SECRET}
    line = " ".join(secret.split())
    texts |= {form for form in (line, line[:CUT_AT]) if len(form) >= SHORTEST_SECRET}
    return {text.encode() for text in texts} | _base64_cores(secret.encode())


def _reaches_in(needle: bytes, data: bytes) -> int:
    """How many of the first bytes of ``data`` are the end of a needle that began before it.

    The longest such end; one of a byte or two gives nothing away and is everywhere.
    """
    for length in range(min(len(needle) - 1, len(data), CUT_AT), 2, -1):
        if needle.endswith(data[:length]):
            short = length
            break
    else:
        short = 0
    start = needle.find(data[:CUT_AT], 1) if len(data) >= CUT_AT else -1
    while start >= 0:
        if data.startswith(needle[start:]):
            return len(needle) - start
        start = needle.find(data[:CUT_AT], start + 1)
    if 0 < len(data) < len(needle) and data in needle[1:]:
        return len(data) if len(data) > 2 else short
    return short


class Masker:
    """Replaces the secrets it was made with; without secrets it passes bytes through."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._plain = frozenset(secrets)
        every = {form for secret in self._plain for form in forms(secret)}
        self._needles = needles = sorted(every, key=len, reverse=True)
        self._longest = max(map(len, needles), default=0)
        self._pattern = re.compile(b"|".join(map(re.escape, needles))) if needles else None

    def mask(self, data: bytes) -> bytes:
        """``data`` with every form of every secret replaced by asterisks."""
        return self._pattern.sub(MASK, data) if self._pattern else data

    def glimpse(self, data: bytes) -> bytes:
        """``mask`` for a piece out of a stream, whose ends may cut a secret in two."""
        if not self._pattern:
            return data
        head = max((_reaches_in(needle, data) for needle in self._needles), default=0)
        tail = max((_reaches_in(n[::-1], data[::-1]) for n in self._needles), default=0)
        if head + tail >= len(data):
            return MASK
        inside = self.mask(data[head : len(data) - tail])
        return (MASK if head else b"") + inside + (MASK if tail else b"")

    def text(self, text: str) -> str:
        """The same for text."""
        if not self._pattern:
            return text
        return self.mask(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")

    def data(self, value: Any, keep: Collection[str] = (), *, numbers: bool = True) -> Any:
        """JSON data with every text in it masked. Keys stay, and so do the fields in ``keep``.

        A number that is a secret becomes text, unless ``numbers`` says that they mean something.
        """
        if not self._pattern:
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

    def stream(self) -> MaskedStream:
        """A masker for one stream of chunks."""
        return MaskedStream(self)

    @property
    def longest(self) -> int:
        """Bytes in the longest form; a stream holds back one less than that."""
        return self._longest

    def last_start(self, data: bytes) -> int:
        """Where a match that spans the end of the safe part of ``data`` begins, or that end."""
        cut = max(0, len(data) - self._longest + 1)
        if self._pattern:
            for match in self._pattern.finditer(data):
                if match.start() < cut < match.end():
                    return match.end()
        return cut


class MaskedStream:
    """Masks a stream chunk by chunk: what may be the start of a secret waits for the next chunk."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """The masked bytes that are safe to write now."""
        if not self._masker.longest:
            return chunk
        data = self._held + chunk
        cut = self._masker.last_start(data)
        self._held = data[cut:]
        return self._masker.mask(data[:cut])

    def finish(self) -> bytes:
        """The masked remainder."""
        data, self._held = self._held, b""
        return self._masker.mask(data)
