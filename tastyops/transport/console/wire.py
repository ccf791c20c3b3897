"""The streams of one shell on a console, shared by its carrier and its link."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

from tastyops.transport.ssh.wire import Bell, GoneError

BACKLOG = 16 * 1024
"""Bytes that may wait to be typed before a writer is blocked."""

CLOSED = "it was closed"


class Owner(Protocol):
    """The part of a carrier that its wires use."""

    @property
    def active(self) -> bool:
        """Whether the host still answers, as far as is known."""

    @property
    def gone(self) -> str:
        """Why the host no longer answers; empty while it does."""


class ConsoleWire:
    """The streams of one shell. Implements ``ssh.wire.Wire``; ``changed`` wakes the carrier."""

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
        """Takes output from the carrier, or the end of output with the exit status."""
        with self._changed:
            self._incoming += data
            self.read += len(data)
            if not data and len(ended) == 2:
                self._status = int(ended[1]) if ended[1].isdigit() else -1
                self.waiting = False
        self.bell.set()

    def send(self, data: bytes) -> None:
        """Queues input, and waits while much of the queue has not been typed."""
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
        """The shell's exit status."""
        return -1 if self._status is None else self._status

    def expect(self, waiting: bool) -> None:
        """Output is requested only while an answer is due."""
        with self._changed:
            self.waiting = waiting and self._status is None
            self._changed.notify_all()

    def close(self) -> None:
        """Ends the shell's input after all that was written has arrived."""
        with self._changed:
            if self._carrier.gone:
                return
            self.ending, self.waiting = True, False
            self.outgoing.clear()
            self._changed.notify_all()
