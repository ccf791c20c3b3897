"""The table of parsers: whole, and no name in it twice."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter

import tastyops.facts
from tastyops.facts.parsers import PARSERS


def test_every_parser_is_in_the_table_once() -> None:
    names: Counter[str] = Counter()
    for info in pkgutil.iter_modules(tastyops.facts.__path__, "tastyops.facts."):
        if info.name != "tastyops.facts.parsers":
            names.update(list(getattr(importlib.import_module(info.name), "PARSERS", {})))
    assert names == Counter(list(PARSERS))
    assert all(callable(parser) for parser in PARSERS.values())
