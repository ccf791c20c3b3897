"""Passwords: asked once, before the first step, never shown and never on a command line."""

from __future__ import annotations

import getpass
import os
from collections.abc import Sequence

from tastyops.errors import NeedsPerson, UsageError
from tastyops.inventory import Host
from tastyops.redact import SHORTEST_SECRET

VARIABLE = "TASTYOPS_SUDO_PASSWORD"
"""The environment variable a sudo password may come from where nobody can type it."""


def sudo_passwords(hosts: Sequence[Host], *, ask: bool) -> dict[str, str]:
    """The sudo password of each host that says ``sudo: ask``; one question for all of them."""
    wanting = [host.name for host in hosts if host.sudo == "ask"]
    if not wanting:
        return {}
    password = os.environ.get(VARIABLE, "")
    if not password and ask:
        password = getpass.getpass(f"sudo password for {', '.join(wanting)}: ")
    if not password:
        raise NeedsPerson(
            f"{', '.join(wanting)}: sudo needs a password, and nobody is here to type it.",
            still_true="No host was touched.",
            next_step=f"Set {VARIABLE}, or run it on a terminal.",
        )
    if len(password) < SHORTEST_SECRET:
        raise UsageError(
            f"A sudo password under {SHORTEST_SECRET} characters cannot be masked safely.",
            still_true="No host was touched.", next_step="Use a longer one, or `sudo: true`.",
        )
    return dict.fromkeys(wanting, password)
