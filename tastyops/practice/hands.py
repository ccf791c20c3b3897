"""Scripted hands: they play the operator on a practice host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

WHO = "practice hands"


class Hands:
    """Does what ``manual`` asks for and says yes, for another operator too; the log says so.

    A value is only ever a question's default.
    """

    def answer(
        self, question: Mapping[str, Any], *, over: Callable[[], bool]
    ) -> tuple[str, str] | None:
        """The answer and who gave it; None for a question that needs a person's knowledge."""
        match question.get("question"):
            case "manual":
                return "done", WHO
            case "confirm":
                return "yes", WHO
            case "ask" if question.get("default") is not None:
                return str(question["default"]), WHO
        return None
