"""A process whose controlling terminal is a pty of the test's: typed at, read, and closed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PATIENCE = 90.0


class PtyProcess:
    """The leader of a session of its own on a new pty, as a terminal window or sshd starts one.

    ``close`` closes the pty's other end: the kernel then sends SIGHUP to the session's leader and
    to its foreground process group, and each later read or write there fails (tty_ioctl(4)).
    """

    def __init__(self, argv: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))

        def controlling() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            argv, cwd=folder, env={"TERM": "xterm", "LC_ALL": "C.UTF-8", **environment},
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            preexec_fn=controlling,
        )  # fmt: skip
        os.close(theirs)
        self.seen = ""
        self._new = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._closing = False
        self._reader.start()

    def _read(self) -> None:
        while not self._closing:
            if not select.select([self._ours], [], [], 0.05)[0]:
                continue
            try:
                data = os.read(self._ours, 65536)
            except OSError:
                return  # every other end is closed
            with self._new:
                self.seen += data.decode("utf-8", "replace")
                self._new.notify_all()

    def type(self, text: str) -> None:
        """Types."""
        os.write(self._ours, text.encode())

    def wait(self, pattern: str, after: int = 0) -> int:
        """Waits until that is on the terminal; gives where it ends in ``seen``."""
        deadline = time.monotonic() + PATIENCE
        with self._new:
            while True:
                found = re.compile(pattern, re.M).search(self.seen, after)
                if found:
                    return found.end()
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"in vain: {pattern!r} in\n{self.seen[-3000:]}")
                self._new.wait(min(left, 1.0))

    def answer(self, pattern: str, text: str) -> None:
        """Types that, once, as soon as the pattern is on the terminal; for a thread of its own."""
        wanted = re.compile(pattern, re.M)
        with self._new:
            while not self._closing and not wanted.search(self.seen):
                self._new.wait(0.2)
        if not self._closing:
            with contextlib.suppress(OSError):
                self.type(text)

    def close(self) -> None:
        """Closes the terminal."""
        if not self._closing:
            self._closing = True
            self._reader.join()
            os.close(self._ours)

    def ended(self) -> int:
        """Its exit status; one that does not end is killed, and the test fails."""
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it hangs; it wrote\n{self.seen[-3000:]}") from None

    def __enter__(self) -> PtyProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
