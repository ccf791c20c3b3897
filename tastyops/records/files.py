"""Files that survive a crash: private, written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tastyops.errors import JournalUnwritable
from tastyops.local.plain_files import open_plain

CLOSED = -1
"""A descriptor after its end: a late writer gets an error, not the file that has its number now."""


@contextlib.contextmanager
def must_write(path: Path) -> Iterator[None]:
    """Any OSError inside becomes JournalUnwritable: a record that cannot be kept stops the run."""
    try:
        yield
    except OSError as error:
        raise JournalUnwritable(
            f"{path} cannot be written: {error.strerror or error}.",
            still_true="What was recorded before is intact; no further step was begun.",
            next_step="Make room or correct the permissions, then look with `invoke show`.",
        ) from error


def write_whole(path: Path, data: bytes, mode: int = 0o644, *, like: Path | None = None) -> None:
    """Replaces ``path`` in one step: readers see the old bytes or the new ones. Durable.

    ``like``: whose owner the file gets, where root writes for another account.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = open_plain(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            if like is not None and os.geteuid() == 0:
                whose = like.stat()
                os.fchown(file.fileno(), whose.st_uid, whose.st_gid)
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Makes created and removed names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


PATIENCE = 30.0
"""Seconds to wait for a lock that is held for milliseconds; its holder is frozen then."""


@contextlib.contextmanager
def locked(path: Path, patience: float = PATIENCE, mode: int = 0o644) -> Iterator[None]:
    """Holds an exclusive lock on a file, made if need be; the kernel drops it if this process dies.

    Raises TimeoutError (an OSError) when somebody holds it longer than anybody should.
    """
    fd = open_plain(path, os.O_RDWR | os.O_CREAT, mode)
    if not try_lock(fd):
        _wait_for_lock(fd, path, patience)
    try:
        yield
    finally:
        os.close(fd)


def _wait_for_lock(fd: int, path: Path, patience: float) -> None:
    """Waits in the kernel's queue: whoever tries again and again never meets a busy writer's gap.

    The wait itself has no limit, so a thread does it; given up, it closes the file when it ends.
    """
    got, given_up, turn = threading.Event(), threading.Event(), threading.Lock()

    def wait() -> None:
        fcntl.flock(fd, fcntl.LOCK_EX)
        with turn:
            if given_up.is_set():
                os.close(fd)
            got.set()

    threading.Thread(target=wait, daemon=True).start()
    try:
        if not got.wait(patience):
            raise TimeoutError(  # noqa: TRY301  it ends as Ctrl-C does
                errno.ETIMEDOUT, "another process keeps it locked", str(path)
            )
    except BaseException:  # Ctrl-C too: a lock that nobody waits for any more must not be kept
        with turn:
            given_up.set()
            if got.is_set():
                os.close(fd)
        raise


def try_lock(fd: int, *, shared: bool = False) -> bool:
    """Takes the lock on an open file unless another process holds it; closing lets it go."""
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


GLANCE = 0.5
"""Seconds after which a lock is not somebody's glance at whether it is held, but held."""


def lock_soon(fd: int) -> bool:
    """Takes the lock on an open file, waiting only while somebody may be looking at it."""
    until = time.monotonic() + GLANCE
    while not try_lock(fd):
        if time.monotonic() >= until:
            return False
        time.sleep(0.005)
    return True


def append_all(fd: int, data: bytes) -> None:
    """Writes every byte; a short write (a full disk, a limit) goes on until the error shows."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def append_or_nothing(path: Path, data: bytes, mode: int) -> None:
    """Appends whole lines, durable; what a full disk took only in part is taken back.

    For a file whose writers hold a lock: nobody else has appended meanwhile.
    """
    fd = open_plain(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, mode)
    try:
        before = os.fstat(fd).st_size
        try:
            append_all(fd, data)
            os.fsync(fd)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(fd, before)
            raise
    finally:
        os.close(fd)
