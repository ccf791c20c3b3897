"""systemd of the modelled machine: units, transient timers, logind and journald.

``Systemd`` holds the parts; each part has its programs (systemctl, systemd-run, busctl,
journalctl).
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from tastyops.practice.calls import Call, Commands
from tastyops.practice.clock import PracticeClock
from tastyops.practice.files import NotModelled
from tastyops.practice.processes import Processes
from tastyops.practice.users import Users

_MANAGER = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
_WARN_WITHIN = 15 * 60.0
"""Seconds before a shutdown within which logind warns at once."""

_KERNEL_LOG = ("--dmesg", "--boot", "--output=json", "--no-pager")
_FORCED = ("rescue.service", "emergency.service")
"""Services that open a root shell although root's password is locked on kalimdor."""


@dataclass
class Unit:
    """A unit: name, aliases, description and present state.

    ``broken``: every start fails. ``breaks``: every start fails from the next boot on.
    """

    name: str
    description: str
    aliases: tuple[str, ...] = ()
    enabled: bool = True
    active: str = "active"
    pid: int = 0
    broken: bool = False
    breaks: bool = False

    @property
    def sub(self) -> str:
        """The sub-state, as systemd names it."""
        return {"active": "running", "inactive": "dead", "activating": "start"}.get(
            self.active, self.active
        )


