"""The modelled machine's console: output, the shells opened there, and the socket clients use.

Each line that is typed runs in a new shell: a variable set on one line is unset on the next.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tastyops.practice.calls import Write

ENTER, ERASE = (b"\r", b"\n"), (b"\x7f", b"\x08")
INTERRUPT = b"\x03"

RESCUE = """\
You are in {mode} mode. After logging in, type "journalctl -xb" to view
system logs, "systemctl reboot" to reboot, "systemctl default" or "exit"
to boot into default mode.

"""
SULOGIN = """\
Press Enter for maintenance
(or press Control-D to continue): """
"""sulogin(8) with ``--force`` where root's password is locked: no password is asked for."""

INITRAMFS = """\
Gave up waiting for root file system device.  Common problems:
 - Boot args (cat /proc/cmdline)
   - Check rootdelay= (did the system wait long enough?)
 - Missing modules (cat /proc/modules; ls /dev)
ALERT!  /dev/mapper/volume-root does not exist.  Dropping to a shell!


BusyBox v1.35.0 (Debian 1:1.35.0-4+b3) built-in shell (ash)
Enter 'help' for a list of built-in commands.

"""
MOUNTED = """\
done.
Begin: Running /scripts/local-bottom ... done.
Begin: Running /scripts/init-bottom ... done."""
"""Output of an initial ramdisk that has found the root filesystem."""

INITRAMFS_PROMPT = "(initramfs) "
_KEYS = (b"\x1b[A", b"\x1b[B", b"\x1b[H")
_LISTENERS = 4
_PIECE = 4096

IN_THE_INITRAMFS = frozenset({"cat", "echo", "grep", "ls", "lvm", "mdadm", "sh", "test", "uname"})
"""Programs of the modelled machine that its initial ramdisk also has."""

Run = Callable[[str, Write], int]
"""Runs a line; both of its output streams go to the writer."""


class SerialLine(Protocol):
    """The far end of the console's serial line."""

    @property
    def attached(self) -> bool:
        """Whether anybody is connected."""

    def say(self, data: bytes, /) -> None:
        """Sends bytes to everybody who is connected."""


class Console:
    """What the machine writes on its console: a transcript, and a serial line where one is set."""

    def __init__(self, hostname: str) -> None:
        self._hostname = hostname
        self.lines: list[str] = []
        """Everything the machine has shown, line by line."""
        self.serial: SerialLine | None = None
        """The serial line; the boot menu waits for keys only while somebody is attached to it."""

    @property
    def watched(self) -> bool:
        """Whether somebody is attached to the serial line."""
        return self.serial is not None and self.serial.attached

    def show(self, line: str) -> None:
        """Writes a line and notes it in the transcript; a line ending in a blank stays open."""
        self.lines.append(f"(practice console) {line}")
        text = line if line.endswith(" ") else f"{line}\n"
        self.write(text.replace("\n", "\r\n").encode())

    def write(self, data: bytes) -> None:
        """Writes bytes to the serial line as they are."""
        if self.serial is not None:
            self.serial.say(data)

    def show_login(self) -> None:
        """Writes getty's login prompt."""
        self.write(f"\r\n{self._hostname} login: ".encode())


class ConsoleShell:
    """A shell on the console, with sulogin before it where ``asks`` is set.

    ``leave`` is called when the shell is left.
    """

    def __init__(
        self, prompt: str, write: Callable[[bytes], None], run: Run, leave: Callable[[], None],
        *, asks: bool,
    ) -> None:  # fmt: skip
        self._prompt, self._write, self._run, self._leave = prompt, write, run, leave
        self._asks = asks
        self._line = bytearray()

    def say(self, text: str) -> None:
        """Writes text with the terminal's line ends."""
        self._write(text.replace("\n", "\r\n").encode("utf-8", "surrogateescape"))

    def begin(self, greeting: str) -> None:
        """Writes the greeting and the first prompt."""
        self.say(greeting + (SULOGIN if self._asks else self._prompt))

    def press(self, key: bytes) -> None:
        """Handles one key."""
        if self._asks:
            if key in ENTER:
                self._asks = False
                self.say(f"\n{self._prompt}")
        elif key in ENTER:
            line, self._line = self._line.decode("utf-8", "replace"), bytearray()
            self._enter(line.strip())
        elif key in ERASE:
            if self._line:
                del self._line[-1]
                self.say("\b \b")
        elif key == INTERRUPT:
            self._line.clear()
            self.say(f"^C\n{self._prompt}")
        elif key[:1] >= b" " and not key.startswith(b"\x1b"):
            self._line += key
            self._write(key)

    def _enter(self, line: str) -> None:
        self.say("\n")
        if line == "exit":
            self._leave()
            return
        if "exec sulogin" in line:  # sulogin takes the shell's place and asks again
            self._asks = True
            self.say(SULOGIN)
            return
        if line:
            self._run(line, lambda data: self._write(data.replace(b"\n", b"\r\n")))
        self.say(self._prompt)


class SerialConsole:
    """A socket in the practice host's own directory; everybody connected sees what is written.

    ``press`` receives the keys one at a time, in the socket's thread.
    """

    def __init__(self, path: Path, press: Callable[[bytes], None]) -> None:
        self.path, self._press = path, press
        self._lock = threading.Lock()
        self._links: set[socket.socket] = set()
        self._server = _bind_socket(path)
        self._server.setblocking(False)
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="practice-serial", daemon=True)
        self._thread.start()

    @property
    def attached(self) -> bool:
        """Whether anybody is connected, including clients the thread has not accepted yet."""
        self._accept()
        with self._lock:
            return bool(self._links)

    def say(self, data: bytes) -> None:
        """Sends bytes to every client; a client that does not read is cut off, never waited for."""
        with self._lock:
            for link in list(self._links):
                try:
                    link.send(data)
                except OSError:
                    self._drop(link)

    def _serve(self) -> None:
        while not self._closing:
            with self._lock:
                watched = [self._server, *self._links]
            for ready in select.select(watched, [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    self._attend(ready)

    def _accept(self) -> None:
        with self._lock, contextlib.suppress(BlockingIOError):
            while True:
                link, _ = self._server.accept()
                link.setblocking(False)
                self._links.add(link)

    def _attend(self, ready: socket.socket) -> None:
        if ready is self._server:
            self._accept()
            return
        data = ready.recv(_PIECE)
        if not data:
            with self._lock:
                self._drop(ready)
        while data:
            key = next((key for key in _KEYS if data.startswith(key)), data[:1])
            data = data[len(key) :]
            self._press(key)

    def _drop(self, link: socket.socket) -> None:
        self._links.discard(link)
        link.close()

    def close(self) -> None:
        """Ends the thread and removes the socket."""
        self._closing = True
        self._thread.join()
        self._server.close()
        with self._lock:
            for link in list(self._links):
                self._drop(link)
        self.path.unlink(missing_ok=True)


def _bind_socket(path: Path) -> socket.socket:
    """Binds a socket at ``path`` for this account alone; the path may have any length.

    An address holds 107 bytes (unix(7)), and ``$TMPDIR`` may be longer; so the address goes through
    the opened directory. Systems without O_PATH take the path as the address.
    """
    server = socket.socket(socket.AF_UNIX)
    try:
        if hasattr(os, "O_PATH"):
            directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                server.bind(f"/proc/self/fd/{directory}/{path.name}")
            finally:
                os.close(directory)
        else:
            server.bind(str(path))
        path.chmod(0o600)
        server.listen(_LISTENERS)
    except OSError:
        server.close()
        raise
    return server
