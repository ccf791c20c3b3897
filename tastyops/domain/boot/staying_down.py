"""A host that is to stay down: from the moment set until it certainly is."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from tastyops.domain.boot.out_of_band import power_status
from tastyops.domain.boot.waiting import LATE, POLL
from tastyops.errors import Failed
from tastyops.facts.system import BOOT_ID, is_boot_id
from tastyops.model.action import Facts
from tastyops.model.commands import Command, Offline, Output, Probe, Report, Sleep

QUIET = 60.0
"""Seconds without any answer after which a host without a power switch is taken to be down."""


def down(old: str, kind: str, patience: float, facts: Facts) -> Generator[Command, Any, str]:
    """Waits until it is down; gives ``off`` where its power says so, else ``down``.

    Raises Failed for a host that goes on running, comes back, or keeps its power on.
    """
    switch = facts.power and kind == "poweroff"
    first = gone_at = -1.0
    while True:
        answer: Output | Offline = yield Probe(BOOT_ID.argv, "output", offline=True)
        first = answer.at if first < 0 else first
        if isinstance(answer, Offline) and answer.why != "nologin":
            if gone_at < 0:
                gone_at = answer.at
                yield Report(note="the host is down")
            status = (yield from power_status(facts)) if switch else ""
            if status == "off":
                return "off"
            if not switch and answer.at - gone_at > QUIET:
                return _gone(facts)
            if answer.at - gone_at > patience:
                raise Failed(_still_on(status), {"reached": "down"})
        else:
            gone_at = -1.0
            _came_back(answer, old)
            if answer.at - first > LATE:
                raise Failed("the host did not go down: it still answers", {"reached": "asked"})
        yield Sleep(POLL, "the host to stay down" if gone_at >= 0 else "the host to go down")


def _gone(facts: Facts) -> str:
    if facts.silent:
        raise Failed(
            "whether the host is down cannot be seen: it did not answer over its network before",
            {"reached": "asked"},
        )
    return "down"


def _still_on(status: str) -> str:
    if status == "on":
        return "the host does not answer any more, but its power is still on"
    return "the host does not answer any more, but its power switch does not say that it is off"


def _came_back(answer: Output | Offline, old: str) -> None:
    text = answer.text.strip() if isinstance(answer, Output) else ""
    if is_boot_id(text) and text != old:
        raise Failed("the host did not stay down: it has been started again", {"reached": "up"})
