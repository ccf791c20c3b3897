"""``ask``: a value from the operator."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.model.action import Facts
from tastyops.model.commands import Ask, Steps


@dataclass(frozen=True, kw_only=True)
class AskFor:
    """The parameters of ``ask``."""

    question: str = param("text", "The question")
    default: str | None = param("text", "The answer when nothing is typed", None)


@action("ask", scalar="question", hostless=True, returns={"value": "private"})
def ask(params: AskFor, facts: Facts) -> Steps:
    """Ask the operator for a value; later steps use it through ``register``."""
    answer = yield Ask("ask", params.question, default=params.default)
    return {"value": answer}
