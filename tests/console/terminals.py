"""A root shell at a terminal like that of a serial console: noisy, slow, and lossy on request."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import random
import select
import signal
import subprocess
import termios
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tastyops.model.inventory import Host
from tastyops.transport.console.attached import Attached
from tastyops.transport.console.session import prober, session
from tastyops.transport.ssh.session import SshProber, SshSession
from tastyops.transport.ssh.timing import Timing

NOISE = (
    b"[   12.345678] usb 1-1: new high-speed USB device number 2 using xhci_hcd\r\n",
    b"[  114.000001] md: md1: data-check done.\r\n",
    b"[ 1200.500000] EXT4-fs (sda2): {mounted} filesystem with ordered data mode?\r\n",
)


class PtyLine:
    """A line to a shell on a pseudo terminal. Now and then the kernel writes into what it says,
    and of what is typed something is lost.
    """

    def __init__(
        self, argv: Sequence[str], locks: Path, *, noisy: float = 0.0, lossy: float = 0.0,
        slow: float = 0.0,
    ) -> None:  # fmt: skip
        self._noisy, self._lossy, self._slow = noisy, lossy, slow
        self._random = random.Random(12)
        self._fd, theirs = pty.openpty()

        def controlling() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        ours = {"TERM": "vt100", "PS1": "root@kalimdor:~# ", "TASTYOPS_LOCKS": str(locks)}
        self.process = subprocess.Popen(
            argv, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            preexec_fn=controlling, env={**os.environ, **ours},
        )  # fmt: skip
        os.close(theirs)
        self.quiet = threading.Event()
        self.typed = 0

    def fileno(self) -> int:
        return self._fd

    def read(self) -> bytes:
        if self.quiet.is_set():
            time.sleep(0.05)
            os.read(self._fd, 4096)
            return b"\0"
        try:
            time.sleep(self._slow)
            data = os.read(self._fd, 512)
        except OSError:
            return b""
        if data and self._random.random() < self._noisy:
            at = self._random.randrange(len(data) + 1)
            data = data[:at] + self._random.choice(NOISE) + data[at:]
        return data

    def write(self, data: bytes) -> int:
        select.select([], [self._fd], [], 10)
        self.typed += len(data)
        if self.typed > 2000 and self._random.random() < self._lossy:
            at = self._random.randrange(len(data))
            os.write(self._fd, data[:at] + data[at + 1 :])
            return len(data)
        return os.write(self._fd, data)

    def close(self) -> None:
        if self._fd < 0:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGHUP)
        descriptor, self._fd = self._fd, -1
        os.close(descriptor)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Cable:
    """A way to a shell that is there before and after it, as a serial console's is."""

    def __init__(self, line: PtyLine) -> None:
        self._line, self._cut = line, threading.Event()

    def fileno(self) -> int:
        return self._line.fileno()

    def read(self) -> bytes:
        return b"" if self._cut.is_set() else self._line.read()

    def write(self, data: bytes) -> int:
        if self._cut.is_set():
            raise OSError("the cable was cut")
        return self._line.write(data)

    def cut(self) -> None:
        self._cut.set()

    def close(self) -> None:
        self.cut()


class ConsoleDialer:
    """Each session has a terminal of its own, with a shell that waits there."""

    def __init__(self, argv: Sequence[str], locks: Path, **how: float) -> None:
        self._argv, self._locks, self._how = argv, locks, how
        self.open: list[Attached] = []

    def console(self) -> Attached:
        console = Attached(
            PtyLine(self._argv, self._locks, **self._how), "a pty", lambda data: None
        )
        self.open.append(console)
        console.until([r"[#$] $"], 10)
        return console

    def session(self, host: Host, run: str) -> SshSession:
        return session(self.console(), host.name, run, timing=Timing(second_after=0.3))

    def prober(self, host: Host, run: str) -> SshProber:
        return prober(self.console(), host.name, run, timing=Timing(second_after=0.3))

    def close(self) -> None:
        for console in self.open:
            console.close()
