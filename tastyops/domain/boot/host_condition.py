"""Whether a host that seems gone is: its network, its power switch and its console are asked.

A lost packet, a boot under way and a machine that only lost its network all look alike over SSH.
The power switch is for none of them, so the console decides, and it must answer a key: what stands
on a screen may have been said long ago.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tastyops.domain.boot.out_of_band import ConsoleView, attach, power_status
from tastyops.domain.boot.single_user import command
from tastyops.errors import ConsoleHeld, Failed, Refused
from tastyops.facts.console_screen import WAITING, Screen, look
from tastyops.facts.system import BOOT_ID
from tastyops.model.action import Facts
from tastyops.model.commands import (
    Ask,
    Change,
    Command,
    Offline,
    Output,
    Probe,
    Report,
    Sleep,
    Unknown,
)

LISTEN = 30.0
"""Seconds a console is listened to before a key is pressed."""

ANSWER = 5.0
"""Seconds a console has to answer Enter."""

POLL = 10.0
"""Seconds between two looks at a host that starts."""

ENTER = b"\r"

MODE = "systemctl is-active rescue.target emergency.target"
MODES = ("rescue", "emergency")
"""In the order of ``MODE``'s answer."""

ANSWERS = frozenset(("up", "refusing"))
"""Its SSH server answers; ``refusing`` lets us in for no session."""

RUNS = frozenset(("login", "password", "shell"))
"""Its console answers: the system runs, and only its network or its SSH server does not."""

STARTS = frozenset(("booting", "boot-menu", "nologin"))
NEEDS_KEYS = frozenset(("passphrase", "grub-password"))
UNSEEN = frozenset(("no-console", "console-held", "console-unreachable"))
PROMPTS = frozenset(("emergency", "maintenance", "rescue"))
"""sulogin waits for root: the system stopped there by itself, and its kernel runs."""


@dataclass(frozen=True, slots=True)
class Condition:
    """How a host is. ``state`` is ``up``, ``refusing``, ``nologin``, ``off``, one of ``UNSEEN``, or
    what its console shows (``probes.console.State``); ``ssh`` how its SSH server answered.
    """

    state: str
    ssh: str
    power: str = ""

    @property
    def words(self) -> str:
        """For a message: fixed words, never what the host said."""
        if self.state in _WORDS:
            return _WORDS[self.state]
        return ConsoleView(self.state).words


_WORDS = {
    "up": "it answers over SSH",
    "refusing": "its SSH server answers, but lets us in for no session",
    "nologin": "its SSH server answers and takes no logins: it starts or goes down",
    "off": "its power is off",
    "no-console": "it has no console to look at",
    "console-held": "somebody else has its console",
    "console-unreachable": "its console cannot be reached",
    "silent": "its console does not answer a key",
}
_REFUSALS = {"nologin": "nologin", "authentication-failed": "refusing",
             "host-key-unknown": "refusing", "host-unsuitable": "refusing"}  # fmt: skip


def need_gone(found: Condition, facts: Facts) -> Generator[Command, Any, None]:
    """Before a host is treated as one that is dead. Raises Refused for one that answers.

    One that may be alive needs a person's word, which ``--yes`` does not give.
    """
    if found.state in ANSWERS:
        raise Refused(f"{facts.host} is not unresponsive: {found.words}; nothing was done")
    if found.state in NEEDS_KEYS:
        raise Refused(
            f"{found.words}: somebody has to type it there (`invoke console {facts.host}`);"
            " nothing was done"
        )
    if found.state in RUNS | STARTS | UNSEEN:
        yield Ask(
            "manual",
            f"{facts.host} does not let us in over SSH, but {found.words}: it may be running."
            " Look there first. Say done to treat it as a machine that has crashed.",
        )


def assess(facts: Facts, patience: float) -> Generator[Command, Any, Condition]:
    """Looks until the host answers or has stopped somewhere; one that starts is waited for."""
    yield from attach(facts)
    waited = 0.0
    while True:
        found = yield from _once(facts)
        if found.state not in STARTS or waited >= patience:
            return found
        if not waited:
            yield Report(note="the host is starting, or going down: it is waited for")
        yield Sleep(POLL, "the host to start or to stop")
        waited += POLL


def _once(facts: Facts) -> Generator[Command, Any, Condition]:
    """One look: SSH before and after the console, so that a lost packet is no evidence."""
    first = yield from _ssh()
    if first in ANSWERS:
        return Condition(first, first)
    power = yield from power_status(facts)
    if power == "off":
        return Condition("off", first, power)
    shown = yield from _console(facts)
    again = yield from _ssh()
    if again in ("up", "refusing", "nologin"):
        return Condition(again, again, power)
    return Condition(shown, again, power)


def _ssh() -> Generator[Command, Any, str]:
    """``up``, ``refusing``, ``nologin``, or why it cannot be reached."""
    answer: Output | Offline = yield Probe(BOOT_ID.argv, "output", offline=True)
    if isinstance(answer, Offline):
        return _REFUSALS.get(answer.why, answer.why)
    return "up"


def _console(facts: Facts) -> Generator[Command, Any, str]:
    if not facts.console:
        return "no-console"
    screen: Screen | Offline = yield Probe(*look(LISTEN, *WAITING), via="console", offline=True)
    if isinstance(screen, Offline):
        return _unseen(screen)
    if screen.state != "silent" and screen.state not in RUNS:
        return screen.state
    return (yield from _pressed(screen.state))


def _pressed(shown: str) -> Generator[Command, Any, str]:
    """What a console that is silent, or shows a login prompt, makes of Enter."""
    typed: Output | Unknown = yield Change(("type",), ENTER, via="console")
    if isinstance(typed, Unknown):
        return shown
    if not typed.ok:
        return "console-unreachable"
    screen: Screen | Offline = yield Probe(*look(ANSWER, *WAITING), via="console", offline=True)
    if isinstance(screen, Offline):
        return _unseen(screen)
    if not screen.heard:
        return "silent"
    if screen.state == "shell":
        return (yield from _mode())
    # A kernel echoes Enter by itself; whoever asks for a login says so anew.
    return screen.state if screen.text.strip() or screen.state not in RUNS else "booting"


def _mode() -> Generator[Command, Any, str]:
    """A shell on the console: single-user or emergency mode's, or that of a system that runs.

    Enter alone opens it where sulogin asks for no password.
    """
    try:
        _, said = yield from command(MODE, ANSWER)
    except Failed:
        return "shell"
    active = [line.strip() for line in said.splitlines() if line.strip() in ("active", "inactive")]
    return next((name for name, is_so in zip(MODES, active, strict=False) if is_so == "active"),
                "shell")  # fmt: skip


def _unseen(lost: Offline) -> str:
    return lost.why if lost.why in ("no-console", ConsoleHeld.id) else "console-unreachable"
