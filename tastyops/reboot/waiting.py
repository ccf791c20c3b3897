"""From the moment a host is to go down until it answers with another boot id."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from tastyops.commands import Command, Offline, Output, Probe, Report, Sleep
from tastyops.errors import Failed
from tastyops.probes.system import BOOT_ID
from tastyops.reboot.snapshot import Before
from tastyops.window import format_duration

POLL = 2.0
"""Seconds between two tries to reach a host that is rebooting."""

LATE = 120.0
"""Seconds after the time set by which a host that is still up with its old boot id did not go."""


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
