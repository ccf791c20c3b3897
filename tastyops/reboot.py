"""The reboot, as generators an action delegates to: snapshot, guard, schedule, wait, verify.

A reboot is proven, never assumed: the boot id must differ, the kernel must be the expected one,
and nothing may be worse than before. Scheduling goes through logind with an absolute time, never
``shutdown +N``, which reboots *immediately* when logind does not answer (shutdown(8)).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tastyops.commands import Change, Command, Offline, Output, Probe, Report, Sleep, Unknown
from tastyops.errors import Failed, Refused
from tastyops.model.action import Facts
from tastyops.model.text import PublicText
from tastyops.probes.boot import BOOT_MENU, BootMenu
from tastyops.probes.system import (
    BOOT_ID,
    EPOCH,
    FAILED_UNITS,
    HOSTNAME,
    KERNEL,
    SCHEDULED,
    SYSTEM_STATE,
    Kernel,
    Scheduled,
    logind_call,
)
from tastyops.window import format_duration

POLL = 2.0
"""Seconds between two tries to reach a host that is rebooting."""

STARTING_POLL = 5.0
"""Seconds between two looks at a system that is still starting."""

LATE = 120.0
"""Seconds after the time set by which a host that is still up with its old boot id did not go."""

TOLERANCE = 60.0
"""Seconds by which the time read back from logind may differ from the one asked for."""


@dataclass(frozen=True, slots=True)
class Before:
    """What the host was like before it went down."""

    boot_id: str
    kernel: Kernel
    hostname: str
    failed: tuple[str, ...]


def snapshot() -> Generator[Command, Any, Before]:
    """Takes note of what must not be worse afterwards."""
    return Before(
        boot_id=(yield Probe(*BOOT_ID)),
        kernel=(yield Probe(*KERNEL)),
        hostname=(yield Probe(*HOSTNAME)),
        failed=(yield Probe(*FAILED_UNITS)),
    )


def guard(before: Before, facts: Facts, *, fallback: bool) -> Generator[Command, Any, None]:
    """Refuses what would hurt: the wrong machine, our own, a reboot already set, no fallback.

    ``force:`` overrules the machine's name and the fallback, never the other two.
    """
    if before.boot_id == facts.controller:
        raise Refused("that is the machine tastyops itself runs on")
    _guard_name(before.hostname, facts)
    already: Scheduled | None = yield Probe(*SCHEDULED)
    if already is not None:
        raise Refused(f"a {already.type} is already scheduled there by somebody else")
    if fallback and not facts.force:
        menu: BootMenu = yield Probe(*BOOT_MENU, sudo=True)
        if menu.starting(before.kernel.release) is None:
            raise Refused("the boot menu has no entry for the running kernel to fall back on")


def _guard_name(hostname: str, facts: Facts) -> None:
    """The host's own name against the inventory's: what molly-guard asks, answered beforehand."""
    if facts.force:
        return
    known = {facts.host, facts.address, str(facts.names.get("hostname", ""))}
    if hostname.partition(".")[0] not in {name.partition(".")[0] for name in known if name}:
        raise Refused(
            f"the host calls itself {hostname}, the inventory calls it {facts.host}"
            " (if that is right, give the host `vars: {hostname: …}`)"
        )


def schedule(grace: float, message: str) -> Generator[Command, Any, float]:
    """Has logind reboot at host time + ``grace`` seconds, with wall; returns when, by its clock."""
    now: int = yield Probe(*EPOCH)
    due = now + grace
    spoken = yield Change(logind_call("SetWallMessage", "sb", message, "true"), sudo=True)
    asked = yield Change(
        logind_call("ScheduleShutdown", "st", "reboot", str(round(due * 1_000_000))),
        sudo=True,
        settle=Probe(*SCHEDULED),
    )
    _need(spoken, "logind did not take the wall message")
    _need(asked, "logind did not take the reboot")
    found: Scheduled | Offline | None = yield Probe(*SCHEDULED, offline=grace < TOLERANCE)
    if isinstance(found, Offline):
        return due
    if found is None or found.type != "reboot" or abs(found.at - due) > TOLERANCE:
        raise Failed("logind does not show the reboot that was asked for")
    yield Report(entry=PublicText.fixed(f"Reboot triggered with {spoken_grace(grace)} grace."))
    return due


def spoken_grace(seconds: float) -> str:
    """``1-minute``, ``90-second``: how a log speaks of a grace period."""
    whole, rest = divmod(seconds, 60)
    return f"{whole:g}-minute" if whole and not rest else f"{seconds:g}-second"


def _need(output: Output | Unknown, why: str) -> None:
    if not isinstance(output, Unknown) and not output.ok:
        raise Failed(why, {"status": output.status})


def grace(due: float) -> Generator[Command, Any, None]:
    """Waits for the time set; the link stays open, since logins may be refused by then."""
    now: int | Offline = yield Probe(*EPOCH, offline=True)
    if not isinstance(now, Offline) and due > now:
        yield Sleep(due - now, "the grace period to end")
    yield Report(note="the host is to go down now")


def unschedule() -> Generator[Command, Any, None]:
    """Takes back the reboot that was scheduled, when a person cancels the run during its grace."""
    found: Scheduled | Offline | None = yield Probe(*SCHEDULED, offline=True)
    if isinstance(found, Scheduled) and found.type == "reboot":
        taken = yield Change(logind_call("CancelScheduledShutdown"), sudo=True)
        _need(taken, "the scheduled reboot could not be taken back: it will happen")
        yield Report(entry=PublicText.fixed("Scheduled reboot cancelled."))


def wait(before: Before, patience: float) -> Generator[Command, Any, float]:
    """Waits for another boot id; gives the seconds the host was away. Raises Failed if not back."""
    gone_at: float | None = None
    first: float | None = None
    while True:
        answer: Output | Offline = yield Probe(BOOT_ID.argv, "output", offline=True)
        first = answer.at if first is None else first
        if isinstance(answer, Offline):
            if gone_at is None:
                gone_at = answer.at
                yield Report(note="the host is down")
            if answer.at - gone_at > patience:
                raise Failed(f"the host is not back after {format_duration(patience)}")
        elif answer.text.strip() != before.boot_id:
            return answer.at - (first if gone_at is None else gone_at)
        elif answer.at - first > LATE:
            raise Failed("the host did not go down: it still has its old boot id")
        yield Sleep(POLL, "the host to come back" if gone_at else "the host to go down")


def verify(
    before: Before, kernel: str | None, patience: float, down: float
) -> Generator[Command, Any, dict[str, Any]]:
    """Checks what came back: its kernel, that it finished starting, that nothing new failed."""
    running: Kernel = yield Probe(*KERNEL)
    registered: dict[str, Any] = {
        "kernel": running.release,
        "previous": before.kernel.release,
        "down": round(down),
        "failed_before": list(before.failed),
    }
    if kernel and running.release != kernel:
        raise Failed(f"it came back with kernel {running.release}, not {kernel}", registered)
    state = yield from started(patience)
    failed: tuple[str, ...] = yield Probe(*FAILED_UNITS)
    fresh = sorted(set(failed) - set(before.failed))
    registered |= {"state": state, "failed": fresh}
    if fresh:
        raise Failed(f"worse than before: {', '.join(fresh)} failed", registered)
    return registered


def started(patience: float) -> Generator[Command, Any, str]:
    """Waits until systemd has finished starting, at most ``patience`` seconds; gives its state."""
    waited = 0.0
    state = str((yield Probe(*SYSTEM_STATE)))
    while state in ("initializing", "starting") and waited < patience:
        yield Report(note="the system is still starting")
        yield Sleep(STARTING_POLL, "the system to finish starting")
        waited += STARTING_POLL
        state = str((yield Probe(*SYSTEM_STATE)))
    return state
