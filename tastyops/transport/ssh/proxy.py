"""A ProxyCommand as a real socket.

paramiko's own ProxyCommand spins when the command ends (it never sees end-of-file) and waits for
full buffers; here the command gets one end of a socket pair, so its end is an end-of-file.
"""

from __future__ import annotations

import socket
import subprocess
import tempfile

_SAID_BYTES = 500
_END_SECONDS = 2.0


class Proxy:
    """A running ProxyCommand; ``socket`` is our end of it."""

    def __init__(self, command: str) -> None:
        self.command = command
        self.socket, theirs = socket.socketpair()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the command
        with theirs:
            # As ssh does: the user's words, run by a shell that steps aside for them.
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._said,
                start_new_session=True,
            )

    def said(self) -> str:
        """The end of what it wrote to its standard error, on one line."""
        self._said.seek(0)
        text = self._said.read()[-_SAID_BYTES:].decode("utf-8", "replace")
        if self._process.poll() not in (None, 0):
            text += f" (exit status {self._process.returncode})"
        return " ".join(text.split())

    def settle(self) -> None:
        """Gives a command that closed its end a moment to end, so that ``said`` is whole."""
        try:
            self._process.wait(0.2)
        except subprocess.TimeoutExpired:
            return

    def close(self) -> None:
        """Ends the command; never raises."""
        self.socket.close()
        try:
            self._process.wait(0.1)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            try:
                self._process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._said.close()
