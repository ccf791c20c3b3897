"""Answers to questions: from the operator at this terminal, or from ``--yes`` and ``--var``."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import sys
import termios
import textwrap
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from tastyops.journal.events import TYPED
from tastyops.journal.state import DONE
from tastyops.model.public_text import one_line
from tastyops.ports import OperatorKind
from tastyops.protocol.typed_command import told


class Menu(Protocol):
    """The menu after a step that did not end well."""

    def choose(self, question: Mapping[str, Any], over: Callable[[], bool]) -> str:
        """One of the question's choices. Raises EOFError, Withdrawn."""


NOBODY = "tastyops"
"""Who gives the answer that holds where no person is."""

_WITHOUT_A_PERSON = {"failure": "abort", "undo": "no", "window": "cancel"}
"""What holds where nobody is there to say otherwise."""

_YES_OR_NO = ("y", "yes", "n", "no")

_CUT = 4095
"""Bytes of a line that a terminal keeps at most (N_TTY_BUF_SIZE, termios(3))."""

_LOOK = 0.2
"""Seconds between two checks that a question on the screen is still open."""


class Withdrawn(Exception):
    """Somebody else answered, or the run stopped, while this question was on the screen."""


def typed(prompt: str, over: Callable[[], bool] = lambda: False) -> str:
    """A line from the keyboard, without the blanks around it. Raises EOFError at Ctrl-D, Withdrawn.

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
        while not select.select([keyboard], [], [], _LOOK)[0]:
            if over():
                raise Withdrawn
        piece = os.read(keyboard, 4096)
        if not piece:
            break
        line += piece
    if not line:
        raise EOFError
    return line.decode("utf-8", "replace").strip()


def typed_lines(over: Callable[[], bool] = lambda: False) -> str:
    """Lines from the keyboard as they are, up to one with a single dot, or Ctrl-D.

    A line of two dots stands for one of one. Raises Withdrawn; ValueError for a line the terminal
    cut short; OSError for a terminal that went away, whose end of input is no person's.
    """
    keyboard = sys.stdin.fileno()
    data = b""
    while True:
        while not select.select([keyboard], [], [], _LOOK)[0]:
            if over():
                raise Withdrawn
        piece = os.read(keyboard, 4096)
        data += piece
        lines = data.split(b"\n")
        if b"." in lines[:-1]:
            kept = lines[: lines.index(b".")]
            break
        if not piece:
            termios.tcgetattr(keyboard)
            kept = lines if lines[-1] else lines[:-1]
            break
    if any(len(line) >= _CUT for line in kept):
        raise ValueError(f"a line of {_CUT} bytes or more does not arrive whole here")
    undotted = [b"." if line == b".." else line for line in kept]
    return b"".join(line + b"\n" for line in undotted).decode("utf-8", "surrogateescape")


class Unattended:
    """``--yes`` answers plain confirmations, ``--var`` and defaults answer ``ask:``; no more.

    ``alone``: nobody is at the keyboard, so a question's default is its answer. ``patient``: what
    failed waits for a person all the same.
    """

    kind = OperatorKind.OPTIONS

    def __init__(
        self, who: str, *, yes: bool, answers: Mapping[str, str], alone: bool = True,
        patient: bool = False,
    ) -> None:
        self._who, self._yes, self._answers, self._alone = who, yes, answers, alone
        self._patient = patient

    def answer(
        self, question: Mapping[str, Any], *, over: Callable[[], bool]
    ) -> tuple[str, str] | None:
        """The answer and who gave it; None for what needs a person.

        What failed is not tried again and nothing is undone, unless the runbook says so. What is in
        doubt waits for a person: to end the run would leave its host held by nobody.
        """
        kind = question["question"]
        if kind == "failure" and DONE in question.get("choices", ()):
            return None
        if kind in _WITHOUT_A_PERSON and self._alone and not self._patient:
            return _WITHOUT_A_PERSON[kind], NOBODY
        if kind == "confirm" and self._yes and not question.get("by"):
            return "yes", self._who
        if kind == "ask":
            default = question.get("default") if self._alone else None
            value = self._answers.get(question["step"], default)
            return (value, self._who) if value is not None else None
        return None


class AnsweredElsewhere:
    """Nobody at a terminal: each question stays open until ``answer`` or ``attend`` answers it."""

    kind = OperatorKind.PERSON

    def answer(
        self, question: Mapping[str, Any], *, over: Callable[[], bool]
    ) -> tuple[str, str] | None:
        """Waits until the question is closed; the answer reaches the run through its spool."""
        while not over():
            time.sleep(_LOOK)
        return None


class AtTerminal:
    """A person at the keyboard.

    ``pause`` clears the screen for the question it is given, ``resume`` redraws. ``gone`` is called
    where the keyboard's input ends, or fails, at a question.
    """

    kind = OperatorKind.PERSON

    _turn = threading.Lock()

    def __init__(
        self, who: str, *, pause: Callable[[Mapping[str, Any]], None] = lambda _: None,
        resume: Callable[[], None] = lambda: None, menu: Menu | None = None,
        gone: Callable[[], None] = lambda: None,
    ) -> None:
        self._who, self._pause, self._resume, self._menu = who, pause, resume, menu
        self._gone = gone

    def answer(
        self, question: Mapping[str, Any], *, over: Callable[[], bool]
    ) -> tuple[str, str] | None:
        """Asks until the answer is valid; None if the keyboard is gone.

        Another operator's approval is not this one's to give.
        """
        if question.get("by"):
            return None
        with self._turn:
            if over():
                return None
            self._pause(question)
            try:
                if question["question"] == "failure" and self._menu is not None:
                    return self._menu.choose(question, over), self._who
                if question["question"] == TYPED:
                    return _typed_back(question, over), self._who
                return self._ask(question, over)
            except Withdrawn:
                with contextlib.suppress(OSError):
                    print(file=sys.stderr)  # noqa: T201
                return None
            except (EOFError, OSError, termios.error):
                self._gone()
                return None
            finally:
                self._resume()

    def _ask(self, question: Mapping[str, Any], over: Callable[[], bool]) -> tuple[str, str]:
        kind, default = question["question"], question.get("default")
        text = one_line(str(question["text"]))
        proposed = "" if default is None else f" [{one_line(str(default))}]"
        choices = tuple(question.get("choices", ()))
        prompt, words = {
            "confirm": (f"{text} [yes/no] ", _YES_OR_NO),
            "undo": (f"{text} [yes/no] ", _YES_OR_NO),
            "failure": (f"{text} [{'/'.join(choices)}] ", choices),
            "window": (f"{text} [{'/'.join(choices)}] ", choices),
            "manual": (f"{text}\n  Type done when it is done, no to stop: ", ("done", *_YES_OR_NO)),
            "ask": (f"{text}{proposed} ", ()),
        }[kind]
        while True:
            answer = typed(f"\a{prompt}", over)
            if not answer.isprintable():
                said = "The answer holds a control character. Please type it again."
                print(said, file=sys.stderr)  # noqa: T201
                continue
            if not words and (answer or default is not None):
                return answer or str(default), self._who
            if answer.lower() in words:
                return answer.lower(), self._who
            wanted = {
                "ask": "The answer is empty. Please type a value.",
                "manual": "Please answer done or no.",
                "failure": f"Please answer {', '.join(choices)}.",
                "window": f"Please answer {', '.join(choices)}.",
            }
            print(wanted.get(kind, "Please answer yes or no."), file=sys.stderr)  # noqa: T201


def _typed_back(question: Mapping[str, Any], over: Callable[[], bool]) -> str:
    """Asks how a command ended that was typed at the host (``protocol.typed_command``)."""

    def say(text: str) -> None:
        print(text, file=sys.stderr)  # noqa: T201

    say(f"\n{_wrapped(question)}")
    bell = "\a"
    while True:
        word = typed(f"{bell}How did it end? ", over)
        bell, found = "", told(word)
        if found is None:
            say("Please type a number from 0 to 255, or one of the words above.")
            continue
        if found.status is None:
            return word
        say("Paste its output; end with a line that holds a single dot:")
        try:
            return f"{word}\n{typed_lines(over)}"
        except ValueError as error:
            say(f"The output was not taken: {error}. Paste it in pieces, or type `cannot tell`.")


def _wrapped(question: Mapping[str, Any]) -> str:
    """The question with its words wrapped; commands to be typed are not wrapped."""
    text = "".join(ch if ch.isprintable() or ch == "\n" else "?" for ch in str(question["text"]))
    width = shutil.get_terminal_size().columns
    before, shown, after = text.partition(str(question["shown"]))

    def wrapped(part: str) -> str:
        return "\n".join(textwrap.fill(each, width) for each in part.split("\n"))

    return f"{wrapped(before)}{shown}{wrapped(after)}"
