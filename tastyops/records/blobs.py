"""A command's output: masked as it arrives, hashed; a large one is a file named by its hash."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from pathlib import Path

from tastyops.errors import JournalDamaged
from tastyops.local.plain_files import open_plain, reading
from tastyops.model.commands import Blob
from tastyops.records.files import CLOSED, append_all, must_write
from tastyops.redact import Masker

INLINE = 4096
"""Bytes of one stream that stand in the journal itself; more becomes a file."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


class StreamCapture:
    """One stream on its way to a blob."""

    def __init__(self, directory: Path | None, masker: Masker, *, keep: bool) -> None:
        self._directory = directory
        self._masked = masker.stream()
        self._keep = keep
        self._hash = hashlib.sha256()
        self._size = 0
        self._head = bytearray()
        self._tail = b""
        self._fd: int | None = None
        self._temporary: Path | None = None

    def write(self, data: bytes) -> None:
        """Some bytes, in order."""
        self._take(self._masked.feed(data))

    def _take(self, data: bytes) -> None:
        if not data:
            return
        self._size += len(data)
        if not self._keep:
            return
        self._hash.update(data)
        if self._fd is None and self._size > INLINE and self._directory is not None:
            self._spill()
        if self._fd is not None and self._directory is not None:
            with must_write(self._directory):
                append_all(self._fd, data)
        room = INLINE - len(self._head)
        if room > 0 or self._directory is None:
            self._head += data if self._directory is None else data[:room]
        self._tail = (self._tail + data[-INLINE:])[-INLINE:]

    def _spill(self) -> None:
        if self._directory is None:
            return
        self._temporary = self._directory / f".{secrets.token_hex(8)}"
        with must_write(self._directory):
            self._fd = open_plain(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            append_all(self._fd, bytes(self._head))

    def finish(self) -> Blob:
        """The blob; a large one is durable under its digest."""
        self._take(self._masked.finish())
        if not self._keep:
            note = f"({self._size} bytes not kept: no_log)".encode() if self._size else b""
            return Blob.of(note)
        head = bytes(self._head)
        if self._fd is None or self._temporary is None or self._directory is None:
            return Blob.of(head)
        digest = self._hash.hexdigest()
        path = self._directory / digest
        with must_write(self._directory):
            os.fsync(self._fd)
            descriptor, self._fd = self._fd, CLOSED
            os.close(descriptor)
            self._temporary.replace(path)
        return Blob(digest, self._size, head, self._tail, lambda: read_blob(path))


def read_blob(path: Path) -> bytes:
    """A blob's bytes, checked against the digest that is its name. Raises JournalDamaged."""
    if not _DIGEST.fullmatch(path.name):
        raise JournalDamaged("An output has a name that is no digest.")
    try:
        with reading(path) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()  # before it fills the memory
            file.seek(0)
            data = file.read() if found == path.name else b""
    except OSError as error:
        raise JournalDamaged(f"The output {path.name} is missing: {error.strerror}.") from error
    if found != path.name or hashlib.sha256(data).hexdigest() != path.name:
        raise JournalDamaged(f"The output {path.name} was altered after it was written.")
    return data


class OutputCapture:
    """Both streams of one command. Without a directory all of it stays in memory (a dry run)."""

    def __init__(
        self, directory: Path | None = None, masker: Masker | None = None, *, keep: bool = True
    ) -> None:
        self._out = StreamCapture(directory, masker or Masker(), keep=keep)
        self._err = StreamCapture(directory, masker or Masker(), keep=keep)

    def out(self, data: bytes) -> None:
        """Some bytes of standard output."""
        self._out.write(data)

    def err(self, data: bytes) -> None:
        """Some bytes of standard error."""
        self._err.write(data)

    def finish(self) -> tuple[Blob, Blob]:
        """Both streams; nothing may be written afterwards."""
        return self._out.finish(), self._err.finish()
