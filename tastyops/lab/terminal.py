"""Connects this terminal to the lab machine's serial console."""

from __future__ import annotations

import os
import select
import socket
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from tastyops.errors import LabFailed

LEAVE = b"\x1d"
"""Ctrl-], telnet's escape key."""


def join(console: Path, raw: Callable[[int], AbstractContextManager[None]]) -> None:
    """Connects standard input and output to the console until Ctrl-] or the end of input.

    ``raw`` is a context in which the terminal passes every key on.
    """
    link = socket.socket(socket.AF_UNIX)
    try:
        link.connect(str(console))
    except OSError as error:
        link.close()
        raise LabFailed(
            f"The console does not answer: {error.strerror}.",
            next_step="`invoke lab.status` tells whether the lab is up.",
        ) from error
    with link, raw(sys.stdin.fileno()):
        _pass_bytes(link, sys.stdin.fileno(), sys.stdout.fileno())


def _pass_bytes(link: socket.socket, typed: int, shown: int) -> None:
    watched: list[int] = [link.fileno(), typed]
    while link.fileno() in watched:
        ready, _, _ = select.select(watched, [], [])
        if link.fileno() in ready:
            data = link.recv(65536)
            if not data:
                return
            os.write(shown, data)
        if typed in ready:
            data = os.read(typed, 4096)
            before, leaving, _ = data.partition(LEAVE)
            link.sendall(before)
            if leaving or not data:
                return
