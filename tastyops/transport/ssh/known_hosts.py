"""known_hosts files: reading, looking a key up, and adding one (sshd(8), SSH_KNOWN_HOSTS).

paramiko's own reader knows neither patterns nor ``@revoked``, and stops at a damaged line; its
client prefers only the first recorded key type, so that a host with two keys looks like an
impostor. So the files are read here, and paramiko is only told the outcome.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import hmac
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Literal

from tastyops.errors import HostKeyChanged, UsageError
from tastyops.local.plain_files import make_private_directory, open_plain, read_plain

SSH_PORT = 22

_PATTERN = re.compile(r"[*?]|^!|^\|1\|")
"""What makes a name more than a name: a wildcard, a negation, a hash."""


@dataclass(frozen=True, slots=True)
class HostKey:
    """The public half of a host's key. ``kind`` is its type, as in ``ssh-ed25519``."""

    kind: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """As ``ssh-keygen -l`` prints it: ``SHA256:`` and base64 without padding."""
        digest = hashlib.sha256(self.blob).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Offered:
    """A key that a host shows. ``name`` and ``port`` are what it is recorded under.

    ``jump``: it belongs to a jump host on the way; after recording it, ask again for the next.
    ``recorded``: it is on record already. ``file``: where ``record`` will write it.
    """

    name: str
    port: int
    key: HostKey
    jump: bool
    recorded: bool
    file: Path

    @property
    def kind(self) -> str:
        """The key's type, as in ``ssh-ed25519``."""
        return self.key.kind

    @property
    def fingerprint(self) -> str:
        """As ``ssh-keygen -l`` prints it, ``SHA256:…``."""
        return self.key.fingerprint


@dataclass(frozen=True, slots=True)
class RecordedKey:
    """One usable line. ``marker`` is empty or ``@revoked``."""

    marker: str
    patterns: tuple[str, ...]
    key: HostKey
    place: str

    def names(self, name: str) -> bool:
        """Whether this line is about ``name``; a negated pattern wins."""
        matched = False
        for pattern in self.patterns:
            if pattern.startswith("!"):
                if _glob(name, pattern[1:].lower()):
                    return False
            elif pattern.startswith("|1|"):
                matched |= _hashed(name, pattern)
            else:
                matched |= _glob(name, pattern.lower())
        return matched


def _glob(name: str, pattern: str) -> bool:
    """ssh knows ``*`` and ``?`` only; brackets are part of ``[host]:port``."""
    return fnmatchcase(name, pattern.replace("[", "[[]"))


def _hashed(name: str, pattern: str) -> bool:
    try:
        salt, expected = (base64.b64decode(part) for part in pattern.split("|")[2:4])
    except (ValueError, binascii.Error):
        return False
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return hmac.compare_digest(digest, expected)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the files say of an offered key; ``recorded`` are that name's keys of any type."""

    state: Literal["known", "unknown", "changed", "revoked"]
    recorded: tuple[RecordedKey, ...]


def written_name(host: str, port: int) -> str:
    """How a host is named in the files: bare on port 22, ``[host]:port`` elsewhere."""
    host = host.lower()
    return host if port == SSH_PORT else f"[{host}]:{port}"


class KnownHosts:
    """The usable lines of some files, and which of them are about a host.

    A line that names its hosts outright is found by that name. Only patterns, negations and hashed
    names are compared one by one, so that many hosts in one file cost no more each.
    """

    def __init__(self, entries: Iterable[RecordedKey] = ()) -> None:
        self._named: dict[str, list[tuple[int, RecordedKey]]] = {}
        self._patterns: list[tuple[int, RecordedKey]] = []
        for number, entry in enumerate(entries):
            if any(_PATTERN.search(pattern) for pattern in entry.patterns):
                self._patterns.append((number, entry))
                continue
            for name in {pattern.lower() for pattern in entry.patterns}:
                self._named.setdefault(name, []).append((number, entry))

    def about(self, host: str, port: int) -> tuple[RecordedKey, ...]:
        """Every line about that host and port, in the order of the files."""
        name = written_name(host, port)
        found = [*self._named.get(name, ())]
        found += [each for each in self._patterns if each[1].names(name)]
        return tuple(entry for _, entry in sorted(found, key=lambda each: each[0]))


