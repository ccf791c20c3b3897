"""Who answers questions: a person at this terminal, or ``--yes`` and ``--var``."""

from __future__ import annotations

import contextlib
import os
import sys
import termios
import threading
from collections.abc import Callable, Mapping
from typing import Any

from tastyops.model.text import one_line

_YES_OR_NO = ("y", "yes", "n", "no")


def typed(prompt: str) -> str:
    """A line from the keyboard, without the blanks around it. Raises EOFError at Ctrl-D.

    The prompt goes to standard error, so that standard output stays what the run writes. What was
    typed before the question was there is no answer to it and is dropped. The line is read past
    ``sys.stdin``: a thread that waits inside it when the program ends would crash the program.
    """
    keyboard = sys.stdin.fileno()
    with contextlib.suppress(termios.error):
        termios.tcflush(keyboard, termios.TCIFLUSH)
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(keyboard, 4096)
        if not piece:
            break
        line += piece
    if not line:
        raise EOFError
    return line.decode("utf-8", "replace").strip()


class Unattended:
    """``--yes`` answers plain confirmations, ``--var`` and defaults answer ``ask:``; no more.

    ``alone``: nobody is at the keyboard, so a question's default is its answer.
    """

    def __init__(
        self, who: str, *, yes: bool, answers: Mapping[str, str], alone: bool = True
    ) -> None:
        self._who, self._yes, self._answers, self._alone = who, yes, answers, alone

    def answer(self, question: Mapping[str, Any]) -> tuple[str, str] | None:
        """The answer and who gave it; None for what needs a person."""
        kind = question["question"]
        if kind == "confirm" and self._yes and not question.get("by"):
            return "yes", self._who
        if kind == "ask":
            default = question.get("default") if self._alone else None
            value = self._answers.get(question["step"], default)
            return (value, self._who) if value is not None else None
        return None


class AtTerminal:
    """A person at the keyboard.

    ``pause`` clears the screen for the question it is given, ``resume`` redraws.
    """

    _turn = threading.Lock()

    def __init__(
        self, who: str, *, pause: Callable[[Mapping[str, Any]], None] = lambda _: None,
        resume: Callable[[], None] = lambda: None,
    ) -> None:
        self._who, self._pause, self._resume = who, pause, resume

    def answer(self, question: Mapping[str, Any]) -> tuple[str, str] | None:
        """Asks, and asks again until the answer is one; None when the keyboard is gone."""
        with self._turn:
            self._pause(question)
            try:
                return self._ask(question)
            except (EOFError, OSError):
                return None
            finally:
                self._resume()

    def _ask(self, question: Mapping[str, Any]) -> tuple[str, str]:
        kind, default = question["question"], question.get("default")
        text = one_line(str(question["text"]))
        proposed = "" if default is None else f" [{one_line(str(default))}]"
        prompt, words = {
            "confirm": (f"{text} [yes/no] ", _YES_OR_NO),
            "manual": (f"{text}\n  Type done when it is done, no to stop: ", ("done", *_YES_OR_NO)),
            "ask": (f"{text}{proposed} ", ()),
        }[kind]
        while True:
            answer = typed(f"\a{prompt}")
            if not answer.isprintable():
                print("That holds a control character; once more, please.", file=sys.stderr)  # noqa: T201
                continue
            if not words and (answer or default is not None):
                return answer or str(default), self._who
            if answer.lower() in words:
                return answer.lower(), self._who
            wanted = {"confirm": "Please answer yes or no.", "manual": "Please answer done or no."}
            print(wanted.get(kind, "It wants a value."), file=sys.stderr)  # noqa: T201
