"""The environment of a run: real hosts over SSH, or practice hosts started for the run."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tastyops.app.devices import Devices
from tastyops.app.secrets import Secrets
from tastyops.engine.out_of_band import NoOutOfBand, no_console
from tastyops.errors import UsageError
from tastyops.model.inventory import Host
from tastyops.ports import Clock, Console, Dialer, OutOfBand, Power, Prober, Session
from tastyops.transport.console.opening import attach

if TYPE_CHECKING:
    from tastyops.practice.clock import PracticeClock
    from tastyops.practice.hands import Hands
    from tastyops.practice.server import PracticeHost


SLICE = 30.0
"""Seconds waited in one piece: the kernel's own waits stand still while it is suspended."""


class WallClock:
    """Real time."""

    def now(self) -> datetime:
        """The time now."""
        return datetime.now(UTC)

    def sleep(self, seconds: float, wake: Callable[[float], bool]) -> None:
        """Waits that long, or until woken. Time that the machine was suspended counts."""
        due = _since_boot() + seconds
        while (left := due - _since_boot()) > 0:
            if wake(min(left, SLICE)):
                return


def _since_boot() -> float:
    """Seconds since boot, time in suspension included; setting the clock does not change them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True)
class Environment:
    """How a run reaches its hosts, and by which clock it waits.

    ``ways`` lead to consoles and power switches; ``hands`` play the operator on practice hosts.
    """

    dialer: Dialer
    clock: Clock
    hands: Hands | None = None
    ways: OutOfBand = field(default_factory=NoOutOfBand)
    reach: Callable[[Callable[[str], None]], None] = lambda say: None
    """Begins to connect before the first step; says so before ssh asks on the terminal."""


class PracticeDialer:
    """Starts a practice host on its first connection, and reaches it over SSH on loopback."""

    def __init__(self, dialer: Dialer, clock: PracticeClock, stack: ExitStack) -> None:
        self._dialer, self._clock, self._stack = dialer, clock, stack
        self._running: dict[str, PracticeHost] = {}
        self._starting = threading.Lock()

    def _practice(self, host: Host) -> PracticeHost:
        from tastyops.practice.server import PracticeHost

        with self._starting:
            if host.name not in self._running:
                practice = PracticeHost.start(host.name, clock=self._clock, vars=host.vars)
                self._stack.callback(practice.close)
                self._running[host.name] = practice
            return self._running[host.name]

    def _host(self, host: Host) -> Host:
        return self._practice(host).host

    def console(
        self, host: Host, *, heard: Callable[[bytes], None], take: bool = False
    ) -> Console:
        """Attaches the practice host's console; its looks wait in practice time."""
        practice = self._practice(host)
        if practice.host.console is None:
            raise no_console(host.name)
        way, pace = practice.host.console, self._clock.scale
        return attach(practice.host, way, heard=heard, take=take, pace=pace)

    def power(self, host: Host) -> Power:
        """The practice host's power switch."""
        return self._practice(host).power

    def by_hand(self, host: str, text: str, *, wait: bool) -> bool:
        """Does a manual step on its practice host, or on every one where the step has no host.

        ``wait``: return once the power of each has changed.
        """
        with self._starting:
            running = dict(self._running)
        meant = [running[host]] if host in running else list(running.values())
        done = [each.machine.do_by_hand(text) for each in meant]
        for each in meant:
            if wait:
                each.machine.power.wait_for_feed()
        return all(done)

    def keyboard(self, host: str, line: str) -> tuple[int, bytes] | None:
        """Types a line at that practice host's own keyboard; None where no shell waits there."""
        with self._starting:
            practice = self._running.get(host)
        return practice.machine.type_line(line) if practice else None

    def prober(self, host: Host, run: str) -> Prober:
        """A link that can only read."""
        return self._dialer.prober(self._host(host), run)

    def session(self, host: Host, run: str) -> Session:
        """A link that can change the practice host."""
        return self._dialer.session(self._host(host), run)


def connect(stack: ExitStack, hosts: Sequence[Host], hidden: Secrets) -> Environment:
    """The environment of these hosts. Raises UsageError for practice and real hosts in one run."""
    practice = [host for host in hosts if host.connection == "practice"]
    if practice and len(practice) != len(hosts):
        raise UsageError(
            "Practice hosts and real hosts cannot be in one run.",
            still_true="No host was touched.", next_step="Choose with --host.",
        )
    if not hosts:
        return Environment(_Nowhere(), WallClock())
    from tastyops.transport.ssh.session import SshDialer

    if practice:
        from tastyops.practice.clock import PracticeClock
        from tastyops.practice.hands import Hands

        for host in practice:
            _check_settings(host)
        clock = PracticeClock()
        dialer = SshDialer(ssh_config=Path(os.devnull), now=lambda: clock.now().timestamp())
        practice_hosts = PracticeDialer(dialer, clock, stack)
        hands = Hands(practice_hosts.by_hand, practice_hosts.keyboard)
        return Environment(practice_hosts, clock, hands, practice_hosts)
    real = SshDialer(sudo_password=lambda host: hidden.passwords[host.name])
    for host in hosts:
        try:
            real.check(host)
        except UsageError as error:
            raise UsageError(
                error.what, still_true="No host was touched.", next_step=error.next_step
            ) from error
    stack.callback(real.close)
    return Environment(
        real, WallClock(), ways=Devices(hidden.devices, hidden.masker()),
        reach=lambda say: real.connect(hosts, say),
    )


def _check_settings(host: Host) -> None:
    """Raises UsageError for a ``practice:`` in a host's vars that the model does not have."""
    from tastyops.practice import kalimdor

    try:
        kalimdor.units(kalimdor.Options.of(host.vars.get("practice") or {}))
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"The host {host.name}'s `practice:` cannot be used: {error}.",
            still_true="No host was touched.", next_step="Correct its `vars:` in the inventory.",
        ) from error


class _Nowhere:
    """The dialer of a runbook with ``hosts: none``."""

    def prober(self, host: Host, run: str) -> Prober:
        """Raises UsageError."""
        raise UsageError(f"This runbook has no hosts, so {host.name} cannot be reached.")

    def session(self, host: Host, run: str) -> Session:
        """Raises UsageError."""
        raise UsageError(f"This runbook has no hosts, so {host.name} cannot be reached.")
