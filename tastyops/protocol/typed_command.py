"""A command as a line that a person types at a host's own keyboard, and what is typed back.

The line is for a POSIX shell. What is typed back is one text: a word on its first line, an exit
status or one of the words here, and below it what the command printed.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

MOST_CHARACTERS = 2000
"""Characters of a line, its input among them, that a person may be asked to type."""

_DELIMITER = "END-OF-INPUT"

CANNOT_TELL = "cannot tell"
"""It was typed, and what it printed cannot be told."""

NOT_TYPED, NOT_KNOWN = "not typed", "not known"
"""Of a change: it was certainly not typed; nobody knows whether it was, or how it ended."""

LEAVE = "leave"
"""It was not typed, and nothing more will be."""

WORDS = (CANNOT_TELL, NOT_TYPED, NOT_KNOWN, LEAVE)


def line(argv: Sequence[str], *, sudo: bool = False, stdin: bytes = b"") -> str:
    """What to type; more than one line where words or input have several.

    Raises ValueError, saying why, for what no keyboard can be asked for.
    """
    typed = shlex.join([*(["sudo"] if sudo else []), *argv])
    if stdin:
        typed = _fed(typed, stdin)
    _must_be_typeable(typed)
    return typed


def _fed(command: str, stdin: bytes) -> str:
    try:
        text = stdin.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("its standard input is no text") from None
    if not text.endswith("\n") or _DELIMITER in text:
        return f"printf %s {shlex.quote(text)} | {command}"
    return f"{command} <<'{_DELIMITER}'\n{text}{_DELIMITER}"


def _must_be_typeable(typed: str) -> None:
    if len(typed) > MOST_CHARACTERS:
        raise ValueError(f"it has {len(typed)} characters, more than {MOST_CHARACTERS}")
    odd = next((ch for ch in typed if not ch.isprintable() and ch != "\n"), "")
    if odd:
        raise ValueError(f"it holds a character that no key gives ({odd!a})")


@dataclass(frozen=True, slots=True)
class Told:
    """What a person typed back: an exit status with what was printed, or one of ``WORDS``."""

    status: int | None
    word: str = ""
    seen: bytes = b""


def told(text: str) -> Told | None:
    """What was typed back, read; None where the first line is neither a status nor a word."""
    first, _, seen = text.partition("\n")
    word = " ".join(first.split()).lower()
    if re.fullmatch(r"[0-9]{1,3}", word, re.ASCII) and int(word) <= 255:
        return Told(int(word), seen=seen.encode("utf-8", "surrogateescape"))
    return Told(None, word) if word in WORDS else None
