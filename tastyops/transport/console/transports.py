"""Console transports: a program on a terminal of its own, or a socket."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
import tty
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import pexpect

from tastyops.local import unix_socket
from tastyops.transport.console.screen import COLUMNS, ROWS

CONNECT_PATIENCE = 15.0
"""Seconds a console server may take to accept."""

WRITE_PATIENCE = 10.0
"""Seconds that a transport may refuse input."""

SOL_ENDS = 2.0
"""Seconds ipmitool may take to end when it is told to."""

_PIECE = 65536

_IAC, _SB, _SE = 255, 250, 240
_WILL, _WONT, _DO, _DONT = 251, 252, 253, 254
_ECHO, _SUPPRESS_GO_AHEAD = 1, 3


class Line(Protocol):
    """Two ways of bytes. ``read`` gives what is there, b"" once it is over; never blocks long."""

    def fileno(self) -> int:
        """For ``select``."""

    def read(self) -> bytes:
        """What has arrived. Raises OSError when it is cut."""

    def write(self, data: bytes) -> int:
        """Sends what can be sent now; how much that was. Raises OSError, TimeoutError."""

    def close(self) -> None:
        """Closes the transport; never raises."""


class CommandLine:
    """A program on a terminal of its own. Raises OSError where there is no such program."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        try:
            self._child = pexpect.spawn(
                argv[0], list(argv[1:]), env={**os.environ, **environment, "TERM": "vt100"},
                dimensions=(ROWS, COLUMNS), timeout=None, echo=False,
            )  # fmt: skip
        except pexpect.ExceptionPexpect as error:
            raise FileNotFoundError(2, f"there is no program {argv[0]}") from error
        self._fd: int = self._child.child_fd
        with contextlib.suppress(OSError):
            tty.setraw(self._fd)  # keys go as they are typed, to a program that asks for no less

    def fileno(self) -> int:
        """The terminal's other end."""
        return self._fd

    def read(self) -> bytes:
        """What has arrived."""
        try:
            return os.read(self._fd, _PIECE)
        except OSError:  # EIO: the program is gone
            return b""

    def write(self, data: bytes) -> int:
        """Types."""
        _writable(self._fd)
        return os.write(self._fd, data)

    def close(self) -> None:
        """Ends the program and reaps it."""
        self._fd = -1  # the number is another file's next
        with contextlib.suppress(OSError, pexpect.ExceptionPexpect):
            self._child.close(force=True)


class SolLine(CommandLine):
    """``ipmitool … sol activate``. It takes ``~`` at the beginning of a line for its own, and one
    that is killed leaves the controller's only session taken; so it is asked to end.
    """

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], release: Callable[[], None]
    ) -> None:
        super().__init__(argv, environment)
        self._release, self._at_start = release, True

    def write(self, data: bytes) -> int:
        """Types."""
        sent = 0
        for key in (data[at : at + 1] for at in range(len(data))):
            super().write(key + key if key == b"~" and self._at_start else key)
            self._at_start = key in (b"\r", b"\n")
            sent += 1
        return sent

    def close(self) -> None:
        """Ends the session by ipmitool's escape, or by force if that fails."""
        ended = not self._child.isalive()
        if not ended and self._at_start:
            with contextlib.suppress(OSError, TimeoutError):
                super().write(b"~.")
                ended = self._gone()
        super().close()
        if not ended:
            self._release()

    def _gone(self) -> bool:
        """Reads on for a while; returns whether the program ended by itself."""
        deadline = time.monotonic() + SOL_ENDS
        while time.monotonic() < deadline and self._child.isalive():
            if select.select([self._fd], [], [], SOL_ENDS / 20)[0] and not self.read():
                break
        return not self._child.isalive()


class SocketLine:
    """A socket. On TCP a telnet server's negotiation is answered and left out (RFC 854)."""

    def __init__(self, place: str | tuple[str, int]) -> None:
        if isinstance(place, str):
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(CONNECT_PATIENCE)
            try:
                unix_socket.connect(self._socket, place)
            except OSError:
                self._socket.close()
                raise
        else:
            self._socket = socket.create_connection(place, CONNECT_PATIENCE)
        self._socket.settimeout(None)
        self._telnet = Telnet() if not isinstance(place, str) else None

    def fileno(self) -> int:
        """The socket's."""
        return self._socket.fileno()

    def read(self) -> bytes:
        """What has arrived; waits on when that was negotiation alone."""
        while True:
            data = self._socket.recv(_PIECE)
            if not data or self._telnet is None:
                return data
            said, answer = self._telnet.take(data)
            if answer:
                self._socket.sendall(answer)
            if said or not select.select([self._socket], [], [], 0.05)[0]:
                return said or b"\0"

    def write(self, data: bytes) -> int:
        """Types."""
        _writable(self._socket.fileno())
        if self._telnet is None:
            return self._socket.send(data)
        self._socket.sendall(data.replace(b"\xff", b"\xff\xff"))
        return len(data)

    def close(self) -> None:
        """Hangs up."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class Telnet:
    """The little of telnet a console needs: the server may echo and go ahead, and nothing else."""

    def __init__(self) -> None:
        self._held = b""

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """What was said, and what is to be answered; a sequence cut in two waits for its end."""
        data, said, answer, at = self._held + data, bytearray(), bytearray(), 0
        while at < len(data):
            if data[at] != _IAC:
                end = data.find(bytes([_IAC]), at)
                end = len(data) if end < 0 else end
                said += data[at:end]
                at = end
                continue
            length = _length(data, at)
            if at + length > len(data) or not length:
                break
            said += b"\xff" if data[at + 1] == _IAC else b""
            answer += _answer(data[at : at + length])
            at += length
        self._held = data[at:][-_PIECE:]
        return bytes(said), bytes(answer)


def _length(data: bytes, at: int) -> int:
    """Bytes in the sequence that begins there; 0 when its end has not come."""
    if at + 1 >= len(data):
        return 0
    if data[at + 1] == _SB:
        end = data.find(bytes([_IAC, _SE]), at)
        return end + 2 - at if end >= 0 else 0
    return 3 if _WILL <= data[at + 1] <= _DONT else 2


def _answer(sequence: bytes) -> bytes:
    if len(sequence) != 3 or sequence[1] not in (_WILL, _DO):
        return b""
    wanted = sequence[2] in (_ECHO, _SUPPRESS_GO_AHEAD)
    if sequence[1] == _WILL:
        return bytes([_IAC, _DO if wanted else _DONT, sequence[2]])
    return bytes([_IAC, _WILL if sequence[2] == _SUPPRESS_GO_AHEAD else _WONT, sequence[2]])


def _writable(fd: int) -> None:
    if not select.select([], [fd], [], WRITE_PATIENCE)[1]:
        raise TimeoutError(f"it took no keys for {WRITE_PATIENCE:g} s")