class Units:
    """The unit table; ``starting`` tells whether a boot is going on."""

    def __init__(
        self, units: Iterable[Unit], processes: Processes, starting: Callable[[], bool],
        stop_timers: Callable[[str], None] = lambda pattern: None,
    ) -> None:
        self._units = {unit.name: unit for unit in units}
        self._aliases = {a: unit.name for unit in self._units.values() for a in unit.aliases}
        self._processes = processes
        self._starting = starting
        self._stop_timers = stop_timers
        self.mode = ""
        """``rescue`` or ``emergency`` while the machine is in that mode."""
        self.on_default: Callable[[], None] = lambda: None
        """Called for ``systemctl default`` in such a mode."""
        self._start_all()

    def boot(self, mode: str = "") -> None:
        """Resets every unit as a boot does, and starts the enabled ones unless ``mode`` is set."""
        self.mode = mode
        for unit in self._units.values():
            unit.broken = unit.broken or unit.breaks
            if mode:
                unit.active, unit.pid = "inactive", 0
        if not mode:
            self._start_all()

    def runs(self, name: str) -> bool:
        """Whether a unit is active."""
        unit = self.find(name)
        return unit is not None and self.active(unit) == "active"

    def _start_all(self) -> None:
        for unit in self._units.values():
            if unit.enabled:
                self._start(unit)

    def failed(self) -> list[Unit]:
        """The failed units; none while the machine is starting."""
        if self._starting():
            return []
        return [unit for unit in self._units.values() if unit.active == "failed"]

    def state(self) -> str:
        """System state, as ``systemctl is-system-running`` prints it."""
        if self._starting():
            return "starting"
        if self.mode:
            return "maintenance"
        return "degraded" if self.failed() else "running"

    def find(self, name: str) -> Unit | None:
        """A unit by name or alias; ``.service`` may be left out."""
        name = name if "." in name else f"{name}.service"
        return self._units.get(self._aliases.get(name, name))

    def active(self, unit: Unit) -> str:
        """Present state of a unit; while the machine starts all services but ssh are activating."""
        starting = self._starting() and unit.enabled and unit.name != "ssh.service"
        return "activating" if starting else unit.active

    def _start(self, unit: Unit) -> bool:
        process = self._processes.begin(unit.name.partition(".")[0], leader=True)
        self._processes.end(process)
        unit.pid = process.pid
        unit.active = "failed" if unit.broken else "active"
        return not unit.broken

    # -- systemctl ---------------------------------------------------------------------------

    def commands(self) -> Commands:
        """The programs by name."""
        return {"systemctl": self._systemctl}

    def _systemctl(self, call: Call) -> int:
        words = [word for word in call.argv[1:] if not word.startswith("-")]
        options = {word for word in call.argv[1:] if word.startswith("-")} - {"--no-pager", "--"}
        verb, names = (words[0], words[1:]) if words else ("", [])
        match verb:
            case "list-units":
                return self._list(call, options, names)
            case "is-system-running" if not options and not names:
                call.say(self.state())
                return 0 if self.state() == "running" else 1
            case "show" if names:
                return self._show(call, options, names)
            case "is-active" | "is-failed" | "is-enabled" if names and options <= {"--quiet"}:
                return self._is(call, verb, names, "--quiet" in options)
            case "start" | "stop" | "restart" | "reload" if names and not options:
                return max(self._act(call, verb, name) for name in names)
            case "reset-failed" if names and not options:
                return max(self._reset(call, name) for name in names)
            case "default" if not names and options <= {"--no-block"}:
                if not self.mode:
                    raise NotModelled("systemctl default but in rescue or emergency mode")
                self.on_default()
                return 0
            case "status" if names and not options:
                return max(self._status(call, name) for name in names)
        raise NotModelled(" ".join(call.argv))

    def _list(self, call: Call, options: set[str], names: list[str]) -> int:
        known = {"--state=failed", "--failed", "--output=json", "--no-legend", "--plain", "--all"}
        if names or options - known:
            raise NotModelled(" ".join(call.argv))
        only_failed = options & {"--state=failed", "--failed"}
        units = self.failed() if only_failed else list(self._units.values())
        rows = [(u.name, "loaded", self.active(u), u.sub, u.description) for u in units]
        if "--output=json" in options:
            keys = ("unit", "load", "active", "sub", "description")
            table = [dict(zip(keys, row, strict=True)) for row in rows]
            call.say(json.dumps(table, separators=(",", ":")))
            return 0
        for row in rows:
            call.say(f"{row[0]:<28} {row[1]:<6} {row[2]:<10} {row[3]:<8} {row[4]}")
        return 0

    def _show(self, call: Call, options: set[str], names: list[str]) -> int:
        chosen = [word.partition("=")[2] for word in options if word.startswith("--property=")]
        wanted = [name for word in chosen for name in word.split(",")]
        if not wanted or len(chosen) != len(options):
            raise NotModelled(f"{' '.join(call.argv)} (give --property=…)")
        paragraphs = []
        for name in names:
            unit = self.find(name)
            if wanted == ["Environment"] and name in _FORCED:
                paragraphs.append("Environment=SYSTEMD_SULOGIN_FORCE=1\n")
                continue
            fields = _properties(unit, self.active(unit)) if unit else _absent(name)
            if set(wanted) - set(fields):
                raise NotModelled(f"systemctl show --property={','.join(wanted)}")
            lines = [f"{key}={value}" for key, value in fields.items() if key in wanted]
            paragraphs.append("\n".join(lines) + "\n")
        call.say("\n".join(paragraphs), end="")
        return 0

    def _is(self, call: Call, verb: str, names: list[str], quiet: bool) -> int:
        states = []
        for name in names:
            unit = self.find(name)
            if verb == "is-enabled":
                state = "enabled" if unit and unit.enabled else "disabled"
            elif name in ("rescue.target", "emergency.target"):
                state = "active" if name == f"{self.mode}.target" else "inactive"
            else:
                state = self.active(unit) if unit else "inactive"
            states.append(state)
            if not quiet:
                call.say(state)
        wanted = {"is-active": "active", "is-failed": "failed", "is-enabled": "enabled"}[verb]
        refused = 3 if verb == "is-active" else 1
        return 0 if wanted in states else refused

    def _act(self, call: Call, verb: str, name: str) -> int:
        if verb == "stop" and name.endswith(".timer"):
            self._stop_timers(name)
            return 0
        unit = self.find(name)
        if unit is None:
            full = name if "." in name else f"{name}.service"
            known = "loaded" if verb == "stop" else "found"
            call.complain(f"Failed to {verb} {full}: Unit {full} not {known}.")
            return 5
        self._processes.sleep(call.process, 1.0)
        if verb == "stop":
            unit.active, unit.pid = "inactive", 0
            return 0
        if verb == "reload" or (verb == "start" and unit.active == "active") or self._start(unit):
            return 0
        call.complain(
            f"Job for {unit.name} failed because the control process exited with error code.\n"
            f'See "systemctl status {unit.name}" and "journalctl -xeu {unit.name}" for details.'
        )
        return 1

    def _reset(self, call: Call, name: str) -> int:
        unit = self.find(name)
        if unit is None:
            full = name if "." in name else f"{name}.service"
            call.complain(f"Failed to reset failed state of unit {full}: Unit {full} not loaded.")
            return 1
        if unit.active == "failed":
            unit.active = "inactive"
        return 0

    def _status(self, call: Call, name: str) -> int:
        unit = self.find(name)
        if unit is None:
            call.complain(f"Unit {name if '.' in name else f'{name}.service'} could not be found.")
            return 4
        state = self.active(unit)
        call.say(f"● {unit.name} - {unit.description}")
        call.say(f"     Loaded: loaded (/lib/systemd/system/{unit.name}; enabled)")
        call.say(f"     Active: {state} ({unit.sub})")
        if unit.pid and state == "active":
            call.say(f"   Main PID: {unit.pid}")
        return 0 if state in ("active", "activating") else 3


@dataclass(frozen=True, slots=True)
class Timer:
    """A message for the users, and when to send it, in practice seconds since the epoch."""

    name: str
    at: float
    message: str