def read(paths: Iterable[Path]) -> KnownHosts:
    """The usable lines of those files that exist. Certificate authorities are left out.

    Raises UsageError for a file that exists and cannot be read.
    """
    states = []
    for path in paths:
        try:
            found = path.stat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise _unreadable(path, error) from error
        states.append((path, found.st_ino, found.st_size, found.st_mtime_ns))
    return _read(tuple(states))


@lru_cache(maxsize=32)
def _read(states: tuple[tuple[Path, int, int, int], ...]) -> KnownHosts:
    """The lines of files in a certain state: every host of a run asks, and they are read once."""
    return KnownHosts(entry for path, *_ in states for entry in entries(path))


_MARKERS = ("", "@revoked")


def entries(path: Path, markers: Sequence[str] = _MARKERS) -> list[RecordedKey]:
    """The lines of one file with such markers; none where it does not exist. Raises UsageError."""
    try:
        text = read_plain(path).decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(path, error) from error
    lines = enumerate(text.splitlines(), 1)
    return [entry for number, line in lines if (entry := _entry(line, f"{path}:{number}", markers))]


def has_authority(paths: Iterable[Path], host: str, port: int) -> bool:
    """Whether a line names a certificate authority for that host. Raises UsageError."""
    name = written_name(host, port)
    return any(
        entry.names(name) for path in paths for entry in entries(path, markers=("@cert-authority",))
    )


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"The known_hosts file {path} cannot be read: {error.strerror}.",
        still_true="Nothing was sent to any host.",
    )


def _entry(line: str, place: str, markers: Sequence[str]) -> RecordedKey | None:
    fields = line.split()
    marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
    if len(fields) < 3 or fields[0].startswith("#") or marker not in markers:
        return None
    try:
        blob = base64.b64decode(fields[2], validate=True)
    except (ValueError, binascii.Error):
        return None
    return RecordedKey(marker, tuple(fields[0].split(",")), HostKey(fields[1], blob), place)


def judge(known: KnownHosts, host: str, port: int, offered: HostKey) -> Verdict:
    """Whether the offered key is that host's. Like ssh, a key on record for the bare name is
    accepted on another port, but never held against it there.
    """
    about, bare = known.about(host, port), known.about(host, SSH_PORT)
    same = [entry for entry in (*about, *bare) if entry.key == offered]
    if any(entry.marker for entry in same):
        return Verdict("revoked", about)
    if same:
        return Verdict("known", about)
    if any(entry.key.kind == offered.kind and not entry.marker for entry in about):
        return Verdict("changed", about)
    return Verdict("unknown", about)


def add(path: Path, host: str, port: int, key: HostKey) -> bool:
    """Records the key in that file (0600, its directory made 0700). False if it was there.

    Raises HostKeyChanged when another key of that type is on record for the name or the key is
    marked revoked, UsageError when the file cannot be written.
    """
    try:
        make_private_directory(path.parent)
        descriptor = open_plain(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            verdict = judge(read([path]), host, port, key)
            if verdict.state in ("changed", "revoked"):
                raise changed(host, key, verdict)
            if any(entry.key == key for entry in verdict.recorded):
                return False
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 1))
            glue = b"" if size == 0 or file.read(1) == b"\n" else b"\n"
            file.write(glue + _line(host, port, key).encode())
    except OSError as error:
        raise UsageError(
            f"The key cannot be recorded in {path}: {error.strerror}.",
            still_true="The file was not changed.",
        ) from error
    return True


def _line(host: str, port: int, key: HostKey) -> str:
    return f"{written_name(host, port)} {key.kind} {base64.b64encode(key.blob).decode()}\n"


def changed(host: str, offered: HostKey, verdict: Verdict) -> HostKeyChanged:
    """The error for a key that contradicts the record, with both fingerprints."""
    still = "Nothing was sent to it."
    if verdict.state == "revoked":
        return HostKeyChanged(
            f"{host} offered a key that is marked as revoked: {offered.kind} "
            f"{offered.fingerprint}.",
            still_true=still,
            next_step="Find out why the host still has this key; do not connect to it.",
        )
    old = next(entry for entry in verdict.recorded if entry.key.kind == offered.kind)
    return HostKeyChanged(
        f"{host} offered another key than the one on record: offered {offered.kind} "
        f"{offered.fingerprint}, on record {old.key.fingerprint} ({old.place}).",
        still_true=still,
        next_step="Either the host was reinstalled or something stands between. Ask whoever "
        f"runs it; only if the new key is right, remove the line {old.place} and run "
        "`invoke trust` again.",
    )
