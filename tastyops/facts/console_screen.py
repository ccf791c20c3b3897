"""What a serial console shows: a prompt, a boot menu, a panic. Over ``via="console"`` only.

A look's answer is JSON: ``heard`` (bytes since the last look), ``text`` (what arrived since then,
control sequences left out), and the terminal as it stands now: ``rows``, and in ``marked`` the
numbers of those in reverse video, which is how GRUB highlights an entry; ``cursor`` is the number
of the row the cursor is in. ``last`` are the lines that were said last, whether they still stand
there or not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from tastyops.errors import ProbeFailed
from tastyops.facts.readings import Answer, Parsers, Reading, from_json

State = Literal[
    "silent", "boot-menu", "grub-prompt", "grub-rescue", "grub-password", "boot-error",
    "no-boot-device", "booting", "panic", "initramfs", "rescue", "emergency", "maintenance",
    "passphrase", "login", "password", "shell", "halted",
]  # fmt: skip
"""``maintenance`` asks for root's password and does not say in which mode; ``boot-error`` is GRUB
waiting for a key after an error; ``booting`` is anything that is said and asks for nothing."""

PROMPTS: tuple[tuple[State, str], ...] = (
    ("grub-rescue", r"^grub rescue> ?"),
    ("grub-prompt", r"^grub> ?"),
    ("grub-password", r"^Enter (username|password): ?"),
    ("boot-error", r"^Press any key to continue"),
    ("initramfs", r"^\(initramfs\)"),
    ("passphrase", r"(Please unlock disk|[Ee]nter passphrase for) .*: ?(\(.*\) ?)?\S*$"),
    ("maintenance", r"(Press Enter for maintenance|Give root password for maintenance)"),
    ("maintenance", r"\(or press Control-D to continue\): ?$"),
    ("password", r"^Password: ?$"),
    ("login", r"^\S+ login: ?\S*$"),
    (
        "shell",
        r"^(\S+[@:][^#$]{0,100}|\[[^\]]{1,100}\]|(ba|da|b)?sh-[\d.]+|[/~]\S{0,100} |)[#$] ?$",
    ),
)
"""What asks for something, on the last row: GRUB 2, initramfs-tools, cryptsetup and
systemd-cryptsetup, sulogin(8), login(1), a shell."""

COLUMNS = 80
"""The width of a row; a line that fills one goes on in the next."""

PANIC = r"Kernel panic - not"
"""The kernel's own words (kernel/panic.c); ``panic=30`` alone is only on its command line."""

BOOT_MENU = r"GNU GRUB +version"
WAITING = (
    BOOT_MENU, PANIC, r"(?m)^grub( rescue)?> ?$", r"(?m)^Enter username: ?$",
    r"(?m)^\(initramfs\)", r"(?m)^\S+ login: ?$",
    r"for maintenance", r"Please unlock disk|[Ee]nter passphrase for", r"No bootable device",
    r"Press any key to continue",
)  # fmt: skip
"""For a look that is to end as soon as a machine that starts wants something, or is dead."""

_BEGINS = re.compile(
    r"SeaBIOS|iPXE|GNU GRUB|Loading Linux|Linux version \d|reboot: machine restart"
)
"""What a machine says that begins anew."""

_KERNEL = re.compile(r"(Loading Linux|Linux version) \S")
"""What is said once a kernel's start: by Debian's GRUB (10_linux), and by the kernel itself."""

_NO_DEVICE = re.compile(
    r"No bootable device|Operating [Ss]ystem not found|Missing operating system"
)
_HALTED = re.compile(r"reboot: (Power down|System halted)")
_GOING_DOWN = re.compile(
    r"reboot: |systemd-shutdown|Stopp(ed|ing) |Reached target .*(shutdown|reboot)"
)
_NOISE = re.compile(r"\[ *\d+\.\d{6}\].*")
"""A kernel message, which may come after a prompt, on its line too, without answering it."""

_MODE = re.compile(r"You are in (rescue|emergency) mode")
_BORDER = re.compile(r"^\s*[+┌└][-─]{10,}[+┐┘]")
_INSIDE = re.compile(r"^\s*[|│](.*?)[|│]?\s*[\^v↑↓]?\s*$")


@dataclass(frozen=True, slots=True)
class Screen:
    """What a console shows. ``text`` is what arrived since the last look, in ``heard`` bytes;
    ``rows`` is the terminal as it stands, which may have been said long before.

    In a boot menu ``entries`` are the titles to be seen, cut at the frame, and ``chosen`` the
    highlighted one. ``line`` is the last row that says something.
    """

    state: State
    heard: int
    text: str
    rows: tuple[str, ...]
    line: str = ""
    entries: tuple[str, ...] = ()
    chosen: str = ""
    cursor: int = -1
    """The row of the cursor; -1 where it was not said."""

    @property
    def starts(self) -> tuple[str, ...]:
        """Who told of a kernel's start since the last look, boot loader or kernel, once for each
        start. Either may be silent, so that they are to be counted apart.
        """
        return tuple(_KERNEL.findall(self.text))


