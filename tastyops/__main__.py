"""``python -m tastyops`` and the installed program: the way in, guarded while modules load.

KeyboardInterrupt in an import leaves a traceback, or vanishes in a callback of the import
machinery. While modules load nothing has been done, so Ctrl-C ends the process right there.
"""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import NoReturn

CANCELLED = 3
"""``errors.ExitCode.CANCELLED``, which is not loaded yet."""


def leave(number: int, frame: FrameType | None) -> NoReturn:
    """Ends the process; a handler of SIGINT."""
    os.write(2, b"\nStopped. Nothing was done.\n")
    os._exit(CANCELLED)


def run() -> NoReturn:
    """The installed ``tastyops`` program."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)
    from tastyops.cli.program import console_script

    console_script()


if __name__ == "__main__":
    run()
