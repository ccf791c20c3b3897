"""Consoles and power switches of real hosts and of the lab, and their passwords."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tastyops.app.secret_sources import UnfitError, fetch
from tastyops.engine.out_of_band import no_console, no_power
from tastyops.errors import ConsoleUnreachable, PowerUnreachable
from tastyops.model.inventory import Host
from tastyops.model.secret_source import SecretSource
from tastyops.redact import Masker
from tastyops.redact.spellings import SHORTEST_SECRET
from tastyops.transport.console.attached import Attached
from tastyops.transport.console.opening import attach
from tastyops.transport.power_switch import Switch


@dataclass(frozen=True)
class DevicePasswords:
    """The passwords by source, and for the other sources why there is none.

    A missing password stops only what needs it: most runs touch neither console nor power.
    """

    values: Mapping[SecretSource, str] = field(default_factory=dict, repr=False)
    missing: Mapping[SecretSource, str] = field(default_factory=dict)

    @property
    def to_mask(self) -> frozenset[str]:
        """What can be masked; the lab's may be shorter than that."""
        return frozenset(text for text in self.values.values() if len(text) >= SHORTEST_SECRET)

    def get(self, source: SecretSource | None) -> str:
        """The password of a source. Raises UnfitError."""
        if source is None:
            return ""
        if source in self.missing:
            raise UnfitError(self.missing[source])
        return self.values[source]


def device_passwords(hosts: Sequence[Host]) -> DevicePasswords:
    """The passwords of these hosts' consoles and power switches, each fetched once."""
    values: dict[SecretSource, str] = {}
    missing: dict[SecretSource, str] = {}
    for host in hosts:
        shortest = 1 if host.practice else SHORTEST_SECRET
        for source in sources_of(host):
            if source in values or source in missing:
                continue
            try:
                values[source] = fetch(source, Path(), shortest=shortest)
            except UnfitError as error:
                missing[source] = str(error)
    return DevicePasswords(values, missing)


def sources_of(host: Host) -> Iterator[SecretSource]:
    """Where the passwords of the host's console and power switch come from."""
    console, power = host.console, host.power
    for each in (
        console and console.password,
        console and console.ipmi and console.ipmi.password,
        power and power.ipmi and power.ipmi.password,
    ):
        if each:
            yield each


class Devices:
    """Opens consoles and power switches of real hosts and of the lab (``ports.OutOfBand``)."""

    def __init__(self, passwords: DevicePasswords, masker: Masker) -> None:
        self._passwords, self._masker = passwords, masker

    def console(
        self, host: Host, *, heard: Callable[[bytes], None], take: bool = False
    ) -> Attached:
        """Attaches the host's console. Raises ConsoleUnreachable, NoConsole, ConsoleHeld."""
        way = host.console
        if way is None:
            raise no_console(host.name)
        try:
            bmc = self._passwords.get(way.ipmi.password if way.ipmi else None)
        except UnfitError as error:
            raise ConsoleUnreachable(
                f"The password for {host.name}'s console cannot be read: {error}.",
                still_true="It was not attached.",
                next_step="Correct its source in the inventory.",
            ) from error
        return attach(
            host, way, heard=heard, bmc_password=bmc, masker=self._masker, take=take,
            login_password=lambda: self._login(host),
        )  # fmt: skip

    def _login(self, host: Host) -> str:
        try:
            return self._passwords.get(host.console.password if host.console else None)
        except UnfitError as error:
            raise ConsoleUnreachable(
                f"The password to log in on {host.name}'s console cannot be read: {error}.",
                still_true="Nothing was typed.",
                next_step="Correct its source in the inventory.",
            ) from error

    def power(self, host: Host) -> Switch:
        """The host's power switch. Raises PowerUnreachable, NoPower."""
        way = host.power
        if way is None:
            raise no_power(host.name)
        try:
            return Switch(host, way, self._passwords.get(way.ipmi.password if way.ipmi else None))
        except UnfitError as error:
            raise PowerUnreachable(
                f"The password for {host.name}'s power switch cannot be read: {error}.",
                still_true="The power switch was not operated.",
                next_step="Correct its source in the inventory.",
            ) from error
