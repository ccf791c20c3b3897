"""The socket to a host: a TCP connection to one of its addresses, or a ProxyCommand.

paramiko's own ProxyCommand spins when the command ends, since it never sees end-of-file, and waits
for full buffers. Here the command gets one end of a socket pair.
"""

from __future__ import annotations

import socket
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass

from tastyops.errors import Unreachable, UsageError
from tastyops.transport.ssh.refusals import NOTHING_SENT

_UNSENT_MS = 25_000
"""TCP_USER_TIMEOUT: how long bytes may wait for the peer's kernel before the socket fails."""

_SAID_BYTES = 500
_END_SECONDS = 2.0

_FAMILIES = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}


@dataclass(frozen=True, slots=True)
class Way:
    """ssh_config's ``AddressFamily`` and ``BindAddress``."""

    family: socket.AddressFamily = socket.AF_UNSPEC
    bind: str = ""

    @classmethod
    def of(cls, config: Mapping[str, str]) -> Way:
        """The options that ssh_config has for one host. Raises UsageError."""
        family = str(config.get("addressfamily", "any")).lower()
        if family not in _FAMILIES:
            raise _wrong(f"AddressFamily {family!r}", "It is any, inet or inet6.")
        if config.get("bindinterface", "none").lower() != "none":
            raise _wrong("BindInterface", "Say BindAddress, or `connection: openssh` for the host.")
        return cls(_FAMILIES[family], config.get("bindaddress", ""))

    def dial(self, host: str, port: int, seconds: float) -> socket.socket:
        """Tries the host's addresses in order, each for that long. Raises OSError, Unreachable."""
        failed: OSError | Unreachable | None = None
        found = socket.getaddrinfo(host, port, self.family, socket.SOCK_STREAM)
        sources = self._sources()
        for family, kind, protocol, _, address in found:
            if sources and family not in sources:
                continue
            dialled = socket.socket(family, kind, protocol)
            try:
                dialled.settimeout(seconds)
                if sources:
                    self._leave_from(dialled, sources[family])
                dialled.connect(address)
            except (OSError, Unreachable) as error:
                dialled.close()
                failed = error
            except BaseException:
                dialled.close()
                raise
            else:
                return _tuned(dialled)
        if failed is not None:
            raise failed
        raise self._no_source("is not of the same family as any address of the host")

    def _sources(self) -> dict[int, tuple[str, int]]:
        """The address to leave from, by family; empty when nothing is said."""
        if not self.bind:
            return {}
        try:
            found = socket.getaddrinfo(self.bind, 0, self.family, socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise self._no_source(f"does not resolve ({error.strerror})") from error
        sources: dict[int, tuple[str, int]] = {}
        for family, _, _, _, address in found:
            sources.setdefault(int(family), address)  # type: ignore[arg-type]
        return sources

    def _leave_from(self, dialled: socket.socket, source: tuple[str, int]) -> None:
        try:
            dialled.bind(source)
        except OSError as error:
            raise self._no_source(f"cannot be used here ({error.strerror})") from error

    def _no_source(self, why: str) -> Unreachable:
        return Unreachable(
            f"The BindAddress {self.bind} of ssh_config {why}.",
            still_true=NOTHING_SENT,
            next_step="Correct it, or see whether the network it belongs to is up.",
        )


def _tuned(dialled: socket.socket) -> socket.socket:
    dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    dialled.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNSENT_MS)
    return dialled


def _wrong(what: str, next_step: str) -> UsageError:
    return UsageError(
        f"{what} in ssh_config cannot be used.",
        still_true="No host was touched.",
        next_step=next_step,
    )


class Proxy:
    """A running ProxyCommand; ``socket`` is our end of the pair."""

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
        """The end of the command's standard error, on one line."""
        self._said.seek(0)
        text = self._said.read()[-_SAID_BYTES:].decode("utf-8", "replace")
        if self._process.poll() not in (None, 0):
            text += f" (exit status {self._process.returncode})"
        return " ".join(text.split())

    def settle(self) -> None:
        """Waits a moment for a command that closed its socket, so that ``said`` is complete."""
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
