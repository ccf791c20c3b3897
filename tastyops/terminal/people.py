"""Who answers questions: a person at this terminal, or ``--yes`` and ``--var``."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from tastyops.model.text import one_line


class Unattended:
    """``--yes`` answers plain confirmations, ``--var`` and defaults answer ``ask:``; no more."""

    def __init__(self, who: str, *, yes: bool, answers: Mapping[str, str]) -> None:
        self._who, self._yes, self._answers = who, yes, answers

    def answer(self, question: Mapping[str, Any]) -> tuple[str, str] | None:
        """The answer and who gave it; None for what needs a person."""
        kind = question["question"]
        if kind == "confirm" and self._yes and not question.get("by"):
            return "yes", self._who
        if kind == "ask":
            value = self._answers.get(question["step"], question.get("default") if self._yes else None)
            return (value, self._who) if value is not None else None
        return None


class AtTerminal:
    """A person at the keyboard. ``pause`` clears the screen for the question, ``resume`` restores it."""

    _turn = threading.Lock()

    def __init__(
        self, who: str, *, pause: Callable[[], None] = lambda: None,
        resume: Callable[[], None] = lambda: None,
    ) -> None:
        self._who, self._pause, self._resume = who, pause, resume

    def answer(self, question: Mapping[str, Any]) -> tuple[str, str] | None:
        """Asks, and asks again until the answer is one; None when the keyboard is gone."""
        with self._turn:
            self._pause()
            try:
                return self._ask(question)
            except EOFError:
                return None
            finally:
                self._resume()

    def _ask(self, question: Mapping[str, Any]) -> tuple[str, str]:
        text, default = one_line(str(question["text"])), question.get("default")
        prompt = {
            "confirm": f"{text} [yes/no] ",
            "manual": f"{text}\n  Type done when it is done, no to stop: ",
            "ask": f"{text}{f' [{default}]' if default is not None else ''} ",
        }[question["question"]]
        while True:
            answer = input(f"\a{prompt}").strip()
            if question["question"] == "ask":
                if answer or default is not None:
                    return answer or str(default), self._who
            elif answer.lower() in ("y", "yes", "n", "no", "done"):
                return answer.lower(), self._who
            print("Please answer yes or no.", file=sys.stderr)  # noqa: T201
