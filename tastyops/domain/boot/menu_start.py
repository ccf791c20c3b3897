"""A start through the boot menu: which entry, what comes up, and the way back to normal."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

from tastyops.domain.boot.boot_menu import Entry, press, start_entry
from tastyops.domain.boot.next_start import starting
from tastyops.domain.boot.out_of_band import read_console
from tastyops.domain.boot.proof import Choose
from tastyops.domain.boot.single_user import command, log_out, reach_shell
from tastyops.domain.boot.verify import started
from tastyops.domain.boot.waiting import StuckConsole
from tastyops.errors import Failed, Refused
from tastyops.facts.system import BOOT_ID, KERNEL, SYSTEM_STATE, Kernel
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Command, Offline, Output, Probe, Report, Sleep, Unknown

POLL = 2.0

LOGGED_OUT = 60.0
"""Seconds in which a login prompt comes back after the shell was left."""

START_SSH = "systemctl start networking ssh systemd-user-sessions"
"""The last of the three removes /run/nologin, so that others than root may log in too."""


def previous(running: str) -> Generator[Command, Any, str]:
    """The kernel to fall back on from the one that runs. Raises Refused."""
    found = yield from starting(running)
    other = found.fallback if found.fallback != running else ""
    if not other:
        raise Refused("the boot menu has no other kernel than the running one")
    return other


def chooser(release: str, patience: float) -> Choose:
    """For a host that is not back: picks ``release`` at the menu."""

    def choose(*_: Any) -> Generator[Command, Any, None]:
        yield from start_entry(Entry(release), patience)

    return choose


def arrive_in_mode(
    mode: str, old: str, *, ssh: bool, patience: float, facts: Facts
) -> Generator[Command, Any, dict[str, Any]]:
    """Waits until the machine has come up in that mode, and says how. Raises Failed."""
    told: dict[str, Any] = {"mode": mode, "kernel": None, "reached": "up", "restarted": True}
    if mode != "normal":
        told["reached"] = found = yield from reach_shell(patience)
        try:
            release = yield from _at_the_shell(mode, found, ssh=ssh, told=told)
            if mode == "emergency" or not ssh:
                return told | {"kernel": release}
            yield from _host(old, patience, facts)
        except Failed:
            yield from _log_out()
            raise
    else:
        yield from _host(old, patience, facts)
    kernel: Kernel = yield Probe(*KERNEL)
    if mode == "normal":
        state = yield from started(patience)
        if state not in ("running", "degraded"):
            raise Failed(f"the system is {state}", told)
    return told | {"kernel": kernel.release}


def _at_the_shell(
    mode: str, found: str, *, ssh: bool, told: dict[str, Any]
) -> Generator[Command, Any, str | None]:
    """At root's shell on the console: the kernel, or in single-user mode the start of sshd."""
    wanted = "rescue" if mode == "single-user" else "emergency"
    if found not in (wanted, "maintenance", "shell"):
        raise Failed(f"the host came up in {found} mode, not in {mode} mode", told)
    if mode == "emergency" or not ssh:
        status, said = yield from command("uname -r", 60)
        release = re.search(r"^\d[\w.+~-]+$", said, re.MULTILINE)
        return release[0] if release and not status else None
    status, _ = yield from command(START_SSH, 120)
    if status:
        raise Failed("the network or sshd did not start in single-user mode", told)
    return None


def _log_out() -> Generator[Command, Any, None]:
    """Nobody finds root's shell open on the console of a host that was given up."""
    try:
        yield from log_out(LOGGED_OUT)
    except Failed as failed:
        yield Report(note=failed.why)


def _host(old: str, patience: float, facts: Facts) -> Generator[Command, Any, None]:
    """Waits for another boot id over SSH."""
    first: float | None = None
    stuck = StuckConsole()
    while True:
        answer: Output | Offline = yield Probe(BOOT_ID.argv, "output", offline=True)
        first = answer.at if first is None else first
        if isinstance(answer, Output) and answer.ok and answer.text.strip() != old:
            return
        if answer.at - first > patience:
            raise Failed("the host does not answer over SSH", {"reached": "not-back"})
        sight = yield from read_console(facts)
        dead = sight is not None and sight.state in ("panic", "initramfs", "grub-rescue")
        if sight is not None and (dead or stuck.too_long(sight, answer.at)):
            raise Failed(f"the host does not come up: {sight.words}", {"reached": "not-back"})
        yield Sleep(POLL, "the host to answer")


def leave_single_user(
    answer: Output | Offline, patience: float, facts: Facts
) -> Generator[Command, Any, dict[str, Any]]:
    """From single-user or emergency mode on to the default target, without another boot."""
    if isinstance(answer, Offline):
        # It ends the very shell it is typed at, so there is no status to be had: the host tells.
        yield from press(b"systemctl --no-block default\r")
    else:
        asked: Output | Unknown = yield Change(("systemctl", "--no-block", "default"), sudo=True)
        if isinstance(asked, Output) and not asked.ok:
            raise Failed("systemd did not take the order to go on to the default target")
    yield from _host("", patience, facts)
    state = str((yield Probe(*SYSTEM_STATE)))
    waited = 0.0
    while state in ("maintenance", "starting", "initializing") and waited < patience:
        yield Sleep(POLL, "the system to leave single-user mode")
        waited += POLL
        state = str((yield Probe(*SYSTEM_STATE)))
    if state not in ("running", "degraded"):
        raise Failed(f"the system is {state}")
    kernel: Kernel = yield Probe(*KERNEL)
    return {
        "mode": "normal", "kernel": kernel.release, "previous": None, "reached": "up",
        "restarted": False,
    }  # fmt: skip
