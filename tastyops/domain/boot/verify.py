"""What came back: its kernel, that it finished starting, that nothing is worse than before."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from tastyops.domain.boot.health import Health, HostLost, ask, find_worsened, health
from tastyops.domain.boot.schedule import TOLERANCE
from tastyops.domain.boot.snapshot import BootSnapshot
from tastyops.domain.boot.waiting import HostBack
from tastyops.errors import Failed
from tastyops.facts.grub import image_build
from tastyops.facts.system import BOOT_ID, CLOCK, KERNEL, SYSTEM_STATE, HostClock, Kernel
from tastyops.model.commands import Command, Report, Sleep
from tastyops.model.duration import format_duration

STARTING_POLL = 5.0
"""Seconds between two looks at a system that is still starting."""

CLOCK_TRIES = 12
"""Looks, STARTING_POLL apart, at a clock that is off: time synchronisation may need its time."""


def verify(
    before: BootSnapshot, back: HostBack, kernel: str | None, patience: float
) -> Generator[Command, Any, dict[str, Any]]:
    """Checks what came back. Raises Failed; WentAway when it went down again meanwhile."""
    running: Kernel = yield from ask(KERNEL, after=True)
    told: dict[str, Any] = {
        "kernel": running.release,
        "previous": before.kernel.release,
        "down": round(back.down),
        **to_registered(before.health),
        "reached": "up",
    }
    if kernel and running.release != kernel:
        raise Failed(f"the host came back with kernel {running.release}, not {kernel}", told)
    built: str = yield from ask(image_build(running.release), after=True, sudo=True)
    if built and built != running.build:
        raise Failed(
            f"the host came back with another build of kernel {running.release} than /boot has:"
            f" {running.build}, not {built}",
            told,
        )
    told["state"] = state = yield from started(patience, after=True)
    if state not in ("running", "degraded"):
        raise Failed(f"the system is {state}", told)
    now = yield from health(after=True)
    told["failed"] = sorted(set(now.failed) - set(before.health.failed))
    found = find_worsened(before.health, now) + (yield from _clock())
    if found:
        raise Failed(f"worse than before: {'; '.join(found)}", told)
    if (yield from ask(BOOT_ID, after=True)) != back.boot_id:
        raise HostLost
    if not before.health.sound:
        yield Report(note=f"as before: {'; '.join(find_worsened(Health(), before.health))}")
    return told | {"reached": "verified"}


def to_registered(health: Health) -> dict[str, Any]:
    """What was amiss before, for ``services.verify`` and the author."""
    return {
        "failed_before": list(health.failed),
        "degraded_before": list(health.degraded),
        "unmounted_before": [*health.unmounted, *health.read_only],
    }


def _clock() -> Generator[Command, Any, list[str]]:
    """A clock that is off by more than a minute, and stays so: it was not before."""
    for _ in range(CLOCK_TRIES):
        clock: HostClock = yield from ask(CLOCK, after=True)
        if abs(clock.skew) <= TOLERANCE:
            return []
        yield Sleep(STARTING_POLL, "the host's clock to be set")
    ahead = "ahead" if clock.skew > 0 else "behind"
    return [f"its clock is {format_duration(round(abs(clock.skew)))} {ahead}"]


def started(patience: float, *, after: bool = False) -> Generator[Command, Any, str]:
    """Waits until systemd has finished starting, at most ``patience`` seconds; gives its state."""
    waited = 0.0
    state = str((yield from ask(SYSTEM_STATE, after=after)))
    while state in ("initializing", "starting") and waited < patience:
        yield Report(note="the system is still starting")
        yield Sleep(STARTING_POLL, "the system to finish starting")
        waited += STARTING_POLL
        state = str((yield from ask(SYSTEM_STATE, after=after)))
    return state
