"""SSH client authentication: keys from files and from the agent, never a password prompt.

paramiko's own order tries every key file as three types, hides why a file could not be used, and
ignores ``IdentitiesOnly``; so its ``AuthStrategy`` is filled in here.
"""

from __future__ import annotations

import base64
import binascii
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from paramiko import AuthenticationException, BadAuthenticationType, SSHException, Transport
from paramiko.agent import AgentKey, AgentSSH
from paramiko.pkey import PKey, UnknownKeyType

from tastyops.local import unix_socket
from tastyops.local.plain_files import check_plain, reading

AGENT_SECONDS = 60.0
"""How long the agent may take: a hardware key waits there for a finger."""

_PUBLIC_BYTES = 16 * 1024

_USUAL = ("id_ed25519", "id_ecdsa", "id_rsa")


@dataclass(frozen=True, slots=True)
class Identities:
    """Which keys may be offered. ``files`` in order; ``agent`` a socket's path, "" for the usual
    one, None for none; ``only``: nothing but ``files`` (IdentitiesOnly).
    """

    files: tuple[Path, ...] = ()
    agent: str | None = ""
    only: bool = False


def usual_files() -> list[Path]:
    """The key files ssh tries when none is named, those that exist."""
    paths = (Path("~/.ssh", name).expanduser() for name in _USUAL)
    return [path for path in paths if path.is_file()]


class KeyAuthentication:
    """A paramiko ``AuthStrategy``: the named files, the agent's other keys, ssh's usual files.

    ``notes`` says what became of each key, for the error when none was accepted.
    """

    def __init__(self, user: str, identities: Identities) -> None:
        self.user = user
        self.identities = identities
        self.notes: list[str] = []

    def authenticate(self, transport: Transport) -> None:
        """Raises paramiko's AuthenticationException when no key was accepted."""
        with _SocketAgent(self.identities.agent) as agent:
            for origin, key in self._candidates(agent.get_keys()):
                if self._accepted(transport, origin, key):
                    return
        if not any(note.endswith(": refused") for note in self.notes):
            # No key could be offered: the server still says what it would take, and its banner.
            transport.auth_none(self.user)
            return
        raise AuthenticationException("no key was accepted")

    def _accepted(self, transport: Transport, origin: str, key: PKey) -> bool:
        try:
            more = transport.auth_publickey(self.user, key)
        except BadAuthenticationType:
            raise
        except AuthenticationException as error:
            if "timeout" in str(error).lower() or not transport.is_active():
                raise
            self.notes.append(f"{origin}: refused")
            return False
        if more:
            raise AuthenticationException(f"it asks for more than a key: {', '.join(more)}")
        return True

    def _candidates(self, held: Sequence[AgentKey]) -> Iterator[tuple[str, PKey]]:
        in_agent = {key.asbytes(): key for key in held}
        for path in self.identities.files:
            yield from self._from_file(path, in_agent)
        if not self.identities.only:
            for key in in_agent.values():
                yield f"agent key {key.fingerprint}", key
        if not self.identities.files:
            for path in usual_files():
                yield from self._from_file(path, {})

    def _from_file(self, path: Path, in_agent: dict[bytes, AgentKey]) -> Iterator[tuple[str, PKey]]:
        public = _public_blob(path)
        held = in_agent.pop(public, None)
        if held is not None:
            yield f"{path} (from the agent)", held
            return
        if public and public == _public_key(path):
            self.notes.append(f"{path}: a public key, whose private half the agent does not hold")
            return
        try:
            check_plain(path)
            found = path.stat()
            key = _parsed(path, found.st_ino, found.st_size, found.st_mtime_ns)
        except FileNotFoundError:
            self.notes.append(f"{path}: no such file")
        except (OSError, ValueError, TypeError, SSHException, UnknownKeyType) as error:
            reason = getattr(error, "strerror", None) or str(error)
            if isinstance(error, TypeError) or "password" in reason.lower():
                reason = "needs a passphrase, and the agent does not hold it"
            self.notes.append(f"{path}: {reason}")
        else:
            yield str(path), key


@lru_cache(maxsize=32)
def _parsed(path: Path, inode: int, size: int, changed: int) -> PKey:
    """A private key, parsed once for all hosts of a run while its file stays the same."""
    return PKey.from_path(path)


def _public_blob(path: Path) -> bytes:
    """The public half: the file itself, as an ``IdentityFile`` may name it whose private half only
    the agent has (ssh_config(5)), or the file beside a private key; empty when there is none.
    """
    return _public_key(path) or _public_key(path.with_name(path.name + ".pub"))


def _public_key(path: Path) -> bytes:
    """The key of a file that holds nothing but a public one."""
    try:
        with reading(path) as file:
            words = file.read(_PUBLIC_BYTES).split(None, 2)
        kind, blob = words[0], base64.b64decode(words[1], validate=True)
    except (OSError, IndexError, ValueError, binascii.Error):
        return b""
    named = blob[4 : 4 + int.from_bytes(blob[:4], "big")]  # the blob begins with its kind
    return blob if named == kind else b""


class _SocketAgent(AgentSSH):
    """The agent behind a socket (``IdentityAgent``, ``SSH_AUTH_SOCK``), its time limited."""

    def __init__(self, path: str | None) -> None:
        super().__init__()
        self._socket: socket.socket | None = None
        if path == "":
            path = os.environ.get("SSH_AUTH_SOCK")
        if not path:
            return
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(AGENT_SECONDS)
        try:
            unix_socket.connect(self._socket, path)
            self._connect(self._socket)  # type: ignore[attr-defined]  # its only way in
        except (OSError, SSHException):
            self._socket.close()

    def __enter__(self) -> _SocketAgent:
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()
