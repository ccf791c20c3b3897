"""The console hub, a separate process that always reads the machine's serial console.

QEMU connects to the hub. The machine's output goes to a log and to every listener; a listener that
does not read is cut off, so that it never blocks the machine. ``python -m tastyops.lab.hub``.
"""

from __future__ import annotations

import contextlib
import re
import selectors
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path

LOG_BYTES = 8 << 20
"""Size at which the log is renamed to ``.1`` and a new one begins."""

BEHIND = 1 << 20
"""Bytes a listener may lag behind before it is cut off."""

SCROLLBACK = 2000
"""Bytes of earlier output that a new listener receives first."""

LISTENERS = 16
IAC = b"\xff"
_TELNET = re.compile(
    rb"([^\xff]+)|\xff(?:(\xff)|[\xfb-\xfe].|\xfa.*?\xff\xf0|[\xf0-\xf9])", re.DOTALL
)
"""RFC 854: text, an escaped byte, or a negotiation, which is left out."""

_PIECE = 65536


@dataclass(eq=False)
class _Peer:
    """A connection with its unsent bytes; the power switch speaks telnet."""

    socket: socket.socket
    machine: bool = False
    telnet: bool = False
    waiting: bytearray = field(default_factory=bytearray)
    _held: bytes = b""

    def typed(self, data: bytes) -> bytes:
        """Typed bytes without telnet's negotiation, which may arrive in pieces."""
        if not self.telnet:
            return data
        data, said, at = self._held + data, b"", 0
        while found := _TELNET.match(data, at):
            said, at = said + (found[1] or found[2] or b""), found.end()
        self._held = data[at:][:BEHIND]
        return said


class Hub:
    """Connects the machine's serial port with any number of listeners.

    While the file ``hung`` exists the console hangs: nothing passes either way.
    """

    def __init__(self, serial: Path, console: Path, port: int, log: Path) -> None:
        self._log, self._hung = log, console.with_name("hung")
        self._selector = selectors.DefaultSelector()
        self._doors: set[_Peer] = set()
        self._peers: set[_Peer] = set()
        self._recent = b""
        self._listen(_Peer(_unix(serial), machine=True))
        self._listen(_Peer(_unix(console)))
        self._listen(_Peer(socket.create_server(("127.0.0.1", port)), telnet=True))

    def _listen(self, door: _Peer) -> None:
        door.socket.setblocking(False)
        self._doors.add(door)
        self._selector.register(door.socket, selectors.EVENT_READ, door)

    def serve(self) -> None:
        """Passes bytes on until the process ends."""
        while True:
            for key, events in self._selector.select():
                if key.data in self._peers:
                    self._attend(key.data, events)
                elif key.data in self._doors:
                    self._accept(key.data)

    def _accept(self, door: _Peer) -> None:
        with contextlib.suppress(OSError):
            connection, _ = door.socket.accept()
            if len(self._peers) > LISTENERS:
                connection.close()
                return
            connection.setblocking(False)
            peer = _Peer(connection, door.machine, door.telnet)
            self._peers.add(peer)
            self._selector.register(connection, selectors.EVENT_READ, peer)
            if not peer.machine and not self._hung.exists():
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
                self._pass_on(peer, peer.typed(data))
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
        peer.waiting += data.replace(IAC, IAC + IAC) if peer.telnet else data
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
