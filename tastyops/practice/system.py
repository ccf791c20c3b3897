"""Programs that say what the modelled machine is: uname, hostname, date, id, uptime, …"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from tastyops.practice.calls import Call, Commands
from tastyops.practice.clock import PracticeClock
from tastyops.practice.files import NotModelled
from tastyops.practice.processes import Processes

DOMAIN = "tastycake.net"
_LETTERS = {"s": 0, "n": 1, "r": 2, "v": 3, "m": 4, "o": 5}
_LONG = {
    "--kernel-name": "s",
    "--nodename": "n",
    "--kernel-release": "r",
    "--kernel-version": "v",
    "--machine": "m",
    "--operating-system": "o",
    "--all": "a",
}
_DATES = "aAbBcdDeFHIjklmMnpPrRStTuUwWxXyYZz%"
"""date(1)'s conversions that mean the same to strftime(3)."""


class System:
    """The programs; ``kernel`` gives the running release and build."""

    def __init__(
        self,
        name: str,
        clock: PracticeClock,
        processes: Processes,
        kernel: Callable[[], tuple[str, str]],
        clock_off: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._name = name
        self._clock = clock
        self._processes = processes
        self._kernel = kernel
        self._clock_off = clock_off

    def commands(self) -> Commands:
        """The programs."""
        return {
            "uname": self._uname,
            "hostname": self._hostname,
            "date": self._date,
            "id": _id,
            "whoami": _whoami,
            "uptime": self._uptime,
            "true": lambda _: 0,
            "false": lambda _: 1,
        }

    def _uname(self, call: Call) -> int:
        release, build = self._kernel()
        values = ("Linux", self._name, release, build, "x86_64", "GNU/Linux")
        letters = ""
        for word in call.argv[1:]:
            short = _LONG.get(word) or word.removeprefix("-")
            if not word.startswith("-") or set(short) - {*_LETTERS, "a"}:
                raise NotModelled(" ".join(call.argv))
            letters += short
        wanted = _LETTERS if "a" in letters else (letters or "s")
        call.say(" ".join(values[n] for letter, n in _LETTERS.items() if letter in wanted))
        return 0

    def _hostname(self, call: Call) -> int:
        match call.argv[1:]:
            case () | ("-s",) | ("--short",):
                call.say(self._name)
            case ("-f",) | ("--fqdn",) | ("--long",):
                call.say(self._name if "." in self._name else f"{self._name}.{DOMAIN}")
            case _:
                raise NotModelled(" ".join(call.argv))
        return 0

    def _date(self, call: Call) -> int:
        words = [word for word in call.argv[1:] if word not in ("-u", "--utc")]
        form = "%a %b %e %H:%M:%S UTC %Y"
        if len(words) == 1 and words[0].startswith("+"):
            form = words[0][1:]
        elif words:
            raise NotModelled(" ".join(call.argv))
        now = self._clock.time() + self._clock_off()

        def value(match: re.Match[str]) -> str:
            if match[1] == "s":
                return str(int(now))
            if match[1] not in _DATES:
                raise NotModelled(f"date's {match[0]}")
            return datetime.fromtimestamp(now, UTC).strftime(match[0])

        call.say(re.sub(r"%(.)", value, form))
        return 0

    def _uptime(self, call: Call) -> int:
        if len(call.argv) > 1:
            raise NotModelled(" ".join(call.argv))
        seconds = int(self._clock.time() - self._processes.booted)
        days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
        call.say(
            f" {self._clock.now():%H:%M:%S} up {days} days, {hours:2}:{minutes:02},"
            "  3 users,  load average: 0.08, 0.03, 0.01"
        )
        return 0


def _id(call: Call) -> int:
    uid = call.process.uid
    name = "root" if uid == 0 else f"user{uid}"
    match call.argv[1:]:
        case ():
            call.say(f"uid={uid}({name}) gid={uid}({name}) groups={uid}({name})")
        case ("-u",) | ("-g",) | ("-G",):
            call.say(str(uid))
        case ("-un",) | ("-gn",) | ("-u", "-n"):
            call.say(name)
        case _:
            raise NotModelled(" ".join(call.argv))
    return 0


def _whoami(call: Call) -> int:
    call.say("root" if call.process.uid == 0 else f"user{call.process.uid}")
    return 0
