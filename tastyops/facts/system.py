"""The system as a whole: its kernel, its clock, systemd's units, a scheduled shutdown, packages."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tastyops.errors import ProbeFailed
from tastyops.facts.readings import Answer, Parsers, Reading, from_json, integer, need_ok
from tastyops.model.public_text import is_fact

BOOT_ID = Reading(("cat", "/proc/sys/kernel/random/boot_id"), "boot_id")
"""random(4): a new UUID at every boot."""

KERNEL = Reading(("uname", "-rv"), "kernel")
HOSTNAME = Reading(("uname", "-n"), "line")
UPTIME = Reading(("cat", "/proc/uptime"), "booted")
EPOCH = Reading(("date", "+%s"), "integer")
YEAR_9999 = 253_370_764_800
"""Seconds from 1970 to the first year that a log cannot write with an offset from UTC."""

CLOCK = Reading(("date", "+%s"), "clock")
"""The host's clock, and how far it is from the run's."""

FAILED_UNITS = Reading(
    ("systemctl", "list-units", "--state=failed", "--output=json", "--no-pager"), "units"
)
"""``--output=json`` for list-units: systemd 246 and later."""



def transient_units(*units: str) -> Reading:
    """Which of them exist only in systemd's memory (systemd-run): whatever unloads one, such as
    ``reset-failed``, takes it away for good (systemd.unit(5), unit garbage collection).
    """
    return Reading(
        ("systemctl", "show", "--property=Id,Transient", "--no-pager", "--", *units), "transient"
    )


SYSTEM_STATE = Reading(("systemctl", "is-system-running"), "system_state")

_LOGIND = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
SCHEDULED = Reading(
    ("busctl", "--json=short", "get-property", *_LOGIND, "ScheduledShutdown"), "scheduled"
)
"""org.freedesktop.login1(5): (type, µs since the epoch); empty type or 0 when none is set."""


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


@dataclass(frozen=True, slots=True)
class Kernel:
    """The running kernel: ``uname -r`` and ``uname -v``."""

    release: str
    build: str


@dataclass(frozen=True, slots=True)
class HostClock:
    """A host's clock, in seconds since the epoch, and how far it is ahead of the run's, ±1 s."""

    now: int
    skew: float


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


def is_boot_id(text: str) -> bool:
    """Whether it has the form of one; an empty or torn answer proves no reboot."""
    return re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) is not None


def _boot_id(answer: Answer) -> str:
    text = need_ok(answer).strip()
    if not is_boot_id(text):
        raise ProbeFailed("that is not a boot id")
    return text


def _clock(answer: Answer) -> HostClock:
    now = integer(answer)
    if not 0 <= now < YEAR_9999:
        raise ProbeFailed(f"the host's clock shows {now} seconds since 1970, which is no date")
    return HostClock(now, now - answer.at)


def _booted(answer: Answer) -> float:
    """When the boot began, by the run's clock: now less the first number of proc_uptime(5)."""
    words = need_ok(answer).split()
    if not words or not re.fullmatch(r"\d{1,12}(\.\d+)?", words[0]):
        raise ProbeFailed("that is no uptime")
    return answer.at - float(words[0])


def _kernel(answer: Answer) -> Kernel:
    release, _, build = need_ok(answer).strip().partition(" ")
    if not is_fact("version", release):
        raise ProbeFailed("that is not a kernel release")
    return Kernel(release, build)


_LOGIN = re.compile(r"session-.*\.scope")
"""A login's processes (systemd.scope(5)). A failed one is no service and cannot be restarted."""


def _units(answer: Answer) -> tuple[str, ...]:
    rows = from_json(answer) or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ProbeFailed("that is not a list of units")
    names = [str(row.get("unit", "")) for row in rows]
    return tuple(sorted(n for n in names if is_fact("unit", n) and not _LOGIN.fullmatch(n)))


def _transient(answer: Answer) -> tuple[str, ...]:
    paragraphs = [
        dict(line.partition("=")[::2] for line in paragraph.splitlines())
        for paragraph in need_ok(answer).split("\n\n")
    ]
    return tuple(p["Id"] for p in paragraphs if p.get("Transient") == "yes" and p.get("Id"))


def _system_state(answer: Answer) -> str:
    state = answer.text.strip()
    if not re.fullmatch(r"[a-z]{3,20}", state):
        raise ProbeFailed("systemd did not say how the system is")
    return state


def _scheduled(answer: Answer) -> Scheduled | None:
    data = from_json(answer)
    try:
        kind, micros = data["data"]
        kind, when = str(kind), int(micros) / 1_000_000
    except (KeyError, TypeError, ValueError) as error:
        raise ProbeFailed("logind did not answer as expected") from error
    if kind and not 0 <= when < YEAR_9999:
        raise ProbeFailed(f"logind has a {kind} scheduled for a moment that is no date ({micros})")
    return Scheduled(kind, when) if kind and when else None


def _package(answer: Answer) -> Package:
    if answer.status == 1 and not answer.text:
        return Package(False, "", ())
    state, version, depends = ([*need_ok(answer).rstrip("\n").split("\t"), "", "", ""])[:3]
    names = (part.split("|")[0].split("(")[0].split(":")[0].strip() for part in depends.split(","))
    if version and not is_fact("version", version):
        raise ProbeFailed("that is not a package version")
    return Package(state == "installed", version, tuple(name for name in names if name))


def _sizes(answer: Answer) -> dict[str, int]:
    found = re.findall(r"^(\d+) (.+)$", answer.text, re.MULTILINE)
    return {path: int(size) for size, path in found}


PARSERS: Parsers = {
    "boot_id": _boot_id,
    "clock": _clock,
    "booted": _booted,
    "kernel": _kernel,
    "units": _units,
    "transient": _transient,
    "system_state": _system_state,
    "scheduled": _scheduled,
    "package": _package,
    "sizes": _sizes,
}
