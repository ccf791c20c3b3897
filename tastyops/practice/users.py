"""Logged-in users of the modelled machine, and what their terminals received."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tastyops.practice.calls import Call, Commands
from tastyops.practice.clock import PracticeClock
from tastyops.practice.files import NotModelled

LOGS_OUT = 90.0
"""Seconds that users take to log out once they are asked to."""


@dataclass
class Terminal:
    """A logged-in user's terminal; ``open`` ends with the machine's shutdown."""

    user: str
    line: str
    source: str
    since: float
    open: bool = True
    leaves_at: float = math.inf
    """When its user logs out."""
    received: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Everything the terminal has received."""
        return "".join(self.received)


class Users:
    """The logged-in users, with wall(1), who(1) and users(1)."""

    def __init__(self, hostname: str, clock: PracticeClock) -> None:
        self._hostname = hostname
        self._clock = clock
        self.terminals: dict[str, Terminal] = {}

    def log_in(self, user: str, source: str, ago: float) -> None:
        """Logs a user in, ``ago`` seconds before now."""
        line = f"pts/{len(self.terminals)}"
        self.terminals[user] = Terminal(user, line, source, self._clock.time() - ago)

    def log_out_all(self) -> None:
        """Logs every user out, as a shutdown does."""
        for terminal in self.terminals.values():
            terminal.open = False

    def logged_in(self) -> list[Terminal]:
        """The open terminals."""
        now = self._clock.time()
        return [each for each in self.terminals.values() if each.open and each.leaves_at > now]

    def broadcast(self, message: str) -> None:
        """Writes a message to every terminal, as wall(1) does, under a head that says practice."""
        when = f"{self._clock.now():%a %b %e %H:%M:%S %Y}"
        head = f"Broadcast message from root@{self._hostname} (practice host) ({when}):"
        leaving = self._clock.time() + LOGS_OUT if "log out" in message else math.inf
        for terminal in self.logged_in():
            terminal.leaves_at = min(terminal.leaves_at, leaving)
            terminal.received.append(f"\r\n{head}\r\n\r\n{message.rstrip()}\r\n\r\n")

    def commands(self) -> Commands:
        """The programs by name."""
        return {
            "wall": self._wall, "who": self._who, "users": self._users, "passwd": _passwd,
        }  # fmt: skip

    def _wall(self, call: Call) -> int:
        words = [word for word in call.argv[1:] if word not in ("--", "-n", "--nobanner")]
        text = " ".join(words) if words else call.stdin.rest().decode("utf-8", "replace")
        self.broadcast(text)
        return 0

    def _who(self, call: Call) -> int:
        for terminal in self.logged_in():
            since = datetime.fromtimestamp(terminal.since, UTC)
            row = f"{terminal.user:<8} {terminal.line:<12} {since:%Y-%m-%d %H:%M}"
            call.say(f"{row} ({terminal.source})")
        return 0

    def _users(self, call: Call) -> int:
        names = sorted(terminal.user for terminal in self.logged_in())
        if names:
            call.say(" ".join(names))
        return 0


def _passwd(call: Call) -> int:
    """passwd(1): root's password is locked; people become root with sudo."""
    if call.argv[1:] != ("--status", "root"):
        raise NotModelled(" ".join(call.argv))
    call.say("root L 2023-06-11 0 99999 7 -1")
    return 0
