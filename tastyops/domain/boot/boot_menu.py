"""GRUB's menu on the console: an entry is chosen by its title, read from the drawn screen.

Never by counting keys: after each one the highlighted title is read again. Words for the kernel's
command line are added in GRUB's editor, at the line the cursor is seen to be in, and read back
before anything is started. grub-reboot is left alone: GRUB cannot write to an environment block on
a mirror, so its one-shot would stay set and repeat.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any

from tastyops.errors import Failed
from tastyops.facts.console_screen import BOOT_MENU, PANIC, Screen, look
from tastyops.model.commands import Change, Command, Output, Probe, Report, Unknown

ANY, FIRST, DOWN, END, START, ENTER, EDIT = b" ", b"\x01", b"\x0e", b"\x05", b"\x18", b"\r", b"e"
"""Control keys: an arrow is three bytes, which a slow line may take for a lone Escape. A blank has
no meaning in the menu; it only stops the countdown."""

NEVER = "(?!)"
"""Matches nothing: a look that lasts its whole time."""

CATCH = 5.0
"""Seconds of one look for a menu that is not there yet."""

DRAWN = 0.5
"""Seconds in which GRUB has drawn what a key changed, on a slow line too."""

TRIES = 8
"""Looks after a key before it is taken to have changed nothing."""

MOST_ENTRIES = 100
MOST_LINES = 60

_GONE = re.compile(r"Loading Linux|Linux version \d|" + PANIC)
_SUBMENU = re.compile(r"^Advanced options\b")
"""grub-mkconfig's submenu of all kernels (10_linux)."""

_RELEASE = re.compile(r"with Linux (\S+)")
PREVIOUS = "previous"


@dataclass(frozen=True, slots=True)
class Entry:
    """What to start, as recovery or not, and words to add to its command line.

    ``release`` is a kernel's; empty for what the menu has highlighted; ``previous`` for the one
    listed after the submenu's highlighted one, where the host could not be asked beforehand.
    """

    release: str = ""
    recovery: bool = False
    words: str = ""

    def is_meant(self, title: str) -> bool:
        """Whether a title is this entry's."""
        named = re.search(rf"(?<![\w.-]){re.escape(self.release)}(?![\w.-])", title)
        return bool(self.release and named) and ("recovery" in title.lower()) == self.recovery


def start_entry(entry: Entry, patience: float) -> Generator[Command, Any, None]:
    """Waits for the menu of a machine that starts, and has it start ``entry``. Raises Failed."""
    screen = yield from stop_countdown(patience)
    if entry.release:
        yield from _highlight(screen, entry)
    elif _SUBMENU.search(screen.chosen):  # the default is in there, highlighted
        yield from _open()
    if entry.words:
        yield from _edit(entry.words)
    yield from press(START if entry.words else ENTER)


def stop_countdown(patience: float) -> Generator[Command, Any, Screen]:
    """Waits for the menu and stops its countdown."""
    waited = 0.0
    screen: Screen = yield Probe(*look(0), via="console")  # what was said before is no sign
    while waited < patience and screen.state != "boot-menu":
        screen = yield Probe(*look(CATCH, BOOT_MENU), via="console")
        if screen.state == "boot-menu" or re.search(BOOT_MENU, screen.text):
            yield from press(ANY)
            yield Report(note="the boot menu is on the console")
            return (yield from _when(lambda seen: bool(seen.chosen), "the boot menu was missed"))
        if _GONE.search(screen.text):
            raise Failed("the boot menu was missed: the machine starts without having shown it")
        waited += CATCH
    if screen.state == "boot-menu":
        return screen
    raise Failed("no boot menu came up on the console")


def press(keys: bytes) -> Generator[Command, Any, None]:
    """Types at the console. Raises Failed if it cannot be."""
    typed: Output | Unknown = yield Change(("type",), stdin=keys, via="console")
    if not isinstance(typed, Unknown) and not typed.ok:
        raise Failed("nothing can be typed at the console", {"status": typed.status})


