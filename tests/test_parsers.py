"""The table of parsers: whole, and no name in it twice."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter

import tastyops.probes
from tastyops.probes.parsing import PARSERS


def test_every_parser_is_in_the_table_once() -> None:
    names: Counter[str] = Counter()
    for info in pkgutil.iter_modules(tastyops.probes.__path__, "tastyops.probes."):
        if info.name != "tastyops.probes.parsing":
            names.update(list(getattr(importlib.import_module(info.name), "PARSERS", {})))
    assert names == Counter(list(PARSERS))
