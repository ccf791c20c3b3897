"""Commands inside the lab machine, as root over SSH, for the lab's own use."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import paramiko

from tastyops.errors import LabFailed

_PATIENCE = 60.0
_SETTING = 0.5
"""Seconds from asking for a time to its being set: a shell on a slow machine."""

_UNANSWERED = (OSError, EOFError, paramiko.SSHException)

# Without a handler of its own the logging module prints paramiko's errors on the terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Guest:
    """How to reach it: a port on loopback, the key made with it, and its own key on record."""

    port: int
    key: Path
    known_hosts: Path

    def run(self, command: str, *, timeout: float = 120.0) -> str:
        """What a shell command prints. Raises LabFailed if it fails or takes too long."""
        try:
            with self._connected() as client:
                status, output = _answer(client, command, timeout)
        except _UNANSWERED as error:
            raise LabFailed(f"The lab machine does not answer over SSH: {error!r}.") from error
        if status:
            raise LabFailed(f"In the lab machine {command!r} ended with {status}: {output.strip()}")
        return output

    def answers(self, timeout: float = 5.0) -> bool:
        """Whether its sshd greets (through QEMU's forwarding a connection alone proves nothing)."""
        with contextlib.suppress(OSError), socket.create_connection(
            ("127.0.0.1", self.port), timeout
        ) as link:
            link.settimeout(timeout)
            return link.recv(4) == b"SSH-"
        return False

    def wait(self, patience: float) -> None:
        """Waits until a command succeeds there. Raises LabFailed."""
        due = time.monotonic() + patience
        while True:
            if self.answers():
                with contextlib.suppress(LabFailed):
                    self.run("true", timeout=20)
                    return
            if time.monotonic() > due:
                raise LabFailed(
                    f"The lab machine did not answer over SSH within {patience:g} seconds.",
                    next_step="Its console is in the log `invoke lab.status` names.",
                )
            time.sleep(0.2)

    def set_clock(self) -> None:
        """Gives it the time of this machine; a restored one still has its snapshot's."""
        try:
            with self._connected() as client:  # first: on a busy machine a login takes its time
                now = time.time() + _SETTING
                set_both = f"date -u -s @{now:.2f} >/dev/null; hwclock -w -u 2>/dev/null || true"
                _answer(client, set_both, _PATIENCE)
        except _UNANSWERED as error:
            raise LabFailed(f"The lab machine's clock cannot be set: {error!r}.") from error

    def _connected(self) -> paramiko.SSHClient:
        client = paramiko.SSHClient()
        client.load_host_keys(str(self.known_hosts))
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        try:
            client.connect(
                "127.0.0.1", self.port, "root", key_filename=str(self.key), look_for_keys=False,
                allow_agent=False, timeout=_PATIENCE, banner_timeout=_PATIENCE,
                auth_timeout=_PATIENCE, channel_timeout=_PATIENCE,
            )
        except BaseException:
            client.close()
            raise
        return client


def _answer(client: paramiko.SSHClient, command: str, timeout: float) -> tuple[int, str]:
    transport = client.get_transport()
    if transport is None:
        raise EOFError("the connection is gone")
    channel = transport.open_session(timeout=_PATIENCE)
    channel.settimeout(timeout)
    channel.set_combine_stderr(True)
    channel.exec_command(command)
    due, output = time.monotonic() + timeout, bytearray()
    while piece := channel.recv(65536):
        output += piece
        if time.monotonic() > due:
            raise TimeoutError(f"{command!r} took longer than {timeout:g} seconds")
    if not channel.status_event.wait(max(1.0, due - time.monotonic())):
        raise TimeoutError(f"{command!r} did not say how it ended")
    return channel.recv_exit_status(), output.decode("utf-8", "replace")
