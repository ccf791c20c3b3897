"""What every reading and every parser is made of."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from tastyops.errors import ProbeFailed


class Answer(Protocol):
    """What a parser reads: the exit status and both streams as text."""

    @property
    def status(self) -> int:
        """The exit status."""

    @property
    def text(self) -> str:
        """Standard output."""

    @property
    def error_text(self) -> str:
        """Standard error."""

    @property
    def at(self) -> float:
        """When it came, in seconds since the epoch, on the run's clock."""


class Reading(NamedTuple):
    """A command that only reads, and the name of the parser that understands it."""

    argv: tuple[str, ...]
    parser: str


Parser = Callable[[Any], Any]
Parsers = dict[str, Parser]
"""A subject's parsers by the name a ``Probe`` has for them."""


def need_ok(answer: Answer) -> str:
    """Standard output of a command that ended with 0. Raises ProbeFailed for any other."""
    if answer.status != 0:
        raise ProbeFailed(f"it ended with status {answer.status}")
    return answer.text


def line(answer: Answer) -> str:
    """The first line."""
    return need_ok(answer).strip().splitlines()[0] if answer.text.strip() else ""


def integer(answer: Answer) -> int:
    """A whole number."""
    text = need_ok(answer).strip()
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise ProbeFailed("that is not a whole number")
    return int(text)


def holds(answer: Answer) -> bool:
    """Whether a test holds: 0 is yes, 1 is no (test(1), grep(1)). Anything else is a failure."""
    if answer.status not in (0, 1):
        raise ProbeFailed(f"it ended with status {answer.status}")
    return answer.status == 0


def from_json(answer: Answer) -> Any:
    """Any JSON; None where nothing was said."""
    try:
        return json.loads(need_ok(answer) or "null")
    except (ValueError, RecursionError) as error:
        raise ProbeFailed("that is not JSON") from error


_ALIASES = {"/var/run": "/run", "/var/lock": "/run/lock"}
"""Links to other places, from before /run was one (Filesystem Hierarchy Standard 3.0, 5.13)."""


def as_path(text: str) -> str:
    """A mount point as the kernel spells it, so that two of them can be compared.

    fstab may have a slash at the end, two in a row, ``.`` and ``..``, or an old link for a part.
    """
    if not text.startswith("/"):
        return text
    path = f"/{posixpath.normpath(text).lstrip('/')}"
    for link, place in _ALIASES.items():
        if path == link or path.startswith(f"{link}/"):
            return place + path.removeprefix(link)
    return path


PARSERS: Parsers = {
    "output": lambda answer: answer,
    "line": line,
    "integer": integer,
    "json": from_json,
    "holds": holds,
    "lines": lambda answer: tuple(answer.text.splitlines()),
}
