"""Read-only commands and the parsers that turn their output into facts.

A reading is argv plus a parser's name; an action yields ``Probe(*BOOT_ID)``. Parsers are pure:
on resume the journalled output is parsed again. A parser raises ProbeFailed for what it cannot
understand, and never lets a host's text through as something it is not.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from tastyops.errors import ProbeFailed
from tastyops.model.text import is_fact


class Answer(Protocol):
    """What a parser reads: the exit status and both streams as text."""

    @property
    def status(self) -> int:
        """The exit status."""

    @property
    def text(self) -> str:
        """Standard output."""

    @property
    def error_text(self) -> str:
        """Standard error."""


class Reading(NamedTuple):
    """A command that only reads, and the name of the parser that understands it."""

    argv: tuple[str, ...]
    parser: str


# -- readings ----------------------------------------------------------------------------------

BOOT_ID = Reading(("cat", "/proc/sys/kernel/random/boot_id"), "boot_id")
"""random(4): a new UUID at every boot."""

KERNEL = Reading(("uname", "-rv"), "kernel")
HOSTNAME = Reading(("uname", "-n"), "line")
EPOCH = Reading(("date", "+%s"), "integer")
FAILED_UNITS = Reading(
    ("systemctl", "list-units", "--state=failed", "--output=json", "--no-pager"), "units"
)
"""``--output=json`` for list-units: systemd 246 and later."""

SYSTEM_STATE = Reading(("systemctl", "is-system-running"), "system_state")

_LOGIND = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
SCHEDULED = Reading(
    ("busctl", "--json=short", "get-property", *_LOGIND, "ScheduledShutdown"), "scheduled"
)
"""org.freedesktop.login1(5): (type, µs since the epoch); empty type or 0 when none is set."""

BOOT_MENU = Reading(("cat", "/boot/grub/grub.cfg"), "boot_menu")
BOOT_ENVIRONMENT = Reading(("grub-editenv", "/boot/grub/grubenv", "list"), "settings")


def logind_call(method: str, *signature_and_arguments: str) -> tuple[str, ...]:
    """The argv that calls a method of logind's manager; without a signature it takes nothing."""
    return ("busctl", "call", *_LOGIND, method, *signature_and_arguments)


def package_status(package: str) -> Reading:
    """A Debian package: state, version, dependencies."""
    fields = "${db:Status-Status}\\t${Version}\\t${Depends}\\n"
    return Reading(("dpkg-query", "--show", f"--showformat={fields}", package), "package")


def unit_states(*units: str) -> Reading:
    """The active state of systemd units, one a line in the order asked for (systemctl(1))."""
    return Reading(("systemctl", "is-active", "--", *units), "lines")


def file_sizes(*paths: str) -> Reading:
    """Sizes in bytes of the files that exist."""
    return Reading(("stat", "--printf=%s %n\\n", "--", *paths), "sizes")


# -- facts -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kernel:
    """The running kernel: ``uname -r`` and ``uname -v``."""

    release: str
    build: str


@dataclass(frozen=True, slots=True)
class Package:
    """A Debian package as dpkg knows it; ``depends`` are the first names of each alternative."""

    installed: bool
    version: str
    depends: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A shutdown logind has scheduled: reboot, poweroff, …, at seconds since the epoch."""

    type: str
    at: float


@dataclass(frozen=True, slots=True)
class BootEntry:
    """One entry of GRUB's menu. ``path`` leads to it through submenus, by id, ``>`` between."""

    id: str
    title: str
    kernel: str
    path: str


@dataclass(frozen=True, slots=True)
class BootMenu:
    """GRUB's menu and what it starts by default: a number, an id, a title, or ``saved``."""

    default: str
    entries: tuple[BootEntry, ...]
    top: tuple[str, ...]
    """Ids of the first level in order, submenus included; a numeric default counts these."""

    def find(self, wanted: str) -> BootEntry | None:
        """The entry a default of GRUB's stands for: number, id, title, or a path of them."""
        wanted = wanted.rpartition(">")[2] if not wanted.isdigit() else wanted
        if wanted.isdigit():
            index = int(wanted)
            wanted = self.top[index] if index < len(self.top) else ""
        inside = [e for e in self.entries if e.path.startswith(f"{wanted}>")]
        named = [e for e in self.entries if wanted in (e.id, e.title)]
        return next(iter(named or inside), None)

    def starting(self, release: str) -> BootEntry | None:
        """The first entry that starts that kernel, recovery entries last."""
        fits = [entry for entry in self.entries if entry.kernel.endswith(f"vmlinuz-{release}")]
        return min(fits, key=lambda entry: "recovery" in entry.title.lower(), default=None)


# -- parsers -----------------------------------------------------------------------------------


