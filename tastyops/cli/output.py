"""Standard output that is closed, full, or in a locale without our characters: not a bug."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys

_TROUBLES = frozenset({errno.EPIPE, errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EBADF})


def repair() -> None:
    """Replaces closed streams (``>&-``); characters that a locale lacks are escaped."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def is_trouble(error: BaseException) -> bool:
    """Whether an error is a failed write to a standard stream."""
    return isinstance(error, OSError) and error.filename is None and error.errno in _TROUBLES


def settle(error: OSError | None = None) -> bool:
    """Flushes standard output; True, and a sentence, where that fails or ``error`` is given.

    Nothing more goes to standard output then. No sentence for whoever closed the pipe or the
    terminal.
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
    """Drops what standard error cannot write.

    The interpreter would try again at its end, and exit with 120.
    """
    try:
        sys.stderr.flush()
    except OSError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
            sys.stderr.flush()
