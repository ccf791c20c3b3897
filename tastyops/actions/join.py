"""``join``: wait for steps in the background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.model.action import Facts
from tastyops.model.commands import Report, Steps


@dataclass(frozen=True, kw_only=True)
class Join:
    """The parameters of ``join``."""

    steps: Sequence[str] = param("list", "The ids of steps with `background: true`")


@action("join", scalar="steps", hostless=True, sentence="")
def join(params: Join, facts: Facts) -> Steps:
    """Wait for steps in the background, and judge their results."""
    yield Report()  # the core begins this step only once all of them have ended
    return {}
