"""Events to JSON objects and back: which fields are written, and what a field may hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, get_args

from msgspec import NODEFAULT, Struct, convert
from msgspec.structs import fields

S = TypeVar("S", bound=Struct)

Number = int | float
"""A number as JSON has it: a whole one stays whole, so that its line can be written again."""


def written(event: Struct) -> dict[str, Any]:
    """The fields, without those at their defaults. A list or mapping is written even if empty."""
    values = ((name, getattr(event, name), default) for name, default in _defaults(type(event)))
    return {name: value for name, value, default in values if value != default}


def read(cls: type[S], data: Mapping[str, Any]) -> S:
    """An event of that class. Fields it does not know are left out.

    Raises ValueError (msgspec's ValidationError is one) for a field that is missing or not of its
    type: what an intent says must not be lost on the way.
    """
    for name in _numbers(cls):
        if isinstance(data.get(name), float) and not math.isfinite(data[name]):
            raise ValueError(f"{name} is not a number")
    return convert(data, cls)


@cache
def _defaults(cls: type[Struct]) -> tuple[tuple[str, Any], ...]:
    """Each field and its default; a default that is made anew for each event equals nothing."""
    names, defaults = cls.__struct_fields__, cls.__struct_defaults__
    return tuple(zip(names, (*[NODEFAULT] * (len(names) - len(defaults)), *defaults), strict=True))


@cache
def _numbers(cls: type[Struct]) -> tuple[str, ...]:
    return tuple(each.name for each in fields(cls) if float in get_args(each.type))
