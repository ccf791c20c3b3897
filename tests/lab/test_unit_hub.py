"""The console hub: it always reads, keeps a log, and leaves slow listeners behind."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tastyops.lab import hub, processes
from tastyops.lab.record import Ports


class Line:
    """A hub of its own, its machine played by the test."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.log = folder, Ports.free().console, folder / "console.log"
        self.process = processes.start(
            [sys.executable, "-m", "tastyops.lab.hub", str(folder / "serial"),
             str(folder / "console"), str(self.port), str(self.log)],
            folder / "hub.log",
        )  # fmt: skip
        assert processes.wait_for(self._ready, 20), (folder / "hub.log").read_text()
        self.sockets: list[socket.socket] = []
        self.machine = self.joined("serial")

    def _ready(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def joined(self, name: str = "console") -> socket.socket:
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(20)
        link.connect(str(self.folder / name))
        self.sockets.append(link)
        return link

    def telnet(self) -> socket.socket:
        link = socket.create_connection(("127.0.0.1", self.port), 20)
        self.sockets.append(link)
        return link

    def close(self) -> None:
        for link in self.sockets:
            link.close()
        self.process.end()


@pytest.fixture
def line(short_path: Path) -> Iterator[Line]:
    line = Line(short_path)
    yield line
    line.close()


def heard(link: socket.socket, wanted: bytes) -> bytes:
    got = b""
    while wanted not in got:
        piece = link.recv(65536)
        assert piece, got
        got += piece
    return got


def test_what_is_said_is_heard_by_all_and_logged(line: Line) -> None:
    first, second = line.joined(), line.telnet()
    line.machine.sendall(b"login: ")
    assert heard(first, b"login: ") == heard(second, b"login: ") == b"login: "
    first.sendall(b"root\n")
    assert heard(line.machine, b"root\n") == b"root\n"
    assert line.log.read_bytes() == b"login: "


def test_who_comes_later_sees_what_was_said_last(line: Line) -> None:
    first = line.joined()
    line.machine.sendall(b"x" * hub.SCROLLBACK + b"GRUB")
    heard(first, b"GRUB")
    assert heard(line.joined(), b"GRUB").endswith(b"xxGRUB")


def test_a_listener_that_does_not_read_holds_nobody_up(line: Line) -> None:
    line.joined()  # never read
    reader = line.joined()
    sent = 0
    while sent < 3 * hub.BEHIND:
        line.machine.sendall(b"y" * 65536)
        sent += 65536
        reader.recv(65536)
    line.machine.sendall(b"END")
    heard(reader, b"END")
    assert processes.wait_for(lambda: line.log.stat().st_size == sent + 3, 20)


def test_telnet_negotiation_does_not_reach_the_machine(line: Line) -> None:
    link = line.telnet()
    for piece in (b"\xff", b"\xfd", b"\x03a\xff\xfb", b"\x01\xff\xfa\x18", b"\x01\xff\xf0b\xff\xff"):
        link.sendall(piece)
        processes.wait_for(lambda: False, 0.05)
    link.sendall(b"c\n")
    assert heard(line.machine, b"c\n") == b"ab\xffc\n"


def test_a_hung_console_is_silent_but_read(line: Line) -> None:
    listener = line.joined()
    (line.folder / "hung").touch()
    line.machine.sendall(b"z" * 300_000)
    assert processes.wait_for(lambda: line.log.stat().st_size == 300_000, 20)
    listener.settimeout(0.3)
    with pytest.raises(TimeoutError):
        listener.recv(1)


def test_a_long_log_is_put_aside(line: Line) -> None:
    piece = b"w" * 65536
    for _ in range(hub.LOG_BYTES // len(piece) + 2):
        line.machine.sendall(piece)
    assert processes.wait_for(line.log.with_name("console.log.1").exists, 20)


def test_the_machine_may_come_and_go(line: Line) -> None:
    listener = line.joined()
    line.machine.close()
    line.joined("serial").sendall(b"again")
    assert heard(listener, b"again") == b"again"
