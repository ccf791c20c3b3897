"""``manual``: work done by hand."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.model.action import Facts
from tastyops.model.commands import Ask, Steps


@dataclass(frozen=True, kw_only=True)
class Manual:
    """The parameters of ``manual``."""

    instructions: str = param("text", "What to do, as the operator will read it")


@action("manual", scalar="instructions", person=True, hostless=True)
def manual(params: Manual, facts: Facts) -> Steps:
    """Have the operator do something by hand, and wait for ``done``."""
    yield Ask("manual", params.instructions)
    return {}
