"""Which processes use a filesystem of the modelled machine, and find(1)."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable

from tastyops.practice.calls import Call, Commands
from tastyops.practice.files import Files, NotModelled
from tastyops.practice.mounts import Mounts
from tastyops.practice.systemd import Systemd
from tastyops.practice.users import Users

_ALWAYS = {
    "/": ((1, "systemd", "init.scope"),),
    "/var": (
        (318, "systemd-journal", "system.slice/systemd-journald.service"),
        (402, "rsyslogd", "system.slice/rsyslog.service"),
    ),
}
"""Processes that always use a place: number, name, cgroup."""

_FIRST_SHELL = 2001


class UsageTools:
    """find(1), and which processes use which filesystem; a logged-in user uses /home."""

    def __init__(
        self, files: Files, mounts: Mounts, users: Users, systemd: Systemd,
        links: Callable[[], Iterable[tuple[str, str]]],
    ) -> None:  # fmt: skip
        self._files, self._mounts, self._users = files, mounts, users
        self._systemd, self._links = systemd, links
        mounts.busy = lambda target: bool(self._using(target))
        shells = [
            (_FIRST_SHELL + n, "bash", f"user.slice/user-{1001 + n}.slice/session-{n + 1}.scope")
            for n in range(len(users.terminals))
        ]
        for number, name, group in [each for some in _ALWAYS.values() for each in some] + shells:
            files.add(f"/proc/{number}/comm", f"{name}\n")
            files.add(f"/proc/{number}/cgroup", f"0::/{group}\n")

    def commands(self) -> Commands:
        """The programs."""
        return {"find": self._find}

    def _using(self, target: str) -> list[int]:
        if target == "/home":
            terminals = list(self._users.terminals.values())
            here = self._users.logged_in()
            return [_FIRST_SHELL + n for n, each in enumerate(terminals) if each in here]
        idle = set[str]()
        if not self._systemd.units.runs("rsyslog"):
            idle.add("rsyslogd")
        if not self._systemd.journal_in_var:
            idle.add("systemd-journal")
        return [number for number, name, _ in _ALWAYS.get(target, ()) if name not in idle]

    def _find(self, call: Call) -> int:
        words = list(call.argv[1:])
        if words[:1] == ["/proc"] and "-lname" in words:
            target = words[words.index("-lname") + 1]
            for number in self._using(target):
                call.say(f"/proc/{number}/cwd")
            return 0
        if words[-4:] == ["-maxdepth", "0", "-type", "d"]:
            for path in words[:-4]:
                if self._files.is_directory(path) or self._mounts.at(path):
                    call.say(path)
            return 0
        if len(words) == 5 and words[0].endswith("/lost+found") and words[3] == "-printf":
            return self._lost(call, words[0])
        match words:
            case ["/dev/disk/by-id", "-type", "l", "-printf", "%f %l\\n"]:
                found = [f"{name} {target}" for name, target in self._links()]
            case [place, "-maxdepth", "1", "-name", shape, "-type", "f", "-printf", "%f\\n"]:
                names = fnmatch.filter(self._files.names(place), shape)
                found = [name for name in names if self._files.is_file(f"{place}/{name}")]
            case _:
                raise NotModelled(" ".join(call.argv))
        call.say("".join(f"{line}\n" for line in found), end="")
        return 0

    def _lost(self, call: Call, place: str) -> int:
        mount = self._mounts.at(place.removesuffix("/lost+found"))
        if mount is None or not mount.filesystem.lost:
            call.complain(f"find: '{place}': No such file or directory")
            return 1
        for size, owner, name in mount.filesystem.lost:
            call.say(f"f {size} {owner} {name}", end="\0")
        return 0
