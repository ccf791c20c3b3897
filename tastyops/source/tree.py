"""The nodes of a YAML tree, and what a scalar in it means."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from tastyops.errors import Place


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value. ``plain`` says that it stands unquoted, so that ``5`` may be a number.

    ``lines`` maps the text back to the file, see ``model.runbook.Marked``.
    """

    text: str
    plain: bool
    place: Place
    lines: tuple[tuple[int, int, int], ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys with values, in the file's order, each key once."""

    entries: tuple[tuple[Scalar, Node], ...]
    place: Place


Node = Scalar | Sequence | Mapping


_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]{1,64}")
_OCTAL = re.compile(r"0o[0-7]{1,64}")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,64}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,64}|[0-9]{1,64}(\.[0-9]{0,64})?)([eE][-+]?[0-9]{1,5})?")


def plain_value(scalar: Scalar) -> str | int | float | bool | None:
    """What a scalar means by the core rules of YAML 1.2: ``yes`` and ``23:55`` are text."""
    text = scalar.text
    if not scalar.plain or len(text) > 150:
        return text
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return text.lower() == "true"
    for pattern, base in ((_INT, 10), (_OCTAL, 8), (_HEX, 16)):
        if pattern.fullmatch(text):
            return int(text, base)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text