def read_screen() -> Generator[Command, Any, Screen]:
    """What the console shows once what was typed is drawn."""
    screen: Screen = yield Probe(*look(DRAWN, NEVER), via="console")
    return screen


def _when(
    so: Callable[[Screen], bool], why: str, tries: int = TRIES
) -> Generator[Command, Any, Screen]:
    for _ in range(tries):
        screen: Screen = yield from read_screen()
        if so(screen):
            return screen
    raise Failed(why)


def _highlight(screen: Screen, entry: Entry) -> Generator[Command, Any, None]:
    """Moves to the entry, in the submenu of all kernels if it is not on the first level."""
    if not any(entry.is_meant(title) for title in screen.entries):
        yield from _move(lambda title: bool(_SUBMENU.search(title)), "its advanced options")
        screen = yield from _open()
    if entry.release == PREVIOUS:
        entry = replace(entry, release=_after(screen))
    what = f"Linux {entry.release}{' in recovery mode' if entry.recovery else ''}"
    yield from _move(entry.is_meant, what)


def _open() -> Generator[Command, Any, Screen]:
    """Opens the highlighted submenu."""
    before = (yield from read_screen()).entries
    yield from press(ENTER)
    return (
        yield from _when(
            lambda seen: bool(seen.chosen) and seen.entries != before, "no submenu opened"
        )
    )


def _after(screen: Screen) -> str:
    """The kernel listed after the highlighted one's; the first other one if that is the last."""
    named = [(title, _RELEASE.search(title)) for title in screen.entries]
    listed = list(dict.fromkeys(found[1] for _, found in named if found))
    here = _RELEASE.search(screen.chosen)
    at = listed.index(here[1]) if here and here[1] in listed else 0
    others = [*listed[at + 1 :], *listed[:at]]
    if not others:
        raise Failed("the boot menu has no other kernel")
    return others[0]


def _move(is_meant: Callable[[str], bool], what: str) -> Generator[Command, Any, None]:
    yield from press(FIRST)
    screen: Screen = yield from _when(lambda seen: bool(seen.chosen), "the boot menu is gone")
    for _ in range(MOST_ENTRIES):
        if is_meant(screen.chosen):
            return
        last = screen.chosen
        yield from press(DOWN)
        for _ in range(TRIES):
            screen = yield from read_screen()
            if screen.chosen not in ("", last):
                break
        else:
            break
    raise Failed(f"the boot menu has no entry for {what}")


def _edit(words: str) -> Generator[Command, Any, None]:
    """Opens the highlighted entry in GRUB's editor and adds words to its kernel's command line."""
    yield from press(EDIT)
    screen: Screen = yield from _when(
        lambda seen: not seen.chosen and bool(re.search(r"(?m)^\W*linux\b|editing is", _all(seen))),
        "GRUB's editor did not open",
    )
    for _ in range(MOST_LINES):
        if re.match(r"\W*linux(efi)?\s", _row(screen)):
            break
        yield from press(DOWN)
        screen = yield from read_screen()
    else:
        raise Failed("the boot entry shows no line for its kernel")
    yield from press(END)
    yield from press(f" {words}".encode())
    yield from _when(
        lambda seen: any(line.endswith(f" {words}") for line in _lines(seen)),
        "what was added to the kernel's command line cannot be read back; nothing was started",
    )


def _all(screen: Screen) -> str:
    return "\n".join(screen.rows)


def _row(screen: Screen) -> str:
    return screen.rows[screen.cursor] if 0 <= screen.cursor < len(screen.rows) else ""


def _lines(screen: Screen) -> list[str]:
    """The editor's logical lines: one that goes on in the next row ends there with a backslash."""
    rows = [re.sub(r"^\s*[|│]|[|│]?[\s^v↑↓]*$", "", row).rstrip() for row in screen.rows]
    joined = "\n".join(rows).replace("\\\n", "")
    return [line.strip() for line in joined.splitlines()]
