"""What came back: its kernel, that it finished starting, that nothing is worse than before."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from tastyops.commands import Command, Probe, Report, Sleep
from tastyops.errors import Failed
from tastyops.probes.system import FAILED_UNITS, KERNEL, SYSTEM_STATE, Kernel
from tastyops.reboot.snapshot import Before

STARTING_POLL = 5.0
"""Seconds between two looks at a system that is still starting."""


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