def _need_ok(answer: Answer) -> str:
    if answer.status != 0:
        raise ProbeFailed(f"it ended with status {answer.status}")
    return answer.text


def _line(answer: Answer) -> str:
    return _need_ok(answer).strip().splitlines()[0] if answer.text.strip() else ""


def _boot_id(answer: Answer) -> str:
    text = _need_ok(answer).strip()
    if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text):
        raise ProbeFailed("that is not a boot id")
    return text


def _kernel(answer: Answer) -> Kernel:
    release, _, build = _need_ok(answer).strip().partition(" ")
    if not is_fact("version", release):
        raise ProbeFailed("that is not a kernel release")
    return Kernel(release, build)


def _integer(answer: Answer) -> int:
    text = _need_ok(answer).strip()
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise ProbeFailed("that is not a whole number")
    return int(text)


def _json(answer: Answer) -> Any:
    try:
        return json.loads(_need_ok(answer) or "null")
    except (ValueError, RecursionError) as error:
        raise ProbeFailed("that is not JSON") from error


def _units(answer: Answer) -> tuple[str, ...]:
    rows = _json(answer) or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ProbeFailed("that is not a list of units")
    names = [str(row.get("unit", "")) for row in rows]
    return tuple(sorted(name for name in names if is_fact("unit", name)))


def _system_state(answer: Answer) -> str:
    state = answer.text.strip()
    if not re.fullmatch(r"[a-z]{3,20}", state):
        raise ProbeFailed("systemd did not say how the system is")
    return state


def _scheduled(answer: Answer) -> Scheduled | None:
    data = _json(answer)
    try:
        kind, micros = data["data"]
        kind, when = str(kind), int(micros) / 1_000_000
    except (KeyError, TypeError, ValueError) as error:
        raise ProbeFailed("logind did not answer as expected") from error
    return Scheduled(kind, when) if kind and when else None


def _package(answer: Answer) -> Package:
    if answer.status == 1 and not answer.text:
        return Package(False, "", ())
    state, version, depends = ([*_need_ok(answer).rstrip("\n").split("\t"), "", "", ""])[:3]
    names = (part.split("|")[0].split("(")[0].split(":")[0].strip() for part in depends.split(","))
    if version and not is_fact("version", version):
        raise ProbeFailed("that is not a package version")
    return Package(state == "installed", version, tuple(name for name in names if name))


def _sizes(answer: Answer) -> dict[str, int]:
    found = re.findall(r"^(\d+) (.+)$", answer.text, re.MULTILINE)
    return {path: int(size) for size, path in found}


def _settings(answer: Answer) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in _need_ok(answer).splitlines() if "=" in line)


def _boot_menu(answer: Answer) -> BootMenu:
    """grub.cfg as grub-mkconfig writes it: one ``menuentry`` or ``submenu`` a line, then ``{``."""
    default, entries, top = "0", [], []
    open_blocks: list[str | None] = []
    entry: tuple[str, str] | None = None
    for line in _need_ok(answer).splitlines():
        words = _words(line)
        if words[:1] in (["menuentry"], ["submenu"]) and words[-1] == "{":
            title = words[1]
            at = words.index("$menuentry_id_option") + 1 if "$menuentry_id_option" in words else 1
            inside = [block for block in open_blocks if block is not None]
            if not inside:
                top.append(words[at])
            entry = (words[at], title) if words[0] == "menuentry" else None
            open_blocks.append(words[at])
        elif words[-1:] == ["{"]:
            open_blocks.append(None)
        elif words == ["}"] and open_blocks:
            open_blocks.pop()
            entry = None
        elif words[:1] in (["linux"], ["linuxefi"]) and entry and len(words) > 1:
            path = ">".join(block for block in open_blocks if block is not None)
            entries.append(BootEntry(entry[0], entry[1], words[1], path))
        elif words[:1] == ["set"] and len(words) == 2 and words[1].startswith("default="):
            value = words[1].partition("=")[2]
            default = value if value != "${next_entry}" else default
    return BootMenu("saved" if default == "${saved_entry}" else default, tuple(entries), tuple(top))


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        return line.split()


PARSERS: dict[str, Callable[[Any], Any]] = {
    "output": lambda answer: answer,
    "line": _line,
    "boot_id": _boot_id,
    "kernel": _kernel,
    "integer": _integer,
    "json": _json,
    "units": _units,
    "system_state": _system_state,
    "scheduled": _scheduled,
    "package": _package,
    "lines": lambda answer: tuple(answer.text.splitlines()),
    "sizes": _sizes,
    "settings": _settings,
    "boot_menu": _boot_menu,
}


def parse(parser: str, answer: Answer) -> Any:
    """The fact in an answer. Raises ProbeFailed when there is none to be had."""
    try:
        return PARSERS[parser](answer)
    except ValueError as error:
        raise ProbeFailed(str(error)) from error
