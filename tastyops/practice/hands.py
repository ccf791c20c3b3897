"""Scripted hands: they play the operator on a practice host, and do what is done by hand there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

WHO = "practice hands"

Deed = Callable[[str, str], bool]
"""Does what a manual step asks, by host and text; False for what cannot be done."""


class Hands:
    """Does what ``manual`` asks for and says yes, for another operator too; the log says so.

    ``deed`` is what its doing amounts to on the modelled machine. A value is only ever a
    question's default.
    """

    def __init__(self, deed: Deed | None = None) -> None:
        self._deed = deed or (lambda host, text: True)

    def answer(
        self, question: Mapping[str, Any], *, over: Callable[[], bool]
    ) -> tuple[str, str] | None:
        """The answer and who gave it; None for a question that needs a person's knowledge."""
        match question.get("question"):
            case "manual":
                return ("done", WHO) if self.did(question) else None
            case "confirm":
                return "yes", WHO
            case "ask" if question.get("default") is not None:
                return str(question["default"]), WHO
        return None

    def helping(self) -> Helping:
        """The same hands where a person answers."""
        return Helping(self)

    def did(self, question: Mapping[str, Any]) -> bool:
        """Whether what a manual step asks could be done, and now is."""
        return self._deed(str(question.get("host") or ""), str(question.get("text") or ""))


class Helping:
    """Does by hand what ``manual`` asks for, and leaves the answer to the person who is there."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    def answer(
        self, question: Mapping[str, Any], *, over: Callable[[], bool]
    ) -> tuple[str, str] | None:
        """Never an answer."""
        if question.get("question") == "manual":
            self._hands.did(question)
        return None
