"""Consoles over programs and sockets of this machine: drained, read, typed at, released."""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tastyops.errors import ConsoleHeld, ConsoleUnreachable
from tastyops.facts.console_screen import Screen
from tastyops.facts.parsers import parse
from tastyops.model.commands import Blob, Output
from tastyops.model.inventory import Host
from tastyops.model.out_of_band import ConsoleWay, Ipmi
from tastyops.ports import Ended
from tastyops.redact import Masker
from tastyops.transport.console.attached import Attached
from tastyops.transport.console.opening import attach
from tastyops.transport.console.transports import SocketLine, Telnet
from tests.unix_sockets import path_of
from tests.unix_sockets import served as listening

HOST = Host("kalimdor")
PATIENCE = 60.0


class Kept:
    """A sink, and what ``heard`` is given."""

    def __init__(self) -> None:
        self.data, self.errors, self.heard = b"", b"", bytearray()

    def out(self, data: bytes) -> None:
        self.data += data

    def err(self, data: bytes) -> None:
        self.errors += data

    def hear(self, data: bytes) -> None:
        self.heard += data


def looked(console: Attached, *until: str, seconds: float = PATIENCE) -> Screen:
    kept = Kept()
    assert console.look(seconds, until, sink=kept).status == 0
    found = parse("screen", Output(0, Blob.of(kept.data)))
    assert isinstance(found, Screen)
    return found


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def program(tmp_path: Path, text: str) -> tuple[str, ...]:
    path = tmp_path / "program.py"
    path.write_text(f"import os, sys, time\n{text}")
    return (sys.executable, str(path))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[socket.socket, Attached, Kept]]:
    """A console over a socket, and the other end of it."""
    server = listening(tmp_path / "s")
    kept = Kept()
    secret = "correct horse"
    console = attach(
        HOST, ConsoleWay(socket=str(tmp_path / "s")), heard=kept.hear,
        login_password=lambda: secret, masker=Masker([secret]),
    )  # fmt: skip
    other, _ = server.accept()
    other.settimeout(PATIENCE)
    yield other, console, kept
    console.close()
    other.close()
    server.close()


Served = tuple[socket.socket, Attached, Kept]


@pytest.mark.parametrize("size", [80, 100, 103, 104, 107, 108, 109, 150, 300, 1000, 4000])
def test_a_socket_may_have_a_path_of_any_length(short_path: Path, size: int) -> None:
    path = path_of(short_path, size)
    with listening(path) as server, closing(SocketLine(str(path))) as line:
        other, _ = server.accept()
        with other:
            other.sendall(b"kalimdor login: ")
            assert line.read() == b"kalimdor login: "


@pytest.mark.parametrize("name", ["s" * 120, "s" * 255, "with space" * 12, "ü" * 60], ids=len)
def test_a_socket_may_have_a_name_of_any_length(short_path: Path, name: str) -> None:
    with listening(short_path / "other") as server:
        (short_path / "other").rename(short_path / name)
        with closing(SocketLine(str(short_path / name))):
            server.accept()[0].close()


def test_a_long_path_to_no_socket_is_told_as_a_short_one_is(short_path: Path) -> None:
    path = path_of(short_path, 200)
    for wrong in (path, path.with_name("none") / "s"):
        with pytest.raises(FileNotFoundError):
            SocketLine(str(wrong))
    with listening(path):
        pass
    with pytest.raises(ConnectionRefusedError):
        SocketLine(str(path))


def test_a_look_ends_when_what_it_waits_for_is_said(served: Served) -> None:
    other, console, _ = served
    threading.Timer(0.05, lambda: other.sendall(b"\x1b[1mkalimdor\x1b[0m login: ")).start()
    found = looked(console, "kalimdor login")
    assert (found.state, found.text) == ("login", "kalimdor login: ")
    assert looked(console).heard == 0


def test_a_look_that_waits_in_vain_ends_too(served: Served) -> None:
    _, console, _ = served
    assert looked(console, "never", seconds=0.1).state == "silent"


def test_what_nobody_looks_at_is_read_all_the_same(served: Served) -> None:
    other, console, kept = served
    line = b"[    1.000000] a line of a host that says a lot, which nobody is looking at\r\n"
    count = 3 * other.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) // len(line)
    for _ in range(count):  # far more than any buffer on the way holds
        other.sendall(line)
    until(lambda: len(kept.heard) == count * len(line))
    assert console.lost == ""


def test_a_secret_is_typed_and_never_kept(served: Served) -> None:
    other, console, kept = served
    assert console.type_secret("console-password").state == "ended"
    got = b""
    while len(got) < len("correct horse"):
        got += other.recv(100)
    assert got == b"correct horse"
    other.sendall(b"you typed correct ")
    time.sleep(0)
    other.sendall(b"horse\r\n$ ")
    found = looked(console, r"\$ $")
    assert "horse" not in found.text + str(found.rows) + kept.heard.decode()
    assert "you typed ********" in found.text
    with pytest.raises(ConsoleUnreachable):
        console.type_secret("another")


def test_a_console_that_is_cut_off_says_so(served: Served) -> None:
    other, console, _ = served
    other.sendall(b"last words\r\n")
    other.close()
    until(lambda: console.lost)
    assert looked(console, "never").text == "last words\n"
    with pytest.raises(ConsoleUnreachable):
        looked(console, "never")
    with pytest.raises(ConsoleUnreachable):
        console.type(b"x")


