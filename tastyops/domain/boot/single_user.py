"""Single-user and emergency mode: the shell of sulogin(8) on the console, and commands typed there.

Rescue mode starts no network and refuses everybody but root (/run/nologin stays until
systemd-user-sessions.service); emergency mode has the root read-only and nothing else mounted
(systemd.special(7)).
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

from tastyops.domain.boot.boot_menu import ENTER, press
from tastyops.domain.boot.out_of_band import ConsoleView
from tastyops.errors import Failed, Refused
from tastyops.facts.console_screen import BOOT_MENU, WAITING, Screen, look
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Command, Output, Probe, Report, Unknown
from tastyops.model.out_of_band import CONSOLE_SECRET

TARGETS = {"single-user": "rescue.target", "emergency": "emergency.target"}

LOOK = 10.0
"""Seconds of one look at a machine that starts."""

PROMPTED = 3.0
"""Seconds after a command's end in which the shell's prompt is there."""

MODES = {"rescue": "single-user", "emergency": "emergency", "maintenance": "maintenance"}
"""What sulogin's prompt is recognised as, and the word for it in a log."""

_ASKING = tuple(MODES)

LOG_OUT = (
    "case $(cat /proc/$PPID/comm) in login) exit;; esac;"
    " exec sulogin ${SYSTEMD_SULOGIN_FORCE:+--force}"
)
"""``exit`` would end single-user mode (systemd-sulogin-shell starts the default target after
sulogin), so sulogin(8) takes the shell's place instead. A shell of login(1) is simply left.
"""
_DONE = r"tastyops-ended-(\d+)"
_TYPED = r"\s*".join(map(re.escape, "-ended-$?"))
"""The end of what was typed, as the terminal shows it back: a long line goes on in the next row."""

_PROMPT = r"(?m)([#$]|^\(initramfs\)) ?$"
_WRONG = r"Login incorrect"
_LEFT = (r"for maintenance", r"(?m)^\S+ login: ?$")
_WANTED = tuple(pattern for pattern in WAITING if pattern != BOOT_MENU)


def guard_shell(facts: Facts) -> Generator[Command, Any, None]:
    """Refuses a mode without a network where nobody could log in: no console, root locked."""
    if not facts.console:
        raise Refused("the host has no console (`console:` in the inventory): nobody could log in")
    usable: Output = yield Probe(("passwd", "--status", "root"), sudo=True)
    words = usable.text.split()
    if usable.ok and words[1:2] == ["P"]:
        return
    forced: Output = yield Probe(
        ("systemctl", "show", "--property=Environment", "rescue.service", "emergency.service")
    )
    if forced.text.count("SYSTEMD_SULOGIN_FORCE=1") < 2:
        raise Refused("root has no usable password there, and sulogin gives no shell without one")


def reach_shell(patience: float) -> Generator[Command, Any, str]:
    """Waits for sulogin on the console and logs in; gives the mode. Raises Failed."""
    waited = 0.0
    while waited < patience:
        screen: Screen = yield Probe(*look(LOOK, *_WANTED), via="console")
        if screen.state in _ASKING or screen.state == "shell":
            break
        sight = ConsoleView(screen.state)
        if sight.dead_end or screen.state == "login":
            raise Failed(f"no shell on the console: {sight.words}")
        waited += LOOK
    else:
        raise Failed("no prompt came up on the console")
    mode = str(screen.state)
    if mode != "shell":
        yield from log_in(screen)
    return mode


def log_in(screen: Screen) -> Generator[Command, Any, None]:
    """Answers sulogin, or login(1) that asks for a password. Raises Failed if it is refused."""
    if not any("Press Enter for maintenance" in row for row in screen.rows):
        typed: Output | Unknown = yield Change(("type-secret", CONSOLE_SECRET), via="console")
        if not isinstance(typed, Unknown) and not typed.ok:
            raise Failed("the console's password cannot be typed")
    yield from press(ENTER)
    seen: Screen = yield Probe(*look(60, _PROMPT, _WRONG), via="console")
    if re.search(_WRONG, seen.text) or seen.state in _ASKING:
        raise Failed("the console rejected root's password")
    yield Report(note="logged in on the console")


def log_out(patience: float) -> Generator[Command, Any, str]:
    """Closes root's shell on the console; gives what it shows then. Raises Failed."""
    yield Probe(*look(0), via="console")  # what was said before is no sign
    yield from press(f"{LOG_OUT}\r".encode())
    screen: Screen = yield Probe(*look(patience, *_LEFT), via="console")
    if screen.state not in (*_ASKING, "login"):
        raise Failed("root's shell on the console is still open: no prompt for a login came up")
    yield Report(note="logged out on the console")
    return str(screen.state)


def command(line: str, patience: float) -> Generator[Command, Any, tuple[int, str]]:
    """Types a shell command at the console's shell; gives its status and what it printed."""
    yield Probe(*look(0), via="console")  # what was said before is not its output
    yield from press(f'{line}; echo "tastyops"-ended-$?\r'.encode())
    screen: Screen = yield Probe(*look(patience, _DONE), via="console")
    ended = re.search(_DONE, screen.text)
    if ended is None:
        raise Failed("a command typed at the console did not end in time; it may still run there")
    if not re.search(_PROMPT, screen.text[ended.end() :]):
        yield Probe(*look(PROMPTED, _PROMPT), via="console")
    said = screen.text[: ended.start()]
    typed = re.search(_TYPED, said)
    return int(ended[1]), said[typed.end() if typed else 0 :].lstrip("\r\n")