@dataclass(frozen=True, slots=True)
class Attached:
    """A console that is attached. ``how``: the command or the socket, secrets left out."""

    how: str


ATTACH = Reading(("attach",), "attached")
"""Attaches the console, from then on drained and kept. A look does so too."""


def look(seconds: float, *until: str) -> Reading:
    """Waits at most so long for one of the regular expressions; without any it only looks."""
    return Reading(("look", f"{seconds:g}", *until), "screen")


def recognise(
    text: str, rows: tuple[str, ...], marked: tuple[int, ...], heard: int, last: list[str]
) -> Screen:
    """What a console that said ``text``, ``last`` at the end, and now shows ``rows`` is at."""
    lines = [row.rstrip() for row in rows]
    said = [line for line in _unwrapped(lines) if line.strip()]
    line = said[-1].strip() if said else ""
    entries, chosen = _menu(lines, marked)
    state: State = "boot-menu" if entries else _state(text, said, heard)
    # While it asks, systemd clears a line of its own, and with it what stands there of the prompt.
    if state in ("booting", "silent") and _asked(last) == "passphrase":
        state = "passphrase"
    return Screen(state, heard, text, tuple(lines), line, entries, chosen)


def _unwrapped(lines: list[str]) -> list[str]:
    """Rows that go on in the next one, put together."""
    found: list[str] = []
    full = False
    for line in lines:
        if full:
            found[-1] += line
        else:
            found.append(line)
        full = len(line) >= COLUMNS
    return found


def _menu(lines: list[str], marked: tuple[int, ...]) -> tuple[tuple[str, ...], str]:
    """The titles inside GRUB's frame, and the highlighted one; nothing where there is no menu."""
    borders = [number for number, line in enumerate(lines) if _BORDER.match(line)]
    if len(borders) < 2 or not any(re.search(BOOT_MENU, line) for line in lines[: borders[0]]):
        return (), ""
    found, chosen = [], ""
    for number in range(borders[0] + 1, borders[1]):
        inside = _INSIDE.match(lines[number])
        title = inside[1].strip() if inside else ""
        if not title:
            continue
        if number in marked or (not marked and title.startswith("*")):
            title = chosen = title.removeprefix("*").strip()
        found.append(title)
    return (tuple(found), chosen) if chosen else ((), "")


def _state(text: str, said: list[str], heard: int) -> State:
    shown = "\n".join(said)
    if _is_last(re.compile(PANIC), text) or _is_last(re.compile(PANIC), shown):
        return "panic"
    if _is_last(_NO_DEVICE, shown):
        return "no-boot-device"
    asked = _asked(said)
    if asked == "maintenance":
        modes = _MODE.findall(shown) or _MODE.findall(text)
        return modes[-1] if modes else "maintenance"
    if asked is not None:
        return asked
    if said and _HALTED.search(said[-1]):
        return "halted"
    return "booting" if heard else "silent"


def _is_last(wanted: re.Pattern[str], text: str) -> bool:
    """Whether it was said, and the machine has not begun anew since."""
    last = max((found.start() for found in wanted.finditer(text)), default=-1)
    return last >= 0 and not _BEGINS.search(text, last)


def _asked(said: list[str]) -> State | None:
    """The prompt at the end, kernel messages after it left aside."""
    for line in reversed(said):
        if _GOING_DOWN.search(line) or _BEGINS.search(line):
            return None
        asked = _NOISE.sub("", line)
        for state, pattern in PROMPTS:
            if re.search(pattern, asked):
                return state
        if asked.strip():
            return None
    return None


def _screen(answer: Answer) -> Screen:
    data = _object(answer)
    rows, marked = data.get("rows"), data.get("marked")
    heard, text = data.get("heard"), data.get("text")
    if not isinstance(rows, list) or not isinstance(marked, list) or not isinstance(text, str):
        raise ProbeFailed("that is not what a console shows")
    if type(heard) is not int or not all(type(number) is int for number in marked):
        raise ProbeFailed("that is not what a console shows")
    cursor, last = data.get("cursor"), data.get("last", [])
    if not isinstance(last, list):
        raise ProbeFailed("that is not what a console shows")
    seen = recognise(text, tuple(map(str, rows)), tuple(marked), heard, list(map(str, last)))
    return replace(seen, cursor=cursor) if type(cursor) is int else seen


def _attached(answer: Answer) -> Attached:
    return Attached(str(_object(answer).get("how", "")))


def _object(answer: Answer) -> dict[str, Any]:
    data = from_json(answer)
    if not isinstance(data, dict):
        raise ProbeFailed("that is not what a console shows")
    return data


PARSERS: Parsers = {"screen": _screen, "attached": _attached}
