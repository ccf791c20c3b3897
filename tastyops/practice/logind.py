"""logind of the modelled machine: a shutdown scheduled at an absolute time, with its warnings."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from tastyops.practice.calls import Call, Commands
from tastyops.practice.clock import PracticeClock
from tastyops.practice.files import NotModelled
from tastyops.practice.users import Users

_MANAGER = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
_WARN_WITHIN = 15 * 60.0
"""logind warns at once when less than this is left."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """What is to happen (reboot, poweroff, halt) and when, in practice seconds."""

    type: str
    at: float


class Logind:
    """The manager object's schedule, spoken to through busctl(1)."""

    def __init__(self, clock: PracticeClock, users: Users, changed: Callable[[], object]) -> None:
        self._clock = clock
        self._users = users
        self._changed = changed
        self.scheduled: Shutdown | None = None
        self._message = ""
        self._warn = True

    def reset(self) -> None:
        """A new boot knows of no schedule."""
        self.scheduled = None
        self._message, self._warn = "", True

    def schedule(self, type: str, at: float) -> None:
        """Takes note of a shutdown and warns the users when it is near."""
        self.scheduled = Shutdown(type, max(at, self._clock.time()))
        if at - self._clock.time() < _WARN_WITHIN:
            self.warn(f"at {datetime.fromtimestamp(at, UTC):%a %Y-%m-%d %H:%M:%S} UTC")
        self._changed()

    def warn(self, when: str) -> None:
        """Tells every user, unless wall messages were switched off."""
        if self.scheduled and self._warn:
            notice = f"The practice system will {self.scheduled.type} {when}!"
            self._users.broadcast("\r\n".join(part for part in (self._message, notice) if part))

    def commands(self) -> Commands:
        """The programs."""
        return {"busctl": self._busctl}

    def _busctl(self, call: Call) -> int:
        options = [word for word in call.argv[1:] if word.startswith("--")]
        words = [word for word in call.argv[1:] if not word.startswith("--")]
        if set(options) - {"--json=short", "--no-pager", "--system"}:
            raise NotModelled(" ".join(("busctl", *options)))
        if len(words) < 5 or tuple(words[1:4]) != _MANAGER:
            raise NotModelled(f"{' '.join(call.argv)} (only logind's manager answers here)")
        as_json = "--json=short" in options
        if words[0] == "get-property":
            return self._property(call, words[4:], as_json)
        if words[0] == "call":
            return self._method(call, words[4], words[5:], as_json)
        raise NotModelled(f"busctl {words[0]}")

    def _property(self, call: Call, names: list[str], as_json: bool) -> int:
        if names != ["ScheduledShutdown"]:
            raise NotModelled(f"logind's {' '.join(names)}")
        found = self.scheduled
        kind, micros = (found.type, round(found.at * 1_000_000)) if found else ("", 0)
        short = json.dumps({"type": "(st)", "data": [kind, micros]}, separators=(",", ":"))
        call.say(short if as_json else f'(st) "{kind}" {micros}')
        return 0

    def _method(self, call: Call, method: str, words: list[str], as_json: bool) -> int:
        match method, words:
            case "SetWallMessage", ["sb", message, enabled]:
                self._message, self._warn = message, enabled in ("true", "yes", "1", "on")
            case "ScheduleShutdown", ["st", kind, micros] if micros.isdigit():
                if kind not in ("reboot", "poweroff", "halt"):
                    call.complain(f"Call failed: Unsupported shutdown type: {kind}")
                    return 1
                self.schedule(kind, int(micros) / 1_000_000)
            case "CancelScheduledShutdown", []:
                cancelled = self.scheduled is not None
                if cancelled:
                    self._users.broadcast("The practice system shutdown has been cancelled")
                self.scheduled = None
                self._changed()
                word = "true" if cancelled else "false"
                call.say(f'{{"type":"b","data":[{word}]}}' if as_json else f"b {word}")
            case _:
                raise NotModelled(f"logind's method {method} with {' '.join(words) or 'nothing'}")
        return 0
