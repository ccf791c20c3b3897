"""systemd of the modelled machine: its units, their states through a boot, and systemctl(1)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tastyops.practice.calls import Call, Commands
from tastyops.practice.files import NotModelled
from tastyops.practice.processes import Processes


@dataclass
class Unit:
    """A unit: its name and aliases, what it is, and how it is now.

    ``broken``: it fails whenever it starts. ``breaks``: it will from the next boot on.
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
        """systemd's finer state."""
        return {"active": "running", "inactive": "dead", "activating": "start"}.get(
            self.active, self.active
        )


class Units:
    """The unit table; ``starting`` says whether the boot is still going on."""

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
        self.go_on: Callable[[], None] = lambda: None
        """Called for ``systemctl default`` in such a mode."""
        self._start_all()

    def boot(self, mode: str = "") -> None:
        """What starting the machine anew does to every unit."""
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
        """The failed units. While the machine starts, none has had the time to fail."""
        if self._starting():
            return []
        return [unit for unit in self._units.values() if unit.active == "failed"]

    def state(self) -> str:
        """What ``systemctl is-system-running`` says."""
        if self._starting():
            return "starting"
        if self.mode:
            return "maintenance"
        return "degraded" if self.failed() else "running"

    def find(self, name: str) -> Unit | None:
        """A unit by name or alias, ``.service`` understood."""
        name = name if "." in name else f"{name}.service"
        return self._units.get(self._aliases.get(name, name))

    def active(self, unit: Unit) -> str:
        """Its state as seen now; all services but ssh are activating while the machine starts."""
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
        """The programs."""
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
                self.go_on()
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


_FORCED = ("rescue.service", "emergency.service")
"""Root's password is locked on kalimdor, and these give root a shell all the same."""


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
