"""``confirm``: a yes before going on."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.model.action import Facts
from tastyops.model.commands import Ask, Steps
from tastyops.model.runbook import ANOTHER_OPERATOR


@dataclass(frozen=True, kw_only=True)
class Confirm:
    """The parameters of ``confirm``."""

    question: str = param("text", "The question; a no stops the run", "May the run go on?")
    by: str | None = param(
        "text",
        "Who must say yes; default: the operator",
        None,
        choices=(ANOTHER_OPERATOR,),
    )


@action("confirm", scalar="question", hostless=True, sentence="")
def confirm(params: Confirm, facts: Facts) -> Steps:
    """Ask the operator to confirm before going on; ``--yes`` answers it."""
    yield Ask("confirm", params.question, params.by)
    return {}