def test_a_look_can_be_stopped(served: Served) -> None:
    _, console, _ = served
    found: list[Ended] = []
    thread = threading.Thread(
        target=lambda: found.append(console.look(3600, ["never"], sink=Kept()))
    )
    thread.start()
    deadline = time.monotonic() + PATIENCE
    while thread.is_alive() and time.monotonic() < deadline:
        console.stop()
        thread.join(0.05)
    assert [ended.state for ended in found] == ["stopped"]


def test_a_program_on_a_terminal_of_its_own(tmp_path: Path) -> None:
    argv = program(
        tmp_path,
        "size = os.get_terminal_size(0)\nprint(size.columns, size.lines, os.isatty(0), flush=True)\n"
        "while True:\n  data = os.read(0, 100)\n  os.write(1, b'<' + data + b'>')\n",
    )
    console = attach(HOST, ConsoleWay(argv), heard=Kept().hear)
    try:
        assert "80 24 True" in looked(console, "True").text
        console.type(b"\x0e\r")
        assert re.search("<[^>]*>", looked(console, "<[^>]*>").text)
    finally:
        console.close()


def test_a_program_that_ends_at_once_is_no_console(tmp_path: Path) -> None:
    argv = program(tmp_path, "sys.exit('cannot resolve console-server')")
    with pytest.raises(ConsoleUnreachable, match="cannot resolve console-server"):
        attach(HOST, ConsoleWay(argv), heard=Kept().hear)
    with pytest.raises(ConsoleUnreachable, match="there is no program"):
        attach(HOST, ConsoleWay(("/nonexistent/program",)), heard=Kept().hear)
    with pytest.raises(ConsoleUnreachable):
        attach(HOST, ConsoleWay(socket=str(tmp_path / "nothing")), heard=Kept().hear)


SOL = """
words = sys.argv[1:]
state = os.path.join(os.path.dirname(sys.argv[0]), 'held')
if words[-2:] == ['sol', 'deactivate']:
    os.remove(state)
elif words[-2:] == ['info', 'active']:
    print('console ip                    : 192.0.2.77')
elif os.path.exists(state):
    sys.exit('Info: SOL payload already active on another session')
else:
    open(state, 'w').close()
    os.write(1, b'[SOL Session operational.  Use ~? for help]\\r\\n')
    while os.read(0, 1) != b'~':
        pass
    if os.read(0, 1) == b'.':
        os.remove(state)
"""


def test_a_session_held_by_another_is_named_and_taken_only_when_told(tmp_path: Path) -> None:
    way = ConsoleWay((*program(tmp_path, SOL), "sol", "activate"))
    (tmp_path / "held").touch()
    with pytest.raises(ConsoleHeld, match=r"Somebody else has .* from 192\.0\.2\.77"):
        attach(HOST, way, heard=Kept().hear)
    console = attach(HOST, way, heard=Kept().hear, take=True)
    assert looked(console).state == "silent"  # what ipmitool says of itself is not the host's
    console.close()
    assert not (tmp_path / "held").exists(), "our own session is ended, not left behind"


def test_ipmi_has_its_password_in_the_environment_only() -> None:
    argv = Ipmi("bmc", 9623, "ops", cipher=3).command("sol", "activate")
    assert argv == (
        "ipmitool", "-I", "lanplus", "-C", "3", "-H", "bmc", "-p", "9623", "-U", "ops", "-E",
        "sol", "activate",
    )  # fmt: skip


def test_what_is_typed_after_the_end_goes_nowhere(tmp_path: Path) -> None:
    """The descriptor's number is the next file's: another host's console, or a journal."""
    way = ConsoleWay(command=("cat",))
    first = attach(HOST, way, heard=Kept().hear)
    number = first._line.fileno()
    first.close()
    with (tmp_path / "other").open("wb") as other:
        os.dup2(other.fileno(), number)
        try:
            with pytest.raises(ConsoleUnreachable, match="it was closed here"):
                first.type(b"reboot\r")
            with pytest.raises(ConsoleUnreachable, match="it was closed here"):
                first.send(b"reboot\r", 16, 0)
            with pytest.raises((OSError, ValueError)):
                first._line.write(b"reboot\r")
        finally:
            os.close(number)
    assert (tmp_path / "other").read_bytes() == b""


def test_telnet_is_answered_and_left_out() -> None:
    telnet = Telnet()
    said, answer = telnet.take(b"\xff\xfb\x01\xff\xfb\x03\xff\xfd\x18hello\xff\xff\xff\xfa\x18\x01")
    assert (said, answer) == (b"hello\xff", b"\xff\xfd\x01\xff\xfd\x03\xff\xfc\x18")
    assert telnet.take(b"\xff\xf0there\xff") == (b"there", b"")
    assert telnet.take(b"\xfe\x01!") == (b"!", b"")


def test_a_console_server_over_tcp() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    console = Attached(SocketLine(server.getsockname()), "tcp", Kept().hear)
    other, _ = server.accept()
    try:
        other.sendall(b"\xff\xfb\x01\r\nkalimdor login: ")
        assert looked(console, "login").state == "login"
        other.settimeout(PATIENCE)
        assert other.recv(3) == b"\xff\xfd\x01"
        console.type(b"\xffx")
        assert other.recv(3) == b"\xff\xffx"
    finally:
        console.close()
        other.close()
        server.close()
