"""Who runs this program, who attends a run, and what a person at the keyboard can be asked."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from typing import Protocol

from tastyops.errors import UsageError, did_you_mean
from tastyops.local.accounts import login_name
from tastyops.model.inventory import Inventory
from tastyops.model.public_text import one_line

Say = Callable[[str], None]
"""Tells the operator something that is no error."""


class Person(Protocol):
    """A person at the keyboard; a use case gets None where nobody is there."""

    def line(self, prompt: str) -> str:
        """A line the person types. Raises EOFError at the end of the input."""

    def secret(self, prompt: str) -> str:
        """A line that is typed without echo. Raises EOFError at the end of the input."""

    def say(self, sentence: str) -> None:
        """Tells the person something."""


def operator() -> str:
    """Who runs this: the login the system gives, not an argument and not ``$USER``."""
    login = os.environ.get("SUDO_USER") if os.getuid() == 0 else None
    try:
        return login or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def own_login() -> str:
    """This account's login, as the kernel records its uid with a file."""
    return login_name(os.getuid())


def attending(given: str | None, inventory: Inventory) -> list[str]:
    """``--attending a,b``, or whoever is at the keyboard. Raises UsageError for a stranger."""
    names = [one_line(name) for name in (given or "").split(",") if name.strip()]
    for name in names:
        if inventory.operators and name not in inventory.operators:
            raise UsageError(
                f"--attending {name}: the inventory's operators are "
                f"{', '.join(inventory.operators)}.",
                still_true="No host was touched.",
                next_step=did_you_mean(name, inventory.operators),
            )
    return names or [operator()]
