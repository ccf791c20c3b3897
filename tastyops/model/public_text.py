"""Text that may be published, and the check that makes a value publishable."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

LONGEST_ENTRY = 1000
"""Characters in one public sentence; a longer one is cut, with an ellipsis."""

_ESCAPE = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-_]|\x1b")


def one_line(text: str) -> str:
    """``text`` as one line without control or formatting characters.

    Escape sequences go whole; bidirectional controls go too, because they let a name read as
    another on a page.
    """
    if not (text.isascii() and text.isprintable()):
        text = _without_controls(text)
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_ENTRY else line[: LONGEST_ENTRY - 1] + "…"


def _without_controls(text: str) -> str:
    text = _ESCAPE.sub("", text)
    kept = (" " if ch in "\r\n\t\v\f\x85\u2028\u2029" else ch for ch in text)
    return "".join(ch for ch in kept if unicodedata.category(ch) not in ("Cc", "Cf", "Cs"))


@dataclass(frozen=True, slots=True)
class PublicText:
    """One sentence that may stand in the public log.

    Only two things make one: fixed words of ours (``PublicText.fixed``) and a template that was
    rendered in the public context (``templates.render_public``). A host's output never does.
    """

    text: str

    def __post_init__(self) -> None:
        if self.text != one_line(self.text):
            raise ValueError("public text is one line without control characters")

    @classmethod
    def fixed(cls, text: str) -> PublicText:
        """Words of our own, or of the author or operator, made into one line."""
        return cls(one_line(text))

    def __str__(self) -> str:
        return self.text


_KINDS: dict[str, re.Pattern[str]] = {
    "version": re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:~_-]{0,127}"),
    "device": re.compile(r"/dev/[A-Za-z0-9/._:+-]{1,120}"),
    "unit": re.compile(r"[A-Za-z0-9:_.@\\-]{1,255}"),
    "time": re.compile(r"[0-9TZ:+.\- ]{4,32}"),
    "word": re.compile(r"[A-Za-z0-9_.+-]{1,64}"),
}
_NUMBERS = frozenset({"count", "size", "percentage", "duration", "flag"})

PRIVATE = "private"
"""The kind of a registered value that is never published without ``publish: true``."""

FACT_KINDS = frozenset(_KINDS) | _NUMBERS | {PRIVATE}


def is_fact(kind: str, value: Any) -> bool:
    """Whether ``value``, as a host gave it, really is a fact of that publishable kind.

    Nothing a host says is trusted: a "version" that holds markup or a newline is no version.
    """
    if value is None:
        return True
    if kind in _NUMBERS:
        return isinstance(value, (int, float))
    pattern = _KINDS.get(kind)
    if isinstance(value, (list, tuple)):
        return all(is_fact(kind, item) for item in value)
    return pattern is not None and isinstance(value, str) and pattern.fullmatch(value) is not None
