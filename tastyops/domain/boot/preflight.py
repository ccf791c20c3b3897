"""What is looked at before a run's first reboot or shutdown, each ok, failed or not known."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from typing import Any

from tastyops.domain.boot.next_start import Finding, findings, menu_line, starting
from tastyops.domain.boot.out_of_band import ConsoleView
from tastyops.errors import ProbeFailed
from tastyops.facts import console_screen, power_state
from tastyops.facts.console_screen import Screen
from tastyops.facts.readings import Reading
from tastyops.facts.system import CLOCK, EPOCH, KERNEL, HostClock, Kernel
from tastyops.model.action import Facts
from tastyops.model.commands import Ask, Command, Offline, Probe
from tastyops.model.duration import format_duration

CLOCK_OFF = 60.0
"""Seconds a host's clock may differ from ours: shutdowns are scheduled by it."""

BACKUP_OLD = 26 * 3600.0
"""Seconds after which a backup made every night is too old."""

LISTENED = 3.0
"""Seconds a console that says nothing is listened to."""


def preflight(facts: Facts, backup: str = "") -> Generator[Command, Any, list[Finding]]:
    """Everything; only reads. ``backup`` is a file whose age is that of the last backup."""
    found = [(yield from console_line(facts)), (yield from power_line(facts))]
    running: Kernel = yield Probe(*KERNEL)
    start = yield from starting(running.release)
    found += findings(start)
    if facts.console:
        found.append(menu_line(start))
    found.append((yield from _clock()))
    found.append((yield from _backup(backup)))
    return found


def confirm_findings(
    facts: Facts, found: Sequence[Finding]
) -> Generator[Command, Any, None]:
    """Before a run's first reboot: the console and the power switch are tried, not trusted, and
    what failed, of them or of ``found``, needs a person's word, which ``--yes`` does not give.
    """
    if facts.force or any(facts.earlier(name) for name in ("reboot", "boot", "shutdown")):
        return
    lines = list(found)
    if facts.console:
        lines.append((yield from console_line(facts)))
    if facts.power:
        lines.append((yield from power_line(facts)))
    failed = [f"{line.subject}: {line.detail}" for line in lines if line.state == "failed"]
    if failed:
        yield Ask(
            "manual",
            f"Before {facts.host} goes down: {'; '.join(failed)}. Say done to go on all the same.",
        )


def console_line(facts: Facts) -> Generator[Command, Any, Finding]:
    """Whether the console can be attached and says or shows anything."""
    if not facts.console:
        return Finding("console", "not known", "the inventory names none")
    screen: Screen | Offline = yield Probe(
        *console_screen.look(LISTENED, r"(?s)."), via="console", offline=True
    )
    if isinstance(screen, Offline):
        none = screen.why == "no-console"
        return Finding("console", "not known" if none else "failed", "it cannot be attached")
    if not screen.heard and not screen.line:
        return Finding("console", "not known", "attached, but it says nothing and shows no prompt")
    return Finding(
        "console", "ok", ConsoleView(screen.state).words.removeprefix("the console shows ")
    )


def power_line(facts: Facts) -> Generator[Command, Any, Finding]:
    """Whether the power switch answers."""
    if not facts.power:
        return Finding("power switch", "not known", "the inventory names none")
    status: str | Offline = yield Probe(*power_state.STATUS, via="power", offline=True)
    if isinstance(status, Offline):
        none = status.why == "no-power"
        return Finding("power switch", "not known" if none else "failed", "it cannot be reached")
    if status == "unknown":
        return Finding("power switch", "not known", "it does not say whether the power is on")
    right = status == "on"
    detail = "on" if right else "it says off, of a host that answers: another machine's?"
    return Finding("power switch", "ok" if right else "failed", detail)


def _clock() -> Generator[Command, Any, Finding]:
    clock: HostClock = yield Probe(*CLOCK)
    off = f"{format_duration(round(abs(clock.skew)))} {'ahead' if clock.skew > 0 else 'behind'}"
    if abs(clock.skew) > CLOCK_OFF:
        return Finding("clock", "failed", off)
    return Finding("clock", "ok", off if abs(clock.skew) >= 1 else "")


def _backup(path: str) -> Generator[Command, Any, Finding]:
    """How old that file is; the inventory's ``vars: {backup_stamp: …}`` names it."""
    if not path:
        return Finding("backup", "not known", "no `backup_stamp` in the host's vars")
    try:
        written = yield Probe(*Reading(("stat", "-L", "-c", "%Y", "--", path), "integer"))
    except ProbeFailed:
        return Finding("backup", "failed", "the file that tells its age is not there")
    now: int = yield Probe(*EPOCH)
    age = max(0, now - int(written))
    old = f"{format_duration(age)} old"
    return Finding("backup", "failed" if age > BACKUP_OLD else "ok", re.sub(r"\s+", " ", old))
