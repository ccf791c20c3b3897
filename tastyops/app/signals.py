"""Signals: Ctrl-C stops a run, SIGTERM and SIGHUP let go of it.

Python raises KeyboardInterrupt between any two instructions, also between an event's number and
its line in the journal. So while a run is on, no signal raises at once. The first Ctrl-C hands the
run a request to stop; a second one aborts it, after which nothing more is written. SIGTERM and
SIGHUP set a flag that the run reads between two turns.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

from tastyops.errors import ExitCode

ABORTED = (
    "Aborted. What was under way on a host may still run there; the log stays In progress.\n"
    "`invoke show last --commands` shows how far it came.\n"
)
LONGEST_ABORT = 3.0
"""Seconds an abort may take to hang up on its hosts; then the process ends where it stands."""

LONGEST_RELEASE = 60.0
"""Seconds that letting go of a run may take, a call of the operators included."""

_SHOW_CURSOR = "\x1b[?25h"

_Handler = Callable[[int, FrameType | None], Any]

INTERRUPTED = "interrupted at the terminal"

_RELEASING = {
    signal.SIGTERM: "its process was told to end (SIGTERM)",
    signal.SIGHUP: "its terminal went away (SIGHUP)",
}
"""The signals that let go of a run, and why in the operator's words."""


class Aborted(BaseException):
    """A second signal came. Not an Exception, so that no handler of exceptions catches it."""


def loaded() -> None:
    """Ctrl-C raises KeyboardInterrupt from now on: until here it ended the process at once.

    Only where the program's own start guarded it; not under Invoke and in tests.
    """
    if getattr(signal.getsignal(signal.SIGINT), "__name__", "") == "leave":
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def like_ctrl_c() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt inside, as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handled({signal.SIGTERM: interrupt, signal.SIGHUP: interrupt}):
        yield


@contextlib.contextmanager
def letting_go(release: Callable[[str], None]) -> Iterator[None]:
    """SIGTERM and SIGHUP call ``release`` with the reason and raise nothing.

    A closed terminal sends SIGHUP twice, itself and by way of the shell: each signal after the
    first changes nothing. A process that has not let go in time ends where it stands; the journal
    is then as after a kill.
    """

    def told(number: int, frame: FrameType | None) -> None:
        release(_RELEASING[signal.Signals(number)])
        _ignore(*_RELEASING)
        _end_after(LONGEST_RELEASE, ExitCode.IN_DOUBT, "")

    with _handled(dict.fromkeys(_RELEASING, told)):
        yield


@contextlib.contextmanager
def stopping(
    stop: Callable[[], None], over: Callable[[], bool], answered: Callable[[], int] = lambda: 0
) -> Iterator[None]:
    """The first Ctrl-C calls ``stop``; another one raises Aborted.

    When the run is ``over`` only its last words are being written, and no Ctrl-C counts.
    ``answered`` counts how often a person decided how to go on: after that a Ctrl-C is a first one.
    """
    asked = -1

    def told(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if over():
            return
        if asked != answered():
            asked = answered()
            stop()
        else:
            _ignore(signal.SIGINT, *_RELEASING)
            _end_after(LONGEST_ABORT, ExitCode.CANCELLED, ABORTED)
            raise Aborted

    with _handled({signal.SIGINT: told}):
        try:
            yield
        finally:
            if asked >= 0:
                _ignore(signal.SIGINT)


def _ignore(*numbers: signal.Signals) -> None:
    """Ignores these signals from now on, for what is left to do takes no time.

    Not with SIG_IGN: Python prints a complaint when a signal is just being delivered. The signals
    are blocked too: while the interpreter ends, its handlers are gone before the process is.
    """
    for number in numbers:
        signal.signal(number, _nothing)
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)


def _nothing(number: int, frame: FrameType | None) -> None:
    """The handler of a signal that is ignored."""


def _end_after(seconds: float, code: ExitCode, words: str) -> None:
    """Ends the process after that time, wherever it stands.

    Neither a silent host nor a terminal whose output was stopped (Ctrl-S) may keep it.
    """

    def leave() -> None:
        cursor = _SHOW_CURSOR if sys.stdout.isatty() else ""
        with contextlib.suppress(OSError):
            if select.select([], [2], [], 0)[1]:
                os.write(2, f"{cursor}\n{words}".encode())
        os._exit(int(code))

    watch = threading.Timer(seconds, leave)
    watch.daemon = True
    watch.start()


@contextlib.contextmanager
def _handled(handlers: Mapping[signal.Signals, _Handler]) -> Iterator[None]:
    """Installs handlers, but for signals that are ignored (nohup), and puts the old ones back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wanted = {n: h for n, h in handlers.items() if signal.getsignal(n) is not signal.SIG_IGN}
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is not _nothing:
                signal.signal(number, handler)
