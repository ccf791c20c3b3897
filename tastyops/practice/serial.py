"""The modelled machine's serial console and its power switch, both outside the machine."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

from tastyops.ports import Ended, Sink

_KEYS = (b"\x1b[A", b"\x1b[B", b"\x1b[H")
_LISTENERS = 4
_PIECE = 4096


class Powered(Protocol):
    """What the switch works."""

    @property
    def powered(self) -> bool:
        """Whether it has power."""

    @property
    def dark(self) -> bool:
        """Whether the rack has no power, and the switch cannot be reached."""

    def turn_off(self) -> None:
        """Cuts it."""

    def turn_on(self) -> None:
        """Restores it."""


class PracticePower:
    """The practice host's power switch (``ports.Power``)."""

    def __init__(self, machine: Powered) -> None:
        self._machine = machine

    def status(self, *, sink: Sink) -> Ended:
        """Reads it."""
        if self._machine.dark:
            return self._unreachable(sink)
        sink.out(b"on\n" if self._machine.powered else b"off\n")
        return Ended(0, 0.0)

    def policy(self, *, sink: Sink) -> Ended:
        """kalimdor starts by itself when power returns, as it did on March 8th 2008."""
        if self._machine.dark:
            return self._unreachable(sink)
        sink.out(b"always-on\n")
        return Ended(0, 0.0)

    def turn(self, how: Literal["on", "off", "cycle"], *, sink: Sink) -> Ended:
        """Works it; a cycle of a machine that is off switches it on."""
        began = time.monotonic()
        if self._machine.dark:
            return self._unreachable(sink)
        if how == "cycle" and not self._machine.powered:
            how = "on"
        if how != "on":
            self._machine.turn_off()
        if how != "off":
            self._machine.turn_on()
        sink.out(f"{how}\n".encode())
        return Ended(0, time.monotonic() - began)

    @staticmethod
    def _unreachable(sink: Sink) -> Ended:
        sink.err(b"Error: Unable to establish IPMI v2 / RMCP+ session\n")
        return Ended(1, 0.0)

    def stop(self) -> None:
        """It never waits."""


class SerialConsole:
    """A socket in the practice host's own directory; everybody connected sees what is written.

    ``press`` receives the keys one at a time, in a thread of its own.
    """

    def __init__(self, path: Path, press: Callable[[bytes], None]) -> None:
        self.path, self._press = path, press
        self._lock = threading.Lock()
        self._links: set[socket.socket] = set()
        self._server = _listening(path)
        self._server.setblocking(False)
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="practice-serial", daemon=True)
        self._thread.start()

    @property
    def attached(self) -> bool:
        """Whether anybody is there; who has connected is, though the thread is not yet that far."""
        self._accept()
        with self._lock:
            return bool(self._links)

    def say(self, data: bytes) -> None:
        """Something the machine says; who does not read is left behind, not the machine held up."""
        with self._lock:
            for link in list(self._links):
                try:
                    link.send(data)
                except OSError:
                    self._drop(link)

    def _serve(self) -> None:
        while not self._closing:
            with self._lock:
                watched = [self._server, *self._links]
            for ready in select.select(watched, [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    self._attend(ready)

    def _accept(self) -> None:
        with self._lock, contextlib.suppress(BlockingIOError):
            while True:
                link, _ = self._server.accept()
                link.setblocking(False)
                self._links.add(link)

    def _attend(self, ready: socket.socket) -> None:
        if ready is self._server:
            self._accept()
            return
        data = ready.recv(_PIECE)
        if not data:
            with self._lock:
                self._drop(ready)
        while data:
            key = next((key for key in _KEYS if data.startswith(key)), data[:1])
            data = data[len(key) :]
            self._press(key)

    def _drop(self, link: socket.socket) -> None:
        self._links.discard(link)
        link.close()

    def close(self) -> None:
        """Ends it."""
        self._closing = True
        self._thread.join()
        self._server.close()
        with self._lock:
            for link in list(self._links):
                self._drop(link)
        self.path.unlink(missing_ok=True)


def _listening(path: Path) -> socket.socket:
    """A socket bound at ``path``, for this account alone; the path may have any length.

    An address holds 107 bytes (unix(7)), and ``$TMPDIR`` may be longer; so the address goes through
    the opened directory. Systems without O_PATH take the path as the address.
    """
    server = socket.socket(socket.AF_UNIX)
    try:
        if hasattr(os, "O_PATH"):
            directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                server.bind(f"/proc/self/fd/{directory}/{path.name}")
            finally:
                os.close(directory)
        else:
            server.bind(str(path))
        path.chmod(0o600)
        server.listen(_LISTENERS)
    except OSError:
        server.close()
        raise
    return server
