"""The nodes of a YAML tree, and what a scalar in it means."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from tastyops.errors import Place


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A single value. ``plain`` says that it stands unquoted, so that ``5`` may be a number.

    ``lines`` maps the text back to the file, see ``model.runbook.Marked``.
    """

    text: str
    plain: bool
    place: Place
    lines: tuple[tuple[int, int, int], ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SequenceNode:
    """A list."""

    items: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class MappingNode:
    """Keys with values, in the file's order, each key once."""

    entries: tuple[tuple[ScalarNode, Node], ...]
    place: Place


Node = ScalarNode | SequenceNode | MappingNode


_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]{1,64}")
_OCTAL = re.compile(r"0o[0-7]{1,64}")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,64}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,64}|[0-9]{1,64}(\.[0-9]{0,64})?)([eE][-+]?[0-9]{1,5})?")


def plain_value(scalar: ScalarNode) -> str | int | float | bool | None:
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


_WORD = re.compile(r"yes|no|on|off", re.IGNORECASE)
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")


def ambiguity(scalar: ScalarNode) -> str:
    """Why a value that says no type is read in two ways, and what to write; empty if it is not.

    YAML 1.1, which many programs still follow, takes ``no`` for false (https://yaml.org/type/bool.html)
    and ``010`` for eight; YAML 1.2 takes the one for text and the other for ten.
    """
    if not scalar.plain:
        return ""
    if _WORD.fullmatch(scalar.text):
        meant = "true" if scalar.text.lower() in ("yes", "on") else "false"
        return f"is text here and {meant} elsewhere: write {meant}, or put it in quotes"
    if scalar.text == "~":
        return "is empty and not the home directory: write null, or put it in quotes"
    return ""


def octal_or_decimal(scalar: ScalarNode) -> bool:
    """Whether a whole number begins with a zero, and so may be meant as octal."""
    return scalar.plain and _LEADING_ZERO.fullmatch(scalar.text) is not None


def exact_value(scalar: ScalarNode) -> str | int | float | bool | None:
    """A value of no stated type: a number only where nothing of its text is lost.

    ``1.20`` is a version and ``0644`` a mode, and both stay text; so do ``0x1F`` and ``1e3``.
    """
    value = plain_value(scalar)
    if isinstance(value, float):  # 1.0 is a version too, and reads 1 in a sentence
        return value if str(value) == scalar.text and not value.is_integer() else scalar.text
    whole = isinstance(value, int) and not isinstance(value, bool)
    return scalar.text if whole and str(value) != scalar.text else value
