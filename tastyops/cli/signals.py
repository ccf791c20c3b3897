"""Being told to stop: Ctrl-C, SIGTERM, a terminal that goes away.

Python raises KeyboardInterrupt between any two instructions, also between an event's number and
its line in the journal. So while a run is on, the first signal only hands the run a request to
stop; a second one aborts it, after which nothing more is written.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any, Protocol

from tastyops.errors import ExitCode

ABORTED = (
    "Aborted. What was under way on a host may still run there; the log stays In progress.\n"
    "`invoke show last --commands` tells how far it came.\n"
)
LONGEST_ABORT = 3.0
"""Seconds an abort may take to hang up on its hosts; then the process ends where it stands."""

_SHOW_CURSOR = "\x1b[?25h"

_Handler = Callable[[int, FrameType | None], Any]

_REASONS = {
    signal.SIGINT: "interrupted at the terminal",
    signal.SIGTERM: "told to end (SIGTERM)",
    signal.SIGHUP: "its terminal went away (SIGHUP)",
}


class Stop(Protocol):
    """Asks the run to stop; ``gently``: a person at its terminal may then say how to go on."""

    def __call__(self, why: str, /, *, gently: bool) -> None:
        """Called once for each first signal."""


class Aborted(BaseException):
    """A second signal came. No Exception: nothing on the way may take it for an ordinary one."""


@contextlib.contextmanager
def like_ctrl_c() -> Iterator[None]:
    """SIGTERM and SIGHUP end what runs inside as Ctrl-C does, with its cleaning up and its code."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handled({signal.SIGTERM: interrupt, signal.SIGHUP: interrupt}):
        yield


@contextlib.contextmanager
def stopping(
    stop: Stop, over: Callable[[], bool], answered: Callable[[], int] = lambda: 0
) -> Iterator[None]:
    """The first signal calls ``stop`` with its reason; another Ctrl-C or SIGTERM raises Aborted.

    A second SIGHUP does not count: one closed terminal sends it twice, itself and by way of the
    shell. When the run is ``over`` only its last words are being written, and no signal counts.
    ``answered`` counts how often a person decided how to go on: after that a signal is a first one.
    """
    asked = -1

    def told(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if over():
            return
        if asked != answered():
            asked = answered()
            stop(_REASONS[signal.Signals(number)], gently=number == signal.SIGINT)
        elif number != signal.SIGHUP:
            _ignore(*_REASONS)
            _see_to_the_end()
            raise Aborted

    with _handled(dict.fromkeys(_REASONS, told)):
        try:
            yield
        finally:
            if asked >= 0:
                _ignore(signal.SIGINT)


def _ignore(*numbers: signal.Signals) -> None:
    """From now on: somebody leans on Ctrl-C, and what is left to do takes no time.

    Not with SIG_IGN: Python complains on the terminal when one is just being delivered. And
    blocked besides: while the interpreter ends, its handlers are gone before the process is.
    """
    for number in numbers:
        signal.signal(number, _nothing)
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)


def _nothing(number: int, frame: FrameType | None) -> None:
    """Takes a signal that means nothing any more."""


def _see_to_the_end() -> None:
    """A host that does not answer must not keep the operator who has had enough of waiting."""

    def leave() -> None:
        cursor = _SHOW_CURSOR if sys.stdout.isatty() else ""
        with contextlib.suppress(OSError):
            os.write(2, f"{cursor}\n{ABORTED}".encode())
        os._exit(int(ExitCode.CANCELLED))

    watch = threading.Timer(LONGEST_ABORT, leave)
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
