"""What an operator may do to a run whose step did not end well, while its question stays open."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

from tastyops.errors import Unreachable, UsageError
from tastyops.journal.events import Body, InputChanged
from tastyops.journal.state import RunState
from tastyops.model.coercion import input_value
from tastyops.model.inventory import Host
from tastyops.plan.plan import Plan
from tastyops.ports import OutOfBand
from tastyops.records.notes import new_note

Hand = Callable[[Body], None]
"""Hands an event to the run."""

_SSH_FAILED = 255
"""The exit status of an ssh that could not connect (ssh(1))."""


class Interventions:
    """Notes, changed inputs, a shell on a host, a host's power switched on.

    ``ways`` lead to the power switches; without them no power can be switched.
    """

    def __init__(
        self, plan: Plan, state: RunState, hand: Hand, ways: OutOfBand | None = None
    ) -> None:
        self.plan, self._state, self._hand, self._ways = plan, state, hand, ways
        self._reachable = {host.name for host in plan.hosts if host.connection != "practice"}
        self._switches = {
            host.name: host for host in plan.hosts if host.power is not None and ways
        }

    @property
    def practice(self) -> bool:
        """Whether the run has practice hosts, which end with its process."""
        return any(host.connection == "practice" for host in self.plan.hosts)

    @property
    def inputs(self) -> Mapping[str, Any]:
        """The inputs that may be changed, with their values."""
        known = self.plan.runbook.inputs
        return {name: self.plan.inputs[name] for name in known if not known[name].secret}

    def note(self, text: str) -> None:
        """Adds a remark to the log."""
        self._hand(new_note(text, public=True))

    def change_input(self, name: str, value: str) -> str:
        """Changes an input; gives what is wrong with the value, or nothing."""
        known = self.plan.runbook.inputs
        if name not in known or known[name].secret:
            return f"There is no input {name} that could be changed here."
        try:
            self._hand(InputChanged(name, input_value(known[name], value)))
        except UsageError as error:
            return str(error)
        return ""

    def hosts_with_shell(self, step: str) -> list[str]:
        """The hosts of a step that did not end well where a shell can be opened."""
        return [host for host, bad in self._state.bad if bad == step and host in self._reachable]

    def hosts_with_power(self, step: str) -> list[str]:
        """The hosts of a step that did not end well which have a power switch."""
        return [host for host, bad in self._state.bad if bad == step and host in self._switches]

    def open_shell(self, name: str) -> str:
        """Opens the system's own ssh on a host until it is left; gives what went wrong, or nothing.

        The journal records that a shell was open, not what was typed there.
        """
        host = self.plan.host(name)
        if host is None:
            return f"There is no host {name}."
        words = ssh_words(host)
        if words is None:
            return "There is no ssh on this machine (package openssh-client)."
        self._hand(new_note(f"A shell was opened on {name}.", public=False))
        ended = subprocess.run(words, check=False).returncode
        self._hand(new_note(f"The shell on {name} was left (status {ended}).", public=False))
        return f"ssh ended with {ended}; it could not connect." if ended == _SSH_FAILED else ""

    def switch_power_on(self, name: str) -> str:
        """Switches a host's power on; says what was done, or what went wrong."""
        host = self._switches.get(name)
        if host is None or self._ways is None:
            return f"{name} has no power switch."
        return switch_on(host, self._ways, self._hand)


def ssh_words(host: Host) -> list[str] | None:
    """The command line of ssh that reaches the host as tastyops does; None without an ssh."""
    ssh = shutil.which("ssh")
    if ssh is None:
        return None
    words = [ssh, "-o", "StrictHostKeyChecking=yes"]
    options = (
        ("-F", host.ssh_config), ("-p", host.port), ("-l", host.user), ("-i", host.identity_file),
    )  # fmt: skip
    words += [str(word) for option, value in options if value for word in (option, value)]
    if host.known_hosts:
        words += ["-o", f"UserKnownHostsFile={host.known_hosts}"]
    return [*words, "--", host.address or host.name]


def switch_on(host: Host, ways: OutOfBand, hand: Hand) -> str:
    """Switches a host's power on unless it is on; says what was done, or what went wrong.

    The attempt is noted in the run's journal before it is made, and its success in the log.
    """
    answer = _Answer()
    try:
        switch = ways.power(host)
        switch.status(sink=answer)
        if answer.word == "on":
            return f"The power of {host.name} is on."
        hand(new_note(f"The power of {host.name} is to be switched on.", public=False))
        ended = switch.turn("on", sink=answer)
    except Unreachable as error:
        return " ".join(error.lines())
    if ended.state == "lost":
        return f"The power switch of {host.name} did not say whether it obeyed."
    if ended.status != 0:
        return f"The power switch of {host.name} did not obey (status {ended.status})."
    hand(new_note(f"Power of {host.name} switched on.", public=True))
    return f"The power of {host.name} was switched on."


class _Answer:
    """Keeps the switch's last word; whatever else its tools print is left out."""

    def __init__(self) -> None:
        self.word = ""

    def out(self, data: bytes) -> None:
        """A line with the answer."""
        self.word = data.decode("utf-8", "replace").strip()

    def err(self, data: bytes) -> None:
        """Left out."""
