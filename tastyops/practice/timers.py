"""Transient timers of the modelled machine's systemd: each writes to the users once (wall)."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass

from tastyops.practice.calls import Call, Commands
from tastyops.practice.clock import PracticeClock
from tastyops.practice.files import NotModelled
from tastyops.practice.users import Users


@dataclass(frozen=True, slots=True)
class Timer:
    """A message that goes out at a time, in practice seconds."""

    name: str
    at: float
    message: str


class Timers:
    """What ``systemd-run --on-calendar`` made and what is still to come of it."""

    def __init__(self, clock: PracticeClock, users: Users) -> None:
        self._clock = clock
        self._users = users
        self._timers: dict[str, Timer] = {}

    def next_due(self) -> float | None:
        """When the next one goes off."""
        return min((timer.at for timer in self._timers.values()), default=None)

    def go_off(self) -> None:
        """Sends every message whose time has come."""
        for timer in sorted(self._timers.values(), key=lambda timer: timer.at):
            if timer.at <= self._clock.time():
                del self._timers[timer.name]
                self._users.broadcast(timer.message)

    def stop(self, pattern: str) -> None:
        """Drops those whose names fit."""
        for name in fnmatch.filter(list(self._timers), pattern):
            del self._timers[name]

    def reset(self) -> None:
        """A new boot knows of none."""
        self._timers.clear()

    def commands(self) -> Commands:
        """The programs."""
        return {"systemd-run": self._run}

    def _run(self, call: Call) -> int:
        words = list(call.argv[1:])
        options = [word for word in words if word.startswith("--") and word != "--"]
        named = dict(word.partition("=")[::2] for word in options)
        known = {"--quiet", "--collect", "--unit", "--on-calendar", "--timer-property"}
        due = re.fullmatch(r"@(\d+)", named.get("--on-calendar", ""))
        command = words[len(options) :]
        if set(named) - known or due is None or command[:2] != ["wall", "--"]:
            raise NotModelled(" ".join(call.argv))
        name = f"{named['--unit']}.timer"
        if name in self._timers:
            call.complain(f"Failed to start transient timer unit: Unit {name} already exists.")
            return 1
        self._timers[name] = Timer(name, float(due[1]), command[2].replace("$$", "$"))
        return 0
