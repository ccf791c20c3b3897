"""A shutdown through logind, at an absolute time: asked for, read back, taken back."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from tastyops.commands import Change, Command, Offline, Output, Probe, Report, Sleep, Unknown
from tastyops.errors import Failed
from tastyops.model.text import PublicText
from tastyops.probes.system import EPOCH, SCHEDULED, Scheduled, logind_call

TOLERANCE = 60.0
"""Seconds by which the time read back from logind may differ from the one asked for."""


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
