"""Lending the terminal to an ``ssh`` that asks for a passphrase, a PIN or a touch."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from typing import BinaryIO

_TERMINAL = "/dev/tty"


def there() -> bool:
    """Whether this process has a terminal that somebody can be asked at."""
    try:
        descriptor = os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def asking_there(
    words: Sequence[str], output: BinaryIO, said: BinaryIO
) -> Iterator[subprocess.Popen[bytes]]:
    """Starts ``ssh`` in a process group of its own, which has the terminal meanwhile: its prompts
    are answered there, and Ctrl-C is its alone.
    """
    process = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=output, stderr=said, process_group=0
    )
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    descriptor = os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY)
    try:
        with contextlib.suppress(OSError):  # it may have ended already
            os.tcsetpgrp(descriptor, process.pid)
            os.killpg(process.pid, signal.SIGCONT)  # it stopped if it read before that
        yield process
    finally:
        os.tcsetpgrp(descriptor, os.getpgrp())
        os.close(descriptor)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
