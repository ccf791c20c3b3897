"""A value as its type wants it: what an author wrote, a template gave, or an operator typed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from tastyops.errors import UsageError, did_you_mean, shown
from tastyops.model.action import Param
from tastyops.model.commands import Unknown
from tastyops.model.duration import format_duration, parse_duration
from tastyops.model.runbook import Input, Marked

INPUT_TYPES = ("text", "integer", "number", "boolean", "duration", "list")


def coerce(param: Param, value: Any) -> Any:
    """A parameter's value, rendered, in its type. Raises ValueError with a plain sentence.

    One that a dry run cannot know passes as it is, and so does an expression, which is worked
    out while the step runs.
    """
    if isinstance(value, (Unknown, Marked)):
        return value
    if value is None:
        if param.required:
            raise ValueError("it is required, and there is no value")
        return param.default
    result = typed(param.type, value)
    if param.choices and result not in param.choices:
        raise ValueError(not_a_choice(result, param.choices))
    return result


def input_value(wanted: Input, text: str) -> Any:
    """What an operator gave for an input, in its type. Raises UsageError."""
    why = ""
    value = None
    try:
        value = typed_input(wanted.type, text)
    except ValueError as error:
        why = str(error)
    if not why and wanted.choices and value not in wanted.choices:
        why = not_a_choice(value, wanted.choices)
    if why:
        raise UsageError(
            f"{wanted.name}: {why}.",
            still_true="No host was touched.",
            next_step=wanted.help and f"{wanted.name}: {wanted.help}",
        )
    return value


def typed_input(kind: str, value: Any) -> Any:
    """An input's value. A list may be typed as ``a,b``; a span is kept as text, in its usual form.

    A sentence can so say "in 1m", and a parameter that wants a span takes it.
    """
    if kind == "list" and isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    if kind == "duration":
        return format_duration(parse_duration(value))
    return typed(kind, value)


def typed(kind: str, value: Any) -> Any:
    """The value in that type of a parameter. Raises ValueError with a plain sentence."""
    return _TYPES[kind](value)


def not_a_choice(value: Any, choices: tuple[Any, ...]) -> str:
    """Says that a value is not one of those allowed."""
    hint = did_you_mean(str(value), [str(choice) for choice in choices])
    tail = f"; {hint}" if hint else ""
    return f"it must be one of {', '.join(map(str, choices))}, not {_seen(value)}{tail}"


def _seen(value: Any) -> str:
    match value:
        case str():
            return shown(value)
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)[:40]
        case None:
            return "nothing"
        case Mapping():
            return "a mapping"
    return "a list"


def _text(value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
    raise ValueError(f"it must be text, not {_seen(value)}")


def _integer(value: Any) -> int:
    if isinstance(value, str):
        digits = value.strip()
        if len(digits) <= 64 and digits.lstrip("+-").isdecimal():
            try:
                return int(digits)
            except ValueError:
                pass
    elif isinstance(value, int) and not isinstance(value, bool):
        return value
    elif isinstance(value, float) and value.is_integer():
        return int(value)
    raise ValueError(f"it must be a whole number, not {_seen(value)}")


def _number(value: Any) -> int | float:
    number: int | float | None = None
    if isinstance(value, str):
        try:
            number = float(value) if len(value) <= 64 else None
        except ValueError:
            number = None
        if number is not None and value.strip().lstrip("+-").isdecimal():
            number = int(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        number = value
    if number is None or (isinstance(number, float) and not math.isfinite(number)):
        raise ValueError(f"it must be a number, not {_seen(value)}")
    return number


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in ("true", "yes", "on"):
        return True
    if word in ("false", "no", "off"):
        return False
    raise ValueError(f"it must be true or false, not {_seen(value)}")


def _duration(value: Any) -> float:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return parse_duration(value)
    raise ValueError(f"it must be a span of time such as 90s, 1m or 2h30m, not {_seen(value)}")


def _list(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return list(value)
    raise ValueError(f"it must be a list, not {_seen(value)}")


def _mapping(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise ValueError(f"it must be a mapping (key: value), not {_seen(value)}")


_TYPES: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "shell": _text,
    "expression": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "duration": _duration,
    "list": _list,
    "mapping": _mapping,
}
