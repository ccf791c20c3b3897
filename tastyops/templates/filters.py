"""The filters and tests a template may use, each with a bounded result."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2 import Undefined

LONGEST_VALUE = 1024 * 1024
"""Characters, or items, in anything a template works with on the way to its result."""

_PLAIN = (str, int, float, type(None), list, tuple, Mapping)


class TooLongError(ValueError):
    """A value grew beyond what a template may make."""

    def __init__(self) -> None:
        super().__init__(f"the result is longer than {LONGEST_VALUE // 1024} KiB")


class Raw(str):
    """Text that goes into a shell command as it is."""

    __slots__ = ()


def require_readable(value: Any) -> Any:
    """The value, once it is certain that it may be read.

    One that is undefined, private, or not yet known in a dry run raises when it is touched, and
    some ways of looking at a value (``is none``, say) would not touch it.
    """
    if not isinstance(value, _PLAIN):
        bool(value)
        if not isinstance(value, Undefined):
            raise TypeError(f"a {type(value).__name__} cannot be used in a template")
    return value


def bounded(value: Any) -> Any:
    """The value, unless it is too long."""
    if isinstance(value, (str, list, tuple)) and len(value) > LONGEST_VALUE:
        raise TooLongError
    return value


def as_text(value: Any) -> str:
    """A value as it reads in a sentence: ``true``, ``1, 2``, nothing for null."""
    require_readable(value)
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return _joined(value, ", ")
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else str(value)
        case Mapping():
            raise TypeError("a mapping cannot stand in a text; name one of its fields")
    return str(value)


def for_shell(value: Any) -> str:
    """A value as one word of a shell command, or a list as one word for each item."""
    require_readable(value)
    if isinstance(value, (Raw, Undefined)):  # undefined and harmless: an `if` without its `else`
        return str(value)
    if isinstance(value, (list, tuple)):
        return _joined([_word(item) for item in value], " ")
    return _word(value)


def _word(value: Any) -> str:
    if require_readable(value) is None:
        raise TypeError("it is empty; `| default('…')` gives it a value")
    if isinstance(value, (list, tuple)):
        raise TypeError("a list inside a list cannot stand in a shell command")
    text = as_text(value)
    if "\0" in text:
        raise ValueError("a NUL cannot stand in a shell command")
    return shlex.quote(text)


def _joined(items: Iterable[Any], separator: str) -> str:
    parts: list[str] = []
    length = 0
    for item in items:
        parts.append(as_text(item))
        length += len(parts[-1]) + len(separator)
        if length > LONGEST_VALUE:
            raise TooLongError
    return separator.join(parts)


def _default(value: Any, other: Any = "", also_empty: bool = False) -> Any:
    if isinstance(value, Undefined) or value is None:
        return other
    return other if also_empty and not value else value


def _replace(value: Any, old: str, new: str) -> str:
    text, old, new = as_text(value), as_text(old), as_text(new)
    if len(text) + text.count(old) * len(new) > LONGEST_VALUE:
        raise TooLongError
    return text.replace(old, new)


def _round(value: Any, digits: int = 0) -> float | int:
    # Of an int, Python would compute ten to the power of the digits.
    rounded = round(_float(value), max(-20, min(20, digits)))
    return int(rounded) if digits <= 0 else rounded


def _int(value: Any) -> int:
    try:
        return (
            int(value) if isinstance(require_readable(value), (int, float)) else int(as_text(value))
        )
    except ValueError:
        raise ValueError("a value is not a whole number") from None  # never with the value


def _float(value: Any) -> float:
    try:
        return (
            float(value)
            if isinstance(require_readable(value), (int, float))
            else float(as_text(value))
        )
    except ValueError:
        raise ValueError("a value is not a number") from None


def _sequence(value: Any) -> list[Any]:
    if isinstance(require_readable(value), (str, list, tuple, Mapping)):
        if len(value) > LONGEST_VALUE:
            raise TooLongError
        return [require_readable(item) for item in value]
    raise TypeError("it is not a list")


def _split(value: Any, separator: str | None = None) -> list[str]:
    text = as_text(value)
    if len(text) > LONGEST_VALUE:
        raise TooLongError
    return text.split(separator)


def _end(value: Any, index: int) -> Any:
    if isinstance(require_readable(value), Mapping):
        value = list(value)
    if not isinstance(value, (str, list, tuple)):
        raise TypeError("it is not a list")
    if not value:
        raise ValueError("the list is empty; `| default` before it does not help, `when:` would")
    return value[index]


def _text_filter(change: Callable[[str], str]) -> Callable[[Any], str]:
    def apply(value: Any) -> str:
        text = as_text(value)
        if len(text) > LONGEST_VALUE:
            raise TooLongError
        return change(text)

    return apply


FILTERS: dict[str, Callable[..., Any]] = {
    "basename": _text_filter(posixpath.basename),
    "capitalize": _text_filter(str.capitalize),
    "default": _default,
    "dirname": _text_filter(posixpath.dirname),
    "first": lambda value: _end(value, 0),
    "float": _float,
    "int": _int,
    "join": lambda value, separator="": _joined(_sequence(value), as_text(separator)),
    "last": lambda value: _end(value, -1),
    "length": lambda value: len(require_readable(value)),
    "list": _sequence,
    "lower": _text_filter(str.lower),
    "quote": lambda value: Raw(for_shell(value)),
    "raw": lambda value: Raw(as_text(value)),
    "replace": _replace,
    "round": _round,
    "sort": lambda value, reverse=False: sorted(_sequence(value), reverse=reverse),
    "split": _split,
    "string": as_text,
    "title": _text_filter(str.title),
    "trim": _text_filter(str.strip),
    "unique": lambda value: list(dict.fromkeys(_sequence(value))),
    "upper": _text_filter(str.upper),
}


def _is(*kinds: type) -> Callable[[Any], bool]:
    def test(value: Any) -> bool:
        return isinstance(require_readable(value), kinds) and (
            bool in kinds or not isinstance(value, bool)
        )

    return test


TESTS: dict[str, Callable[..., bool]] = {
    "boolean": _is(bool),
    "defined": lambda value: not isinstance(value, Undefined),
    "even": lambda value: _int(value) % 2 == 0,
    "float": _is(float),
    "in": lambda value, items: require_readable(value) in require_readable(items),
    "integer": _is(int),
    "mapping": _is(Mapping),
    "none": lambda value: require_readable(value) is None,
    "number": _is(int, float),
    "odd": lambda value: _int(value) % 2 == 1,
    "sequence": _is(str, list, tuple, Mapping),
    "string": _is(str),
    "undefined": lambda value: isinstance(value, Undefined),
}
