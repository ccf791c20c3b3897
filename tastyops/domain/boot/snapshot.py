"""What a host is like before it goes down, so that it can be compared afterwards."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tastyops.domain.boot.health import Health, health
from tastyops.facts.system import BOOT_ID, HOSTNAME, KERNEL, Kernel
from tastyops.model.commands import Command, Probe


@dataclass(frozen=True, slots=True)
class BootSnapshot:
    """What the host was like before it went down."""

    boot_id: str
    kernel: Kernel
    hostname: str
    health: Health


def snapshot() -> Generator[Command, Any, BootSnapshot]:
    """Takes note of what must not be worse afterwards."""
    return BootSnapshot(
        boot_id=(yield Probe(*BOOT_ID)),
        kernel=(yield Probe(*KERNEL)),
        hostname=(yield Probe(*HOSTNAME)),
        health=(yield from health()),
    )
