"""Scripted hands: they play the operator on a practice host, and do what is done by hand there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tastyops.ports import OperatorKind

WHO = "practice hands"


class Deed(Protocol):
    """What a manual step asks, done to the modelled machine."""

    def __call__(self, host: str, text: str, *, wait: bool) -> bool:
        """Does it, or has it begun without ``wait``; False for what cannot be done."""


class Keyboard(Protocol):
    """The modelled machine's own keyboard and screen."""

    def __call__(self, host: str, line: str) -> tuple[int, bytes] | None:
        """Types a line at its shell: the exit status and what is seen; None where none waits."""


def _nobody(host: str, line: str) -> None:
    return None


def _nothing(host: str, text: str, *, wait: bool) -> bool:
    return True


class Hands:
    """Does what ``manual`` asks for and says yes, for another operator too; the log says so.

    ``deed`` is what its doing amounts to on the modelled machine, ``keyboard`` where what is to be
    typed there is typed. A value is only ever a question's default.
    """

    kind = OperatorKind.PRACTICE

    def __init__(self, deed: Deed | None = None, keyboard: Keyboard = _nobody) -> None:
        self._deed, self._keyboard = deed or _nothing, keyboard

    def answer(
        self, question: Mapping[str, Any], *, over: Callable[[], bool]
    ) -> tuple[str, str] | None:
        """The answer and who gave it; None for a question that needs a person's knowledge."""
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
        """The same hands where a person answers."""
        return Helping(self)

    def typed(self, question: Mapping[str, Any]) -> tuple[str, str] | None:
        """Types what is to be typed at the host, and tells what was seen."""
        found = self._keyboard(str(question["host"]), str(question["line"]))
        if found is None:
            return None
        status, seen = found
        return f"{status}\n{seen.decode('utf-8', 'surrogateescape')}", WHO

    def did(self, question: Mapping[str, Any], *, wait: bool) -> bool:
        """Whether what a manual step asks could be done, and now is, or with no wait soon."""
        host, text = (str(question.get(key) or "") for key in ("host", "text"))
        return self._deed(host, text, wait=wait)


class Helping:
    """Does by hand what ``manual`` asks for, and leaves the answer to the person who is there.

    What is to be typed at the modelled machine only they can type, and tell.
    """

    kind = OperatorKind.PRACTICE

    def __init__(self, hands: Hands) -> None:
        self._hands = hands

    def answer(
        self, question: Mapping[str, Any], *, over: Callable[[], bool]
    ) -> tuple[str, str] | None:
        """An answer only for what was typed."""
        if question.get("question") == "typed":
            return self._hands.typed(question)
        if question.get("question") == "manual":
            self._hands.did(question, wait=False)
        return None
