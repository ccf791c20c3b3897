"""What a host's console and power switch tell of one that does not answer."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tastyops.facts import console_screen, power_state
from tastyops.facts.console_screen import Attached, Screen
from tastyops.model.action import Facts
from tastyops.model.commands import Command, Offline, Probe, Report

_DEAD_ENDS = {
    "panic": "a kernel panic",
    "initramfs": "the initramfs prompt",
    "grub-prompt": "GRUB's prompt",
    "grub-rescue": "GRUB's rescue prompt",
    "grub-password": "that GRUB asks for a user name and a password",
    "boot-error": "an error of the boot loader",
    "no-boot-device": "that no disk can be booted",
    "rescue": "the prompt of single-user mode",
    "emergency": "the prompt of emergency mode",
    "maintenance": "a prompt for root's password",
    "passphrase": "a prompt for a passphrase",
    "halted": "that it has halted",
}
"""What no machine gets out of by itself, in words for the log."""

_OTHERS = {
    "silent": "nothing",
    "booting": "that it is starting",
    "boot-menu": "the boot menu",
    "login": "a login prompt",
    "password": "a login prompt",
    "shell": "a shell",
}


@dataclass(frozen=True, slots=True)
class ConsoleView:
    """What the console shows (``probes.console.State``), or ``unreachable``."""

    state: str
    starts: tuple[str, ...] = ()
    """``probes.console.Screen.starts``."""

    @property
    def dead_end(self) -> bool:
        """Whether the machine cannot get out of it by itself."""
        return self.state in _DEAD_ENDS

    @property
    def words(self) -> str:
        """For the log: fixed words, never what the console said."""
        if self.state == "unreachable":
            return "the console cannot be reached"
        shown = _DEAD_ENDS.get(self.state) or _OTHERS.get(self.state, "something else")
        return f"the console shows {shown}"


def attach(facts: Facts) -> Generator[Command, Any, None]:
    """Attaches the console before the host goes down, so that what it says then is kept."""
    if not facts.console:
        return
    attached: Attached | Offline = yield Probe(
        ("attach",), "attached", via="console", offline=True
    )
    if isinstance(attached, Offline):
        yield Report(note="the console cannot be attached")


def read_console(facts: Facts) -> Generator[Command, Any, ConsoleView | None]:
    """What the console shows now; None where the host has none."""
    if not facts.console:
        return None
    screen: Screen | Offline = yield Probe(*console_screen.look(0), via="console", offline=True)
    if isinstance(screen, Offline):
        return ConsoleView("unreachable")
    return ConsoleView(screen.state, screen.starts)


def power_status(facts: Facts) -> Generator[Command, Any, str]:
    """``on``, ``off``, ``unknown``, ``unreachable``; empty where the host has no switch."""
    if not facts.power:
        return ""
    status: str | Offline = yield Probe(*power_state.STATUS, via="power", offline=True)
    return "unreachable" if isinstance(status, Offline) else status
