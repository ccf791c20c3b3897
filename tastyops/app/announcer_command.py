"""An announcer that is a command of the inventory's: a mail, a message, a sound."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

PATIENCE = 20.0
"""Seconds the command may take; then it and its process group are killed."""

KEPT = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "DISPLAY", "WAYLAND_DISPLAY",
    "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS",
)  # fmt: skip
"""What it gets of our environment, in which a run's secrets may stand."""


class CommandAnnouncer:
    """Runs the command with the sentence as its standard input; its output goes nowhere."""

    def __init__(self, argv: Sequence[str], patience: float = PATIENCE) -> None:
        self._argv, self._patience = tuple(argv), patience

    def call(self, sentence: str, facts: Mapping[str, str]) -> str:
        """Says the sentence; gives what went wrong, or nothing. Never raises.

        ``facts`` become environment variables, ``TASTYOPS_`` before their names.
        """
        ours = {f"TASTYOPS_{name.upper()}": value for name, value in facts.items()}
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        try:
            process = subprocess.Popen(
                self._argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, env={**kept, **ours}, start_new_session=True,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            said = error.strerror if isinstance(error, OSError) else "that is no command"
            return f"{self._argv[0]} cannot be run: {said}"
        try:
            process.communicate(f"{sentence}\n".encode(), timeout=self._patience)
        except subprocess.TimeoutExpired:
            return f"{self._argv[0]} was stopped: it took longer than {self._patience:g} s"
        except OSError:
            pass  # it does not read its input, and need not
        finally:
            with contextlib.suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        status = process.returncode
        return f"{self._argv[0]} ended with status {status}" if status else ""
