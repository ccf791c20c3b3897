"""One shell's streams on a console, as its carrier and the link that speaks to it share them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

from tastyops.transport.ssh.wire import Bell, GoneError

BACKLOG = 16 * 1024
"""Bytes that may wait to be typed before whoever writes has to wait too."""

CLOSED = "it was closed"


class Owner(Protocol):
    """What a wire has to know of the carrier that moves its bytes."""

    @property
    def active(self) -> bool:
        """Whether it still answers, as far as is known."""

    @property
    def gone(self) -> str:
        """Why it answers no more; empty while it does."""


class ConsoleWire:
    """One shell's streams. Implements ``ssh.wire.Wire``; ``changed`` is its carrier's."""

    noise = b""

    def __init__(
        self,
        carrier: Owner,
        changed: threading.Condition,
        number: int,
        descriptor: int,
        command: str,
        bell: Bell,
    ) -> None:
        self._carrier, self._changed, self.bell = carrier, changed, bell
        self.id, self.descriptor, self.command = number, descriptor, command
        self.beginning, self.ending, self.waiting = True, False, False
        self.outgoing = bytearray()
        self.written = self.read = self.dropped = 0
        self._incoming = bytearray()
        self._status: int | None = None

    def take(self, data: bytes, ended: Sequence[str]) -> None:
        """From the carrier: output, or that there will be none any more and the exit status."""
        with self._changed:
            self._incoming += data
            self.read += len(data)
            if not data and len(ended) == 2:
                self._status = int(ended[1]) if ended[1].isdigit() else -1
                self.waiting = False
        self.bell.set()

    def send(self, data: bytes) -> None:
        """Hands it over, and waits while much of it has not been typed."""
        with self._changed:
            if not self._carrier.active:
                raise GoneError(self._carrier.gone or CLOSED)
            self.outgoing += data
            self._changed.notify_all()
            while len(self.outgoing) > BACKLOG:
                if not self._carrier.active:
                    raise GoneError(self._carrier.gone or CLOSED)
                self._changed.wait(0.5)

    def receive(self) -> bytes | None:
        """What has arrived."""
        with self._changed:
            data = bytes(self._incoming)
            self._incoming.clear()
            if data:
                return data
            if self._status is not None:
                return b""
        if not self._carrier.active:
            raise GoneError(self._carrier.gone or CLOSED)
        return None

    def status(self) -> int:
        """How the shell ended."""
        return -1 if self._status is None else self._status

    def expect(self, waiting: bool) -> None:
        """Output is asked for only while it is awaited."""
        with self._changed:
            self.waiting = waiting and self._status is None
            self._changed.notify_all()

    def close(self) -> None:
        """Ends its input once what was written has arrived."""
        with self._changed:
            if self._carrier.gone:
                return
            self.ending, self.waiting = True, False
            self.outgoing.clear()
            self._changed.notify_all()
