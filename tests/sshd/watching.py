"""Helpers of the sshd tests: sinks, waiting for a condition, reading processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tastyops.transport.ssh.timing import Timing


class Collected:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.stdout = b""
        self.stderr = b""

    def out(self, data: bytes) -> None:
        self.stdout += data

    def err(self, data: bytes) -> None:
        self.stderr += data


class Counted:
    """A sink for output that is too large to keep."""

    def __init__(self) -> None:
        self.bytes = 0
        self.largest = 0

    def out(self, data: bytes) -> None:
        self.bytes += len(data)
        self.largest = max(self.largest, len(data))

    def err(self, data: bytes) -> None:
        self.out(data)


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.02)


def running(marker: str) -> list[int]:
    """The live processes that carry ``marker`` in their command line, ours excepted."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if marker in line and state != "Z":
            found.append(int(entry.name))
    return found


HASTY = Timing(heart_every=0.5, heart_limit=2.0, second_greeting=10.0, term_patience=1.0)
"""Limits short enough for a test that waits for one to pass."""
