"""Calls the operators when a run waits for them, in fixed words: never what a host printed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from tastyops.journal.envelope import Event
from tastyops.journal.events import TYPED, Address, Asked, Body, Called, RunClosed
from tastyops.journal.state import RunState
from tastyops.ports import Announcer

GRACE = 1.0
"""Seconds a question is open before anybody is called: most are answered at once, or by --yes."""

PATIENCE = 25.0
"""Seconds the end of a run waits for calls that are still being made."""

COMMAND_PATIENCE = 20.0
"""Seconds an announcer's command may take; then it and its process group are killed."""

_ENVIRONMENT = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "DISPLAY", "WAYLAND_DISPLAY",
    "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS",
)  # fmt: skip
"""The variables of our environment that the command gets; others may hold a run's secrets."""

_WAITS = {
    "ask": "waits for a value",
    "manual": "waits for work by hand",
    "confirm": "waits for a confirmation",
    "failure": "waits for a decision about what failed",
    TYPED: "waits for what is typed at the host by hand",
    "undo": "waits for a decision about undoing",
    "window": "waits for a decision, since its at-risk period is over",
}

_Key = tuple[str, str, str]


class CommandAnnouncer:
    """Runs the command with the sentence as its standard input; its output goes nowhere."""

    def __init__(self, argv: Sequence[str], patience: float = COMMAND_PATIENCE) -> None:
        self._argv, self._patience = tuple(argv), patience

    def call(self, sentence: str, facts: Mapping[str, str]) -> str:
        """Announces the sentence; gives what went wrong, or nothing. Never raises.

        ``facts`` become environment variables, ``TASTYOPS_`` before their names.
        """
        ours = {f"TASTYOPS_{name.upper()}": value for name, value in facts.items()}
        kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        try:
            process = subprocess.Popen(
                self._argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, env={**kept, **ours}, start_new_session=True,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            said = error.strerror if isinstance(error, OSError) else "that is no command"
            return f"{self._argv[0]} cannot be run: {said}"
        try:
            process.communicate(f"{sentence}\n".encode(), timeout=self._patience)
        except subprocess.TimeoutExpired:
            return f"{self._argv[0]} was stopped: it took longer than {self._patience:g} s"
        except OSError:
            pass  # it does not read its input, and need not
        finally:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        status = process.returncode
        return f"{self._argv[0]} ended with status {status}" if status else ""


class Caller:
    """A listener that calls when a question waits, and when the run ends other than completed.

    ``hand`` hands the event of a call to the run's journal; ``ring`` rings the terminal's bell
    where nothing else does; ``say`` tells the operator there what went wrong.
    """

    def __init__(
        self, state: RunState, announcer: Announcer | None, *, hand: Callable[[Body], None],
        ring: Callable[[], None], say: Callable[[str], None],
    ) -> None:
        self._state, self._announcer = state, announcer
        self._hand, self._ring, self._say = hand, ring, say
        now = time.monotonic()
        self._open: dict[_Key, float] = {_key(at, q): now for at, q in state.questions()}
        """The questions nobody was called for yet, and since when each is open."""
        self._old = set(self._open)
        """The questions that an earlier process may have called for."""
        self._calls: list[threading.Thread] = []

    def event(self, event: Event) -> None:
        """Takes one event."""
        body = event.body
        if isinstance(body, Asked) and body.question != TYPED:  # whoever types there is there
            self._open[_key(event.at, body)] = time.monotonic()
        elif isinstance(body, RunClosed) and body.exit_code:
            self._call("ended", self._sentence(f"ended: {body.status}"), "")

    def caught_up(self) -> None:
        """Calls for the questions that have been open for long enough."""
        if self._open:
            self._look(GRACE)

    def running(self, at: Address, out: bytes, err: bytes) -> None:
        """Output calls nobody."""

    def left(self) -> None:
        """Calls for all open questions: the process ends and the run does not."""
        self._look(0.0)

    def finish(self) -> None:
        """Waits for the calls that are being made."""
        until = time.monotonic() + PATIENCE
        for call in self._calls:
            call.join(max(0.0, until - time.monotonic()))

    def _look(self, grace: float) -> None:
        asked = {_key(at, question): (at, question) for at, question in self._state.questions()}
        for key, since in list(self._open.items()):
            if key not in asked:
                del self._open[key]
            elif time.monotonic() - since >= grace:
                del self._open[key]
                at, question = asked[key]
                said = _WAITS.get(question.question, "waits for a person")
                if question.by:
                    said = f"waits for the yes of {question.by}"
                sentence = self._sentence(f"{said} at step {at.step}")
                if key not in self._old or sentence not in self._state.called:
                    self._call("waits", sentence, at.step, ring=bool(question.by))

    def _sentence(self, said: str) -> str:
        opened = self._state.opened
        if opened is None:
            return f"The run {self._state.run} {said}."
        practice = "PRACTICE: " if opened.practice else ""
        return f"{practice}[{opened.log}] {opened.title} {said}."

    def _call(self, what: str, sentence: str, step: str, *, ring: bool = True) -> None:
        if ring:
            self._ring()
        announcer, opened = self._announcer, self._state.opened
        if announcer is None:
            return
        facts = {
            "what": what, "run": self._state.run, "log": opened.log if opened else "",
            "step": step, "attending": ",".join(self._state.attending),
        }  # fmt: skip

        def call() -> None:
            problem = announcer.call(sentence, facts)
            if problem:
                self._say(f"Nobody could be called: {problem}.")
            if what == "waits" and self._state.closed is None:
                self._hand(Called(sentence, problem))

        self._calls.append(threading.Thread(target=call, daemon=True))
        self._calls[-1].start()


def _key(at: Address, question: Asked) -> _Key:
    return at.host, at.step, question.digest
