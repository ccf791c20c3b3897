"""How a host's console and its power switch are reached, as its inventory says."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tastyops.model.secret_source import SecretSource

IPMI_PORT = 623
"""RMCP's port (IPMI 2.0, 13.1.2)."""

POWER_PATIENCE = 30.0
"""Seconds a power switch may take to answer, unless the inventory says otherwise."""

IPMI_PASSWORD = "IPMI_PASSWORD"  # noqa: S105  the variable ipmitool reads it from

CONSOLE_SECRET = "console-password"  # noqa: S105  a name, not a value
"""What an action calls the console's password by: ``("type-secret", "console-password")``."""

Turn = Literal["on", "off", "cycle"]


@dataclass(frozen=True, slots=True)
class Ipmi:
    """A management controller that speaks IPMI 2.0. ``cipher`` is ipmitool's ``-C``."""

    address: str
    port: int = IPMI_PORT
    user: str = ""
    password: SecretSource | None = None
    cipher: int | None = None

    def command(self, *words: str) -> tuple[str, ...]:
        """ipmitool's command line. The password is in its environment (``-E``, ipmitool(1)):
        of what stands on a command line, ps tells everybody.
        """
        cipher = ("-C", str(self.cipher)) if self.cipher is not None else ()
        user = ("-U", self.user) if self.user else ()
        place = ("-H", self.address, "-p", str(self.port))
        return ("ipmitool", "-I", "lanplus", *cipher, *place, *user, "-E", *words)


@dataclass(frozen=True, slots=True)
class ConsoleWay:
    """One of ``command`` (argv), ``socket`` (a path, or address and port) and ``ipmi``.

    ``release`` is the argv that ends another's session; ``user`` and ``password`` log in there.
    """

    command: tuple[str, ...] = ()
    socket: str | tuple[str, int] | None = None
    ipmi: Ipmi | None = None
    release: tuple[str, ...] = ()
    user: str = "root"
    password: SecretSource | None = None

    @property
    def named(self) -> str:
        """The way as a record has it; no secret is in it."""
        if self.ipmi is not None:
            return f"IPMI at {self.ipmi.address}"
        if isinstance(self.socket, tuple):
            return f"{self.socket[0]}:{self.socket[1]}"
        return self.socket or shlex.join(self.command)


@dataclass(frozen=True, slots=True)
class PowerWay:
    """Either ``ipmi`` or ``commands``: argv for ``on``, ``off``, ``cycle`` and ``status``.

    ``outlet`` is what people call the switch; ``timeout`` is in seconds.
    """

    ipmi: Ipmi | None = None
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    outlet: str = ""
    timeout: float = POWER_PATIENCE

    @property
    def named(self) -> str:
        """What a confirmation calls it."""
        if self.outlet:
            return self.outlet
        return f"IPMI at {self.ipmi.address}" if self.ipmi else "the inventory's commands"
