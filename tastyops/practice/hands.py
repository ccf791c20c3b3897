"""Scripted operator of a practice host: answers questions and does the manual work there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tastyops.ports import OperatorKind

WHO = "practice hands"


class ManualWork(Protocol):
    """Does the work of a manual step on the modelled machine."""

    def __call__(self, host: str, text: str, *, wait: bool) -> bool:
        """Does the work, or only starts it without ``wait``; False where it cannot be done."""


class Keyboard(Protocol):
    """Keyboard and screen of the modelled machine."""

    def __call__(self, host: str, line: str) -> tuple[int, bytes] | None:
        """Types a line at root's shell; gives exit status and output, None without a shell."""


def _nobody(host: str, line: str) -> None:
    return None


def _nothing(host: str, text: str, *, wait: bool) -> bool:
    return True


class Hands:
    """Does the work of ``manual`` steps and says yes, for a second operator too; the log says so.

    ``work`` does a manual step's work on the modelled machine, ``keyboard`` types a line there.
    A question for a value is answered with the question's default.
    """

    kind = OperatorKind.PRACTICE

    def __init__(self, work: ManualWork | None = None, keyboard: Keyboard = _nobody) -> None:
        self._work, self._keyboard = work or _nothing, keyboard

    def answer(
        self, question: Mapping[str, Any], *, over: Callable[[], bool]
    ) -> tuple[str, str] | None:
        """The answer and who gave it; None for a question that only a person can answer."""
        match question.get("question"):
            case "manual":
                return ("done", WHO) if self.did(question, wait=True) else None
            case "confirm":
                return "yes", WHO
            case "typed":
                return self.typed(question)
            case "ask" if question.get("default") is not None:
                return str(question["default"]), WHO
        return None

    def helping(self) -> Helping:
        """The same hands beside a person who answers."""
        return Helping(self)

    def typed(self, question: Mapping[str, Any]) -> tuple[str, str] | None:
        """Types the line a question shows, and answers with the output."""
        found = self._keyboard(str(question["host"]), str(question["line"]))
        if found is None:
            return None
        status, seen = found
        return f"{status}\n{seen.decode('utf-8', 'surrogateescape')}", WHO

    def did(self, question: Mapping[str, Any], *, wait: bool) -> bool:
        """Does the work of a manual step; False where it cannot be done."""
        host, text = (str(question.get(key) or "") for key in ("host", "text"))
        return self._work(host, text, wait=wait)


class Helping:
    """Does the work of ``manual`` steps, and leaves the answer to the person who is there.

    A line to be typed at the modelled machine is typed here: a person has no keyboard there.
    """

    kind = OperatorKind.PRACTICE

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    def answer(
        self, question: Mapping[str, Any], *, over: Callable[[], bool]
    ) -> tuple[str, str] | None:
        """Answers only a question that asks for a line to be typed."""
        if question.get("question") == "typed":
            return self._hands.typed(question)
        if question.get("question") == "manual":
            self._hands.did(question, wait=False)
        return None
