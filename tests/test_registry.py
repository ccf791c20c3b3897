"""The table of built-in actions, and what it loads.

Breaks if an action's file is added, renamed or removed without its line in the table, or if a table
of names loads the modules behind them.
"""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import tastyops.actions
from tastyops.app.registry import BUILT_IN
from tastyops.model.action import ActionSpec

LOADS_NOTHING = """
import sys
from tastyops.app.registry import BUILT_IN
from tastyops.facts.parsers import PARSERS
assert "raid.drop" in BUILT_IN and len(BUILT_IN) > 50 and "arrays" in PARSERS
print(*(name for name in sys.modules if name.startswith("tastyops.actions.")))
assert BUILT_IN["raid.drop"].name == "raid.drop"
print(*(name for name in sys.modules if name.startswith("tastyops.actions.")))
"""


def test_the_table_has_every_action_there_is() -> None:
    found = {}
    for info in pkgutil.iter_modules(tastyops.actions.__path__, "tastyops.actions."):
        for value in vars(importlib.import_module(info.name)).values():
            if isinstance(value, ActionSpec):
                found[value.name] = value
    assert dict(BUILT_IN) == found


def test_an_action_is_loaded_when_it_is_used() -> None:
    said = subprocess.run(
        [sys.executable, "-c", LOADS_NOTHING], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert said == ["", "tastyops.actions.raid_drop"]
