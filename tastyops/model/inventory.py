"""Hosts and groups: what an inventory says. ``reading`` has it from a file's bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tastyops.errors import UsageError, did_you_mean, shown
from tastyops.model.out_of_band import ConsoleWay, PowerWay
from tastyops.model.publishing import Publishing, Service
from tastyops.model.secret_source import SecretSource

Connection = Literal["ssh", "openssh", "practice"]


@dataclass(frozen=True, slots=True)
class Host:
    """One host. What is None here is left to ``~/.ssh/config`` and OpenSSH's defaults.

    ``connection``: over paramiko (``ssh``), over the system's own client (``openssh``), or to a
    practice host. ``ssh_config``: the file to read instead of the user's and the system's.

    ``sudo``: True becomes root with ``sudo -n``; ``"ask"`` with a password, which comes from
    ``sudo_password`` or is asked for once; False never. Paths are absolute or start with ``~``.
    """

    name: str
    address: str | None = None
    port: int | None = None
    user: str | None = None
    identity_file: str | None = None
    known_hosts: str | None = None
    sudo: bool | Literal["ask"] = False
    connection: Connection = "ssh"
    ssh_config: str | None = None
    console: ConsoleWay | None = None
    power: PowerWay | None = None
    vars: Mapping[str, Any] = field(default_factory=dict)
    practice: bool = False
    """Whether what is logged of it is practice: a practice host, or one of a practice inventory."""
    sudo_password: SecretSource | None = None
    connection_of: str = field(default="", compare=False)
    """Who chose ``connection``: the host itself, a group, the inventory; empty for the default."""

    @property
    def has_console(self) -> bool:
        """Whether there is a console; a practice host models one."""
        return self.console is not None or self.connection == "practice"

    @property
    def has_power(self) -> bool:
        """Whether there is a power switch; a practice host models one."""
        return self.power is not None or self.connection == "practice"

    @property
    def outlet(self) -> str:
        """What a confirmation calls the power switch."""
        if self.power is not None:
            return self.power.named
        return "the practice host's own" if self.connection == "practice" else ""


@dataclass(frozen=True, slots=True)
class Inventory:
    """The whole file. ``logs`` and ``runs`` are directories, beside the inventory if not absolute.

    ``groups`` has the hosts of each, groups inside it opened up.
    """

    path: str
    timezone: str
    operators: tuple[str, ...]
    logs: str
    runs: str
    hosts: Mapping[str, Host]
    groups: Mapping[str, tuple[str, ...]]
    announce: tuple[str, ...] = ()
    """The command that calls the operators; empty for none."""
    publish: Publishing | None = None
    services: tuple[Service, ...] = ()
    """What users call the parts of the system; ``hosts`` has hosts, groups opened up."""

    def select(self, names: Iterable[str]) -> tuple[Host, ...]:
        """The hosts of these names and groups, in order, each once. Raises UsageError."""
        chosen: dict[str, Host] = {}
        for name in names:
            if name not in self.hosts and name not in self.groups:
                known = [*self.hosts, *self.groups]
                raise UsageError(
                    f"{shown(name)} is not a host or group in {self.path}.",
                    still_true="No host was touched.",
                    next_step=did_you_mean(name, known) or f"There are: {', '.join(known)}.",
                )
            for member in self.groups.get(name, (name,)):
                chosen[member] = self.hosts[member]
        if not chosen:
            raise UsageError(
                "No host was chosen.",
                still_true="No host was touched.",
                next_step=f"There are: {', '.join([*self.hosts, *self.groups])}.",
            )
        return tuple(chosen.values())
