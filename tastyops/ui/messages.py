"""What the program tells its operator, with commands as this program's operator types them.

Messages of all packages quote a command as ``invoke VERB`` in backquotes. Here is the one place
that knows by which name the program was started.
"""

from __future__ import annotations

import sys

_started_as = ["invoke"]
"""The name by which this process was started: ``invoke`` or ``tastyops``."""


def start_as(program: str) -> None:
    """Sets the name that quoted commands begin with from now on."""
    _started_as[:] = [program]


def as_typed(message: str) -> str:
    """A message of ours with its quoted commands as they are typed.

    Not for words of others, such as a log's entries: they are shown as they stand.
    """
    return message.replace("`invoke ", f"`{_started_as[0]} ")


def say(sentence: str) -> None:
    """Tells something beside the result, on standard error."""
    print(as_typed(sentence), file=sys.stderr)  # noqa: T201


def tell(sentence: str) -> None:
    """Tells a result, on standard output."""
    print(as_typed(sentence))  # noqa: T201


def size_in_words(size: int) -> str:
    """A number of bytes as a person reads it: ``1.2 MB``."""
    value = float(size)
    for unit in ("bytes", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
