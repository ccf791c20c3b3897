"""Standard output may be closed, full, or in a locale without our signs; none of it is a bug."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys

_TROUBLES = frozenset({errno.EPIPE, errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EBADF})


def mend() -> None:
    """A stream that is closed (``>&-``) leads nowhere; what a locale cannot show is spelt out."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def is_trouble(error: BaseException) -> bool:
    """Whether an error is a failed write to a stream; one of a file of ours has another type."""
    return isinstance(error, OSError) and error.filename is None and error.errno in _TROUBLES


def settle(error: OSError | None = None) -> bool:
    """Writes out what is left. Where that fails, or ``error`` is why it did, says so: True.

    Nothing more goes to standard output then. Whoever closed a pipe or a terminal knows, and is
    told nothing.
    """
    try:
        sys.stdout.flush()
    except OSError as failed:
        error = failed
    if error is None:
        return False
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stdout.flush()
    if not isinstance(error, BrokenPipeError) and error.errno != errno.EIO:
        with contextlib.suppress(OSError):
            print(f"Standard output cannot be written: {error.strerror}.", file=sys.stderr)  # noqa: T201
    return True


def drop_unwritable() -> None:
    """Drops what standard error cannot write: at its end the interpreter would try again, and
    exit with 120.
    """
    try:
        sys.stderr.flush()
    except OSError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
            sys.stderr.flush()
