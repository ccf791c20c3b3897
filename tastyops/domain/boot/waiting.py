"""From the moment a host is to go down until it answers with another boot id, or does not.

The states are told as they are seen: going down, down, starting, up. ``docs/reboots.md`` has every
way it can go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal

from tastyops.domain.boot.out_of_band import ConsoleView, read_console
from tastyops.errors import Failed
from tastyops.facts.system import BOOT_ID, SCHEDULED, Scheduled, is_boot_id
from tastyops.model.action import Facts
from tastyops.model.commands import Command, Offline, Output, Probe, Report, Sleep
from tastyops.model.duration import format_duration

POLL = 2.0
"""Seconds between two tries to reach a host that is rebooting."""

LATE = 180.0
"""Seconds after the time set by which a host that still runs its old boot did not go down.

systemd gives a service 90 s to stop (TimeoutStopSec, systemd-system.conf(5)).
"""

STUCK = 60.0
"""Seconds a console must show the same dead end; ``panic=30`` restarts by itself before that."""

MOST_BOOTS = 3
"""Boots one after another that are not yet a boot loop."""

State = Literal["asked", "going-down", "down", "starting", "up"]

_NOTES: dict[State, str] = {
    "going-down": "the host is going down",
    "down": "the host is down",
    "starting": "the host is starting: it takes no logins yet",
    "up": "the host is up",
}


@dataclass(frozen=True, slots=True)
class HostBack:
    """The host answers with another boot id, after ``down`` seconds."""

    boot_id: str
    down: float


@dataclass
class HostNotBack(Exception):
    """It went down and does not answer; ``restarts``: how often it restarted, in a boot loop."""

    why: str
    sight: ConsoleView | None
    restarts: int = 0


@dataclass
class _Waiting:
    """What was seen so far; times are those of the answers."""

    state: State = "asked"
    first: float | None = None
    gone_at: float | None = None
    refused: str = ""
    """How it answered when it did not let us in."""
    cut: bool = False
    """Whether only the link was lost: it came back with its old boot id."""

    def see(self, answer: Output | Offline, old: str) -> State:
        """Takes an answer in and gives the state it stands for."""
        self.first = answer.at if self.first is None else self.first
        if isinstance(answer, Offline):
            self.refused = answer.why
            if answer.why == "nologin" and self.gone_at is None:
                return "going-down"
            self.gone_at = answer.at if self.gone_at is None else self.gone_at
            return "starting" if answer.why == "nologin" else "down"
        boot_id = answer.text.strip()
        if boot_id == old:
            self.cut = self.cut or self.gone_at is not None
            self.gone_at = None
            return "going-down"
        return "up" if answer.ok and is_boot_id(boot_id) else "starting"


def wait(old: str, patience: float, facts: Facts) -> Generator[Command, Any, HostBack]:
    """Waits for a boot id other than ``old``. Raises NotBack; Failed for one that never went."""
    course, stuck, starts = _Waiting(), StuckConsole(), Counter[str]()
    while True:
        answer: Output | Offline = yield Probe(BOOT_ID.argv, "output", offline=True)
        state = course.see(answer, old)
        if state != course.state:
            course.state = state
            yield Report(note=_NOTES[state])
        if state == "up" and isinstance(answer, Output):
            since = course.gone_at if course.gone_at is not None else course.first
            return HostBack(answer.text.strip(), answer.at - (since or answer.at))
        if course.gone_at is None and answer.at - (course.first or 0.0) > LATE:
            raise Failed((yield from _never_went(course)), {"reached": course.state})
        if course.gone_at is not None:
            sight = yield from read_console(facts)
            starts.update(sight.starts if sight is not None else ())
            away, boots = answer.at - course.gone_at, max(starts.values(), default=0)
            if boots > MOST_BOOTS:
                raise HostNotBack("a boot loop", sight, boots - 1)
            if away > patience or stuck.too_long(sight, answer.at):
                raise HostNotBack(_away(course, away), sight)
        yield Sleep(POLL, "the host to come back" if course.gone_at else "the host to go down")


@dataclass
class StuckConsole:
    """Whether the console has long shown what no machine gets out of by itself."""

    shown: str = ""
    since: float = 0.0

    def too_long(self, sight: ConsoleView | None, at: float) -> bool:
        """Takes in what is seen at that moment."""
        shown = sight.state if sight is not None and sight.dead_end else ""
        if shown != self.shown:
            self.shown, self.since = shown, at
        return bool(shown) and at - self.since > STUCK


def _never_went(course: _Waiting) -> Generator[Command, Any, str]:
    """Why a host that should have gone down still runs."""
    what = "the link was cut, but the host" if course.cut else "the host"
    said = f"{what} did not go down: it still has its old boot id"
    if course.refused == "nologin":
        return "the host did not go down: it takes no logins (nologin), but goes on running"
    found: Scheduled | Offline | None = yield Probe(*SCHEDULED, offline=True)
    if found is None:
        return f"{said}, and nothing is scheduled there any more"
    return said


def _away(course: _Waiting, away: float) -> str:
    said = {
        "nologin": "it answers, but takes no logins (nologin)",
        "authentication-failed": "it answers, but accepts none of our keys",
        "host-key-unknown": "it answers with a host key that is not known",
        "host-unsuitable": "it answers, but no session can be had",
    }.get(course.refused, "")
    why = f"the host is not back after {format_duration(round(away))}"
    return f"{why}: {said}" if said else why
