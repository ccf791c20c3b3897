"""Scripted hands: they play the operator on a practice host, and do what is done by hand there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

WHO = "practice hands"


class Deed(Protocol):
    """What a manual step asks, done to the modelled machine."""

    def __call__(self, host: str, text: str, *, wait: bool) -> bool:
        """Does it, or has it begun without ``wait``; False for what cannot be done."""


def _nothing(host: str, text: str, *, wait: bool) -> bool:
    return True


class Hands:
    """Does what ``manual`` asks for and says yes, for another operator too; the log says so.

    ``deed`` is what its doing amounts to on the modelled machine. A value is only ever a
    question's default.
    """

    def __init__(self, deed: Deed | None = None) -> None:
        self._deed = deed or _nothing

    def answer(
        self, question: Mapping[str, Any], *, over: Callable[[], bool]
    ) -> tuple[str, str] | None:
        """The answer and who gave it; None for a question that needs a person's knowledge."""
        match question.get("question"):
            case "manual":
                return ("done", WHO) if self.did(question, wait=True) else None
            case "confirm":
                return "yes", WHO
            case "ask" if question.get("default") is not None:
                return str(question["default"]), WHO
        return None

    def helping(self) -> Helping:
        """The same hands where a person answers."""
        return Helping(self)

    def did(self, question: Mapping[str, Any], *, wait: bool) -> bool:
        """Whether what a manual step asks could be done, and now is, or with no wait soon."""
        host, text = (str(question.get(key) or "") for key in ("host", "text"))
        return self._deed(host, text, wait=wait)


class Helping:
    """Does by hand what ``manual`` asks for, and leaves the answer to the person who is there."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    def answer(
        self, question: Mapping[str, Any], *, over: Callable[[], bool]
    ) -> tuple[str, str] | None:
        """Never an answer."""
        if question.get("question") == "manual":
            self._hands.did(question, wait=False)
        return None
