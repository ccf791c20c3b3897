"""A practice host's keys: its own and the one client's, made anew, in files only we can read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """The host's key, the client's, and where the client finds what it needs.

    ``other_host_key`` is one that the client does not know.
    """

    host_key: paramiko.PKey
    other_host_key: paramiko.PKey
    client_key: paramiko.PKey
    identity_file: str
    known_hosts: str


def make_keys(directory: Path, address: str, port: int) -> KeyFiles:
    """Makes both keys and writes ``identity`` and ``known_hosts`` (0600) into the directory."""
    host_text, client_text = _private_key(), _private_key()
    host_key, client_key = _load(host_text), _load(client_text)
    identity, known = directory / "identity", directory / "known_hosts"
    _write(identity, client_text)
    _write(known, f"[{address}]:{port} {host_key.get_name()} {host_key.get_base64()}\n")
    return KeyFiles(host_key, _load(_private_key()), client_key, str(identity), str(known))


def _private_key() -> str:
    return (
        Ed25519PrivateKey.generate()
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        .decode("ascii")
    )


def _load(text: str) -> paramiko.PKey:
    return paramiko.Ed25519Key(file_obj=StringIO(text))


def _write(path: Path, text: str) -> None:
    """Replaces the file, which is never readable by others, not even for a moment."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
