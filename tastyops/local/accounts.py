"""The names of accounts, and who this process is, as the system says it."""

from __future__ import annotations

import pwd
from pathlib import Path

_LOGIN = Path("/proc/self/loginuid")
_UNSET = 2**32 - 1


def login_name(uid: int) -> str:
    """The account's name; ``uid 1234`` for one without."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def login_uid() -> int:
    """The uid this session was logged in with, which sudo does not change; -1 if there is none.

    The kernel keeps it for the audit (proc_pid_loginuid(5)); daemons and containers have none.
    """
    try:
        uid = int(_LOGIN.read_text())
    except (OSError, ValueError):
        return -1
    return -1 if uid == _UNSET else uid
