"""The console hub, a process of its own: it always reads the machine's serial console.

QEMU connects to it; what the machine says goes to a log and to whoever listens, and a listener
that does not read is left behind rather than the machine held up. ``python -m tastyops.lab.hub``.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path

LOG_BYTES = 8 << 20
"""Beyond that the log is put aside as ``.1`` and a new one begun."""

BEHIND = 1 << 20
"""How much a listener may be behind before it is cut off."""

SCROLLBACK = 2000
"""What a listener sees first of what was said before it came."""

LISTENERS = 16
_PIECE = 65536


@dataclass(eq=False)
class _Peer:
    """One connection and what is still to be written to it."""

    socket: socket.socket
    machine: bool
    waiting: bytearray = field(default_factory=bytearray)


class Hub:
    """Between the machine's serial port and any number of listeners.

    While the file ``hung`` exists the console is a hung one: nothing passes either way.
    """

    def __init__(self, serial: Path, console: Path, port: int, log: Path) -> None:
        self._log, self._hung = log, console.with_name("hung")
        self._selector = selectors.DefaultSelector()
        self._peers: set[_Peer] = set()
        self._recent = b""
        self._listen(_unix(serial), machine=True)
        self._listen(_unix(console), machine=False)
        self._listen(socket.create_server(("127.0.0.1", port)), machine=False)

    def _listen(self, server: socket.socket, *, machine: bool) -> None:
        server.setblocking(False)
        self._selector.register(server, selectors.EVENT_READ, machine)

    def serve(self) -> None:
        """Passes bytes until the process is ended."""
        while True:
            for key, events in self._selector.select():
                if isinstance(key.data, bool):
                    self._accept(key.fileobj, machine=key.data)
                elif key.data in self._peers:
                    self._attend(key.data, events)

    def _accept(self, server: object, *, machine: bool) -> None:
        assert isinstance(server, socket.socket)
        with contextlib.suppress(OSError):
            connection, _ = server.accept()
            if len(self._peers) > LISTENERS:
                connection.close()
                return
            connection.setblocking(False)
            peer = _Peer(connection, machine)
            self._peers.add(peer)
            self._selector.register(connection, selectors.EVENT_READ, peer)
            if not machine and not self._hung.exists():
                self._send(peer, self._recent)

    def _attend(self, peer: _Peer, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                del peer.waiting[: peer.socket.send(peer.waiting)]
                self._watch(peer)
            if events & selectors.EVENT_READ:
                data = peer.socket.recv(_PIECE)
                if not data:
                    raise ConnectionResetError
                self._pass_on(peer, data)
        except BlockingIOError:
            return
        except OSError:
            self._drop(peer)

    def _pass_on(self, peer: _Peer, data: bytes) -> None:
        hung = self._hung.exists()
        if peer.machine:
            self._record(data)
        if hung:
            return
        if peer.machine:
            self._recent = (self._recent + data)[-SCROLLBACK:]
        for other in [other for other in self._peers if other.machine != peer.machine]:
            self._send(other, data)

    def _record(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # a full disk must not hold up the machine
            with self._log.open("ab") as log:
                log.write(data)
                size = log.tell()
            if size > LOG_BYTES:
                self._log.replace(self._log.with_name(f"{self._log.name}.1"))

    def _send(self, peer: _Peer, data: bytes) -> None:
        peer.waiting += data
        if len(peer.waiting) > BEHIND:
            if peer.machine:  # a guest that does not read its serial port: what was typed is lost
                peer.waiting.clear()
            else:
                self._drop(peer)
                return
        self._watch(peer)

    def _watch(self, peer: _Peer) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.waiting else 0)
        self._selector.modify(peer.socket, events, peer)

    def _drop(self, peer: _Peer) -> None:
        self._peers.discard(peer)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(peer.socket)
        peer.socket.close()


def _unix(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    path.chmod(0o600)
    server.listen(LISTENERS)
    return server


if __name__ == "__main__":
    Hub(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])).serve()
