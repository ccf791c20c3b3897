"""Fetches a secret from its source: a variable, a file or a command. Never shows it."""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import stat
import subprocess
import time
from pathlib import Path

from tastyops.model.secret_source import SecretSource
from tastyops.redact.spellings import SHORTEST_SECRET

LONGEST_SECRET = 16 * 1024
"""Bytes of a secret: room for any private key; more is a mistake in the source."""

PATIENCE = 60.0
"""Seconds a command may take; a person may have to unlock a key for it."""


class UnfitError(Exception):
    """The source gives no secret that can be used; its text says why, and never the secret."""


def fetch(
    source: SecretSource, base: Path, patience: float = PATIENCE, shortest: int = SHORTEST_SECRET
) -> str:
    """The secret from a variable, a file (relative to ``base``) or a command. Raises UnfitError."""
    if source.kind == "env":
        named = f"the environment variable {source.words[0]}"
        return fit(_variable(source.words[0]), named, shortest)
    if source.kind == "file":
        return fit(_file(base / Path(source.words[0]).expanduser()), source.words[0], shortest)
    named = f"`{shlex.join(source.words)}`"
    return fit(_output(source.words, named, patience), f"what {named} wrote", shortest)


def fit(data: bytes, what: str, shortest: int = SHORTEST_SECRET) -> str:
    """The bytes as a secret that can be masked, without one newline at its end."""
    if len(data) > LONGEST_SECRET:
        raise UnfitError(f"{what} is longer than {LONGEST_SECRET // 1024} KiB")
    text = data.removesuffix(b"\n").removesuffix(b"\r")
    if not text:
        raise UnfitError(f"{what} is empty")
    if b"\0" in text:
        raise UnfitError(f"{what} holds a NUL")
    try:
        secret = text.decode("utf-8")
    except UnicodeDecodeError:
        raise UnfitError(f"{what} is not UTF-8 text") from None
    if len(secret) < shortest:
        raise UnfitError(f"{what} has under {shortest} characters, too few to be masked safely")
    return secret


def _variable(name: str) -> bytes:
    value = os.environb.get(name.encode())
    if value is None:
        raise UnfitError(f"the environment variable {name} is not set")
    return value


def _file(path: Path) -> bytes:
    """A private file's bytes. The checks are on the open file, so it cannot be exchanged."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK  # a FIFO must not hang us
    try:
        with open(os.open(path, flags), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise UnfitError(f"{path} is not a plain file")
            if found.st_uid != os.geteuid():
                raise UnfitError(f"{path} belongs to another user")
            if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                mode = stat.S_IMODE(found.st_mode)
                raise UnfitError(f"{path} is not private (its mode is {mode:04o}); chmod 600 it")
            return file.read(LONGEST_SECRET + 1)
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "that is no path"
        raise UnfitError(f"{path} cannot be read: {said}") from None


def _output(argv: tuple[str, ...], named: str, patience: float) -> bytes:
    """What a command writes to standard output. It keeps the terminal, to ask for its own key."""
    try:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "that is no command"
        raise UnfitError(f"{named} cannot be run: {said}") from None
    try:
        data, status = _until(process, time.monotonic() + patience)
    except subprocess.TimeoutExpired:
        raise UnfitError(f"{named} was stopped: it took longer than {patience:g} s") from None
    finally:
        with contextlib.suppress(OSError):
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    if status < 0:
        raise UnfitError(f"{named} was ended by signal {-status}; its output is not shown")
    if status:
        raise UnfitError(f"{named} ended with status {status}; its output is not shown")
    return data


def _until(process: subprocess.Popen[bytes], deadline: float) -> tuple[bytes, int]:
    """Its output, no more than can be a secret, and its status. Raises TimeoutExpired."""
    if process.stdout is None:
        raise ValueError("the process was started without a pipe")
    data = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while len(data) <= LONGEST_SECRET:
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                raise subprocess.TimeoutExpired(process.args, 0)
            piece = os.read(process.stdout.fileno(), LONGEST_SECRET)
            if not piece:
                return data, process.wait(max(0.0, deadline - time.monotonic()))
            data += piece
    return data, 0  # too long: what it would end with does not matter
