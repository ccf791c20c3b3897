"""Joining this terminal to a host's console: keys go to the console, Ctrl-] leaves."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator

from tastyops.ports import Console

LEAVE = b"\x1d"
"""Ctrl-], as telnet has it."""

_LOOK = 0.2
"""Seconds between two checks that the console is still attached."""


def join(console: Console, descriptor: int | None = None) -> str:
    """Joins until Ctrl-], the end of input, or the console is lost; gives why it was, if it was.

    What the console says reaches the screen through its ``heard``.
    """
    typed = sys.stdin.fileno() if descriptor is None else descriptor
    with raw(typed):
        while not console.lost:
            if not select.select([typed], [], [], _LOOK)[0]:
                continue
            data = os.read(typed, 4096)
            before, leaving, _ = data.partition(LEAVE)
            if before:
                console.type(before)
            if leaving or not data:
                break
    return console.lost


def shown_on(descriptor: int) -> Callable[[bytes], None]:
    """Writes a console's bytes to a screen. A screen that is gone does not end the console."""

    def show(data: bytes) -> None:
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(descriptor, data) :]

    return show


@contextlib.contextmanager
def raw(descriptor: int) -> Iterator[None]:
    """A terminal that passes every key on; anything else is left as it is."""
    if not os.isatty(descriptor):
        yield
        return
    kept = termios.tcgetattr(descriptor)
    tty.setraw(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, kept)
