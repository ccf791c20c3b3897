"""The control socket of an ``ssh`` master: what is asked of it, and what it answers.

A session is asked for as ``ssh -S`` asks, without a process for it: the three descriptors of its
standard streams are handed over, and the master does the rest.

Source: ``PROTOCOL.mux`` and ``mux.c`` of OpenSSH portable. Version 4 is the protocol's only one
from 8.4 to 10.5, and older.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

_VERSION = 4
_HELLO = 0x00000001
_NEW_SESSION = 0x10000002
_ALIVE_CHECK = 0x10000004
_TERMINATE = 0x10000005
_EXIT_MESSAGE = 0x80000004
_ALIVE = 0x80000005
_SESSION_OPENED = 0x80000006
_REFUSALS = (0x80000002, 0x80000003)
"""MUX_S_PERMISSION_DENIED and MUX_S_FAILURE."""

_NO_ESCAPE = 0xFFFFFFFF
_LARGEST = 256 * 1024
"""The largest packet that OpenSSH itself takes."""


class MasterGoneError(Exception):
    """Nobody answers on the control socket, or not in its protocol."""


class SessionRefusedError(Exception):
    """The host refused another session on this connection; the text is the master's."""


class Control:
    """One conversation over the control socket; it can hold one session.

    Every method raises MasterGoneError, also where the master is silent for ``seconds``.
    """

    def __init__(self, path: str, seconds: float) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(seconds)
        try:
            self._socket.connect(path)
            self._send(_HELLO, struct.pack(">I", _VERSION))
        except OSError as error:
            self._socket.close()
            raise MasterGoneError(error.strerror or str(error)) from error
        except MasterGoneError:
            self._socket.close()
            raise
        self._greeted = False

    def pid(self) -> int:
        """The master's process."""
        self._send(_ALIVE_CHECK, struct.pack(">I", 1))
        kind, body = self._answer()
        if kind != _ALIVE:
            raise MasterGoneError(f"it answered {kind:#x} to an alive check")
        return int(struct.unpack(">I", body[4:8])[0])

    def terminate(self) -> None:
        """Has the master end its connection, and itself. It gives no answer but its end."""
        self._send(_TERMINATE, struct.pack(">I", 1))

    def ended(self, seconds: float) -> bool:
        """Whether the master closes the conversation within that time."""
        self._socket.settimeout(seconds)
        try:
            while self._socket.recv(4096):
                pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def session(self, command: str, streams: Sequence[int]) -> None:
        """Starts the command on the host, its standard streams being copies of these descriptors.

        Raises SessionRefusedError.
        """
        flags = struct.pack(">5I", 0, 0, 0, 0, _NO_ESCAPE)  # no terminal, X11, agent, subsystem
        words = _text("") + flags + _text("") + _text(command)
        self._send(_NEW_SESSION, struct.pack(">I", 1) + words)
        try:
            for descriptor in streams:
                socket.send_fds(self._socket, [b"\0"], [descriptor])
        except OSError as error:
            raise MasterGoneError(error.strerror or str(error)) from error
        kind, body = self._answer()
        if kind in _REFUSALS:
            size = struct.unpack(">I", body[4:8])[0]
            raise SessionRefusedError(body[8 : 8 + size].decode("utf-8", "replace"))
        if kind != _SESSION_OPENED:
            raise MasterGoneError(f"it answered {kind:#x} to a new session")

    def exit_status(self) -> int:
        """How the session's command ended, once its output is over; -1 where nobody told."""
        try:
            kind, body = self._answer()
            while kind != _EXIT_MESSAGE:
                kind, body = self._packet()
        except MasterGoneError:
            return -1
        return int(struct.unpack(">I", body[4:8])[0])

    def close(self) -> None:
        """Ends the conversation, and the session with it."""
        self._socket.close()

    # -- packets -------------------------------------------------------------------------------

    def _send(self, kind: int, body: bytes) -> None:
        packet = struct.pack(">I", kind) + body
        try:
            self._socket.sendall(struct.pack(">I", len(packet)) + packet)
        except OSError as error:
            raise MasterGoneError(error.strerror or str(error)) from error

    def _answer(self) -> tuple[int, bytes]:
        """The next packet but the master's greeting: its kind, and what comes behind that."""
        if not self._greeted:
            kind, body = self._packet()
            if kind != _HELLO or body[:4] != struct.pack(">I", _VERSION):
                raise MasterGoneError("it speaks another version of the control protocol")
            self._greeted = True
        return self._packet()

    def _packet(self) -> tuple[int, bytes]:
        (size,) = struct.unpack(">I", self._exactly(4))
        if not 4 <= size <= _LARGEST:
            raise MasterGoneError(f"it sent a packet of {size} bytes")
        packet = self._exactly(size)
        return struct.unpack(">I", packet[:4])[0], packet[4:]

    def _exactly(self, size: int) -> bytes:
        got = b""
        while len(got) < size:
            try:
                piece = self._socket.recv(size - len(got))
            except OSError as error:  # a timeout is one
                raise MasterGoneError(error.strerror or str(error)) from error
            if not piece:
                raise MasterGoneError("it closed the control socket")
            got += piece
        return got


def _text(value: str) -> bytes:
    encoded = value.encode("utf-8", "surrogateescape")
    return struct.pack(">I", len(encoded)) + encoded