class Timers:
    """Timers made by ``systemd-run --on-calendar`` that have not elapsed."""

    def __init__(self, clock: PracticeClock, users: Users) -> None:
        self._clock = clock
        self._users = users
        self._timers: dict[str, Timer] = {}

    def next_due(self) -> float | None:
        """When the next timer elapses; None without a timer."""
        return min((timer.at for timer in self._timers.values()), default=None)

    def go_off(self) -> None:
        """Sends the message of every timer that has elapsed."""
        for timer in sorted(self._timers.values(), key=lambda timer: timer.at):
            if timer.at <= self._clock.time():
                del self._timers[timer.name]
                self._users.broadcast(timer.message)

    def stop(self, pattern: str) -> None:
        """Removes the timers whose names match a pattern."""
        for name in fnmatch.filter(list(self._timers), pattern):
            del self._timers[name]

    def reset(self) -> None:
        """Removes all timers, as a reboot does."""
        self._timers.clear()

    def commands(self) -> Commands:
        """The programs by name."""
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


@dataclass(frozen=True, slots=True)
class Shutdown:
    """A shutdown: its type (reboot, poweroff, halt) and when, in practice seconds."""

    type: str
    at: float


class Logind:
    """logind's scheduled shutdown, reached through busctl(1)."""

    def __init__(self, clock: PracticeClock, users: Users, changed: Callable[[], object]) -> None:
        self._clock = clock
        self._users = users
        self._changed = changed
        self.scheduled: Shutdown | None = None
        self._message = ""
        self._warn = True

    def reset(self) -> None:
        """Forgets the scheduled shutdown, as a reboot does."""
        self.scheduled = None
        self._message, self._warn = "", True

    def schedule(self, type: str, at: float) -> None:
        """Schedules a shutdown, and warns the users where it is near."""
        self.scheduled = Shutdown(type, max(at, self._clock.time()))
        if at - self._clock.time() < _WARN_WITHIN:
            self.warn(f"at {datetime.fromtimestamp(at, UTC):%a %Y-%m-%d %H:%M:%S} UTC")
        self._changed()

    def warn(self, when: str) -> None:
        """Warns every user, unless wall messages are switched off."""
        if self.scheduled and self._warn:
            notice = f"The practice system will {self.scheduled.type} {when}!"
            self._users.broadcast("\r\n".join(part for part in (self._message, notice) if part))

    def commands(self) -> Commands:
        """The programs by name."""
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


class Systemd:
    """systemd's parts: units, timers and logind; ``starting`` tells whether a boot is going on."""

    def __init__(
        self,
        clock: PracticeClock,
        processes: Processes,
        users: Users,
        units: Iterable[Unit],
        starting: Callable[[], bool],
    ) -> None:
        self.timers = Timers(clock, users)
        self.logind = Logind(clock, users, processes.notify)
        self.units = Units(units, processes, starting, self.timers.stop)
        self.journal_in_var = True
        """Whether journald writes into /var; a boot makes it do so."""

    def boot(self, mode: str = "") -> None:
        """Starts the units anew; ``mode`` is rescue, emergency or empty for a normal start."""
        self.units.boot(mode)
        self.journal_in_var = True

    def shut_down(self) -> None:
        """Forgets what no boot keeps: timers and the scheduled shutdown."""
        self.logind.reset()
        self.timers.reset()

    def commands(self) -> Commands:
        """The programs by name."""
        return {
            **self.units.commands(),
            **self.timers.commands(),
            **self.logind.commands(),
            "journalctl": self._journalctl,
        }

    def _journalctl(self, call: Call) -> int:
        """journalctl(1): moves the journal out of /var and back; the kernel's log is empty."""
        if call.argv[1:] in (("--relinquish-var",), ("--flush",)):
            self.journal_in_var = call.argv[1] == "--flush"
            return 0
        if not set(_KERNEL_LOG) <= set(call.argv[1:]):
            raise NotModelled(" ".join(call.argv))
        return 0


def _properties(unit: Unit, active: str) -> dict[str, str]:
    return {
        "Id": unit.name,
        "Description": unit.description,
        "LoadState": "loaded",
        "ActiveState": active,
        "SubState": unit.sub,
        "MainPID": str(unit.pid),
        "Transient": "no",
        "UnitFileState": "enabled" if unit.enabled else "disabled",
    }


def _absent(name: str) -> dict[str, str]:
    full = name if "." in name else f"{name}.service"
    return {
        "Id": full,
        "Description": full,
        "LoadState": "not-found",
        "ActiveState": "inactive",
        "SubState": "dead",
        "MainPID": "0",
        "Transient": "no",
        "UnitFileState": "",
    }
