"""A wire between a controller and a host that breaks after a given number of bytes."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Way = Literal["up", "down"]
"""To the host, or from it."""

_RESET = struct.pack("ii", 1, 0)
_PIECE = 16_384


@dataclass(frozen=True)
class Cut:
    """After this many bytes that way on one connection; ``rudely`` with a reset, else with an end."""

    way: Way
    after: int
    rudely: bool


def cuts(seed: int, number: int, up: int, down: int) -> list[Cut]:
    """One after the other, for one run's connections.

    Half of them in the first bytes, where keys are exchanged and our shell is begun; the others
    anywhere in what an uncut run sends.
    """
    rng = random.Random(seed)
    found = []
    for _ in range(number):
        way: Way = rng.choice(("up", "down"))
        whole = up if way == "up" else down
        most = min(whole, 12_000) if rng.random() < 0.5 else whole
        found.append(Cut(way, rng.randrange(1, most), rng.random() < 0.5))
    return found


class Wire:
    """Listens on a port of its own and passes on to ``port``; each connection takes the next cut."""

    def __init__(self, port: int, to_come: Sequence[Cut] = ()) -> None:
        self._to = port
        self.to_come = list(to_come)
        self.made: list[Cut] = []
        self.passed: dict[Way, int] = {"up": 0, "down": 0}
        """Bytes of all connections together."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._ends: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for end in self._ends:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
            except OSError:
                return
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._ends |= {near, far}
                cut = self.to_come.pop(0) if self.to_come else None
            threading.Thread(target=self._pass, args=("up", near, far, cut), daemon=True).start()
            threading.Thread(target=self._pass, args=("down", far, near, cut), daemon=True).start()

    def _pass(self, way: Way, source: socket.socket, sink: socket.socket, cut: Cut | None) -> None:
        left = cut.after if cut is not None and cut.way == way else None
        with contextlib.suppress(OSError):
            while left is None or left > 0:
                data = source.recv(_PIECE if left is None else min(left, _PIECE))
                if not data:
                    break
                sink.sendall(data)
                with self._lock:
                    self.passed[way] += len(data)
                left = None if left is None else left - len(data)
        if cut is not None and left == 0:
            with self._lock:
                self.made.append(cut)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                if cut is not None and left == 0 and cut.rudely:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    end.shutdown(socket.SHUT_RD)  # says nothing, but wakes the other thread
                    end.close()
                else:
                    end.shutdown(socket.SHUT_RDWR)
