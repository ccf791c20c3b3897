"""A link of 10 kB a second and 200 ms there and back, over both carriers."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.sshd.conftest import Open
from tests.sshd.server import Sshd
from tests.sshd.watching import Collected

pytestmark = [pytest.mark.sshd, pytest.mark.long, pytest.mark.usefixtures("carrier")]

ONE_WAY = 0.1
BYTES_A_SECOND = 10_000
PIECE = 1_000


class SlowLine:
    """Passes on to a port what comes to its own: late, and so many bytes a second each way."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, work: object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._to))
            self._ends += [near, far]
            for one, other in ((near, far), (far, near)):
                line: queue.Queue[tuple[float, bytes]] = queue.Queue()
                self._start(self._take, one, line)
                self._start(self._give, other, line)

    @staticmethod
    def _take(source: socket.socket, line: queue.Queue[tuple[float, bytes]]) -> None:
        data = b"-"
        while data:
            try:
                data = source.recv(PIECE)
            except OSError:
                data = b""
            line.put((time.monotonic() + ONE_WAY, data))
            time.sleep(len(data) / BYTES_A_SECOND)

    @staticmethod
    def _give(sink: socket.socket, line: queue.Queue[tuple[float, bytes]]) -> None:
        while True:
            due, data = line.get()
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)
            except OSError:
                return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._ends:
            end.close()


@pytest.fixture
def line(sshd: Sshd) -> Iterator[SlowLine]:
    made = SlowLine(sshd.port)
    yield made
    made.close()


def test_a_slow_link(sshd: Sshd, line: SlowLine, opened: Open) -> None:
    known = sshd.folder / f"known-{line.port}"
    known.write_text("* " + (sshd.folder / "known_hosts").read_text().split(" ", 1)[1])
    session = opened(sshd, port=line.port, known_hosts=str(known))
    sink, seen = Collected(), []
    data = bytes(range(256)) * 150
    changed = session.change("s", ["cat"], sink=sink, stdin=data)
    assert (changed.state, changed.status, sink.stdout) == ("ended", 0, data)
    ended = session.probe(
        ["sh", "-c", "echo begun; sleep 4; echo done; exit 3"], sink=Collected(),
        tail=lambda out, err: seen.append(out),
    )
    assert (ended.state, ended.status) == ("ended", 3)
    assert seen
    assert seen[0] == b"begun\n"
    timed = session.change("t", ["sleep", "600"], sink=Collected(), timeout=1)
    assert timed.state == "timed out"
    session.forget_run()
