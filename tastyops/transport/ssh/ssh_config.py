"""ssh_config(5) as far as tastyops honours it, read as OpenSSH 9.2 reads it.

paramiko's own reader refuses a whole file for one line it does not know (``Match final all``, which
Fedora ships), takes a comment behind a value for a part of it, and leaves ``${HOME}`` and most
``%`` tokens as they are. Here a line counts only for the hosts whose block it stands in; what is
wrong with it is said with its file and number.

Source: ssh_config(5), and ``readconf.c`` and ``misc.c`` (``argv_split``) of OpenSSH portable 9.2.
"""

from __future__ import annotations

import getpass
import glob
import hashlib
import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paramiko.config import SSHConfig, SSHConfigDict

from tastyops.errors import UsageError
from tastyops.local.plain_files import read_plain
from tastyops.model.inventory import Host

USER_CONFIG = Path("~/.ssh/config")
SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")
_DEEPEST_INCLUDE = 16
_EXEC_SECONDS = 60.0
_UNTOUCHED = "No host was touched."

_REST_OF_LINE = frozenset((
    "proxycommand", "localcommand", "remotecommand", "knownhostscommand", "proxyjump",
))  # fmt: skip
"""Keywords whose value is the line as it stands, its quotes and ``#`` included."""

_LISTS = frozenset(("identityfile", "certificatefile", "localforward", "remoteforward"))
"""Keywords that may be given several times, each adding to the last."""

_WORDS = frozenset(("userknownhostsfile", "globalknownhostsfile", "canonicaldomains"))
"""Keywords with several words, of which the first line counts."""

_EXPANDED = frozenset((
    "identityfile", "certificatefile", "identityagent", "userknownhostsfile", "controlpath",
))  # fmt: skip
"""Keywords in which a leading ``~``, ``%`` tokens and ``${…}`` stand for something."""

_NUMBERS = frozenset(("port", "connectionattempts", "canonicalizemaxdots"))
_TIMES = frozenset(("connecttimeout", "serveraliveinterval"))
_TIME = re.compile(r"(?:\d+[smhdw]?)+", re.IGNORECASE)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file; ``inside`` has the lines of the files that an ``Include`` names."""

    file: str
    number: int
    keyword: str
    rest: str
    inside: tuple[tuple[Line, ...], ...] = ()

    @property
    def place(self) -> str:
        """The line as a message names it."""
        return f"{self.file}:{self.number}"

    def words(self) -> list[str]:
        """Its values. Raises UsageError where a quote is not closed."""
        try:
            return list(_split(self.rest))
        except ValueError as error:
            raise _wrong(self, str(error)) from None


Configuration = tuple[tuple[Line, ...], ...]
"""The lines of each file, the user's first."""


def _wrong(line: Line, why: str, next_step: str = "") -> UsageError:
    return UsageError(
        f"ssh_config, {line.place}: {line.keyword}: {why}.",
        still_true=_UNTOUCHED,
        next_step=next_step or "Correct the line; `ssh -G HOST` shows what ssh makes of it.",
    )


# -- reading -------------------------------------------------------------------------------------


def read(path: Path | None) -> Configuration:
    """The configuration: that file alone (as ``ssh -F``), or the user's and the system's.

    Raises UsageError when a file that was named cannot be read.
    """
    if path is not None:
        if path == Path(os.devnull):  # `-F /dev/null`: none
            return ()
        if not path.expanduser().is_file():
            raise UsageError(f"The ssh_config file {path} does not exist.")
        return (tuple(_lines(path.expanduser(), path.expanduser().parent, 0)),)
    usual = [(USER_CONFIG.expanduser(), USER_CONFIG.expanduser().parent),
             (SYSTEM_CONFIG, SYSTEM_CONFIG.parent)]  # fmt: skip
    return tuple(tuple(_lines(file, folder, 0)) for file, folder in usual if file.is_file())


def of_text(text: str) -> Configuration:
    """A configuration from its text, for which there is no file."""
    return (tuple(_parsed(text.splitlines(), "ssh_config", Path(os.curdir), 0)),)


def _lines(path: Path, folder: Path, depth: int) -> Iterator[Line]:
    if depth > _DEEPEST_INCLUDE:
        raise UsageError(f"{path} is included more than {_DEEPEST_INCLUDE} files deep.")
    try:
        raw = read_plain(path).decode("utf-8", "replace")
    except OSError as error:
        raise UsageError(f"The ssh_config file {path} cannot be read: {error.strerror}.") from error
    yield from _parsed(raw.split("\n"), str(path), folder, depth)


def _parsed(raw: Sequence[str], file: str, folder: Path, depth: int) -> Iterator[Line]:
    for number, text in enumerate(raw, 1):
        match = re.match(r"\s*\"?([A-Za-z0-9]+)\"?(?:[ \t]*=[ \t]*|[ \t]+|\s*$)(.*)", text.strip())
        if not match:
            continue  # a blank, a comment, or nothing that can be a keyword
        line = Line(file, number, match[1].lower(), match[2])
        yield line if line.keyword != "include" else _included(line, folder, depth)


def _included(line: Line, folder: Path, depth: int) -> Line:
    try:
        patterns = list(_split(line.rest))
    except ValueError:
        return line
    inside = []
    for pattern in patterns:
        full = os.path.join(folder, os.path.expanduser(pattern))
        for name in sorted(glob.glob(full)):
            if os.path.isfile(name):
                inside.append(tuple(_lines(Path(name), folder, depth + 1)))
    return Line(line.file, line.number, line.keyword, line.rest, tuple(inside))


def _split(text: str) -> Iterator[str]:
    """The words of a line: quotes of both kinds, a backslash before one, a comment at the end."""
    at, length = 0, len(text)
    while at < length:
        if text[at] in " \t\r":
            at += 1
            continue
        if text[at] == "#":
            return
        word, quote = [], ""
        while at < length and (quote or text[at] not in " \t\r"):
            char, after = text[at], text[at + 1 : at + 2]
            if char == "\\" and after and (after in "'\"\\" or (not quote and after == " ")):
                word.append(after)
                at += 1
            elif not quote and char in "'\"":
                quote = char
            elif quote and char == quote:
                quote = ""
            else:
                word.append(char)
            at += 1
        if quote:
            raise ValueError("a quote is not closed")
        yield "".join(word)


# -- what holds for one host ---------------------------------------------------------------------


@dataclass
class _Found:
    """The values for one host, as far as read; the first of each keyword counts.

    ``typed`` is what was typed at ``ssh``; ``name`` the same, until the files are read again for
    ``Match final`` or a canonical name: then it is the host's.
    """

    typed: str
    name: str
    options: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Line] = field(default_factory=dict)
    final: bool = False
    wants_final: bool = False
    seen: dict[str, bool] = field(default_factory=dict)
    """The commands of ``Match exec`` that were run, and whether they succeeded."""

    def read(self, lines: Sequence[Line], active: bool = True) -> None:
        """Takes what the lines say of the host."""
        here = active
        for line in lines:
            if line.keyword == "host":
                here = active and self._names(line)
            elif line.keyword == "match":
                here = active and self._matches(line)
            elif line.keyword == "include":
                if here and not line.inside:
                    line.words()  # says what is wrong with it
                for inside in line.inside:
                    self.read(inside, here)
            elif here:
                self._take(line)

    def _take(self, line: Line) -> None:
        name = line.keyword
        if name in _REST_OF_LINE:
            self._take_command(line)
        elif name in _LISTS:
            values = self.options.setdefault(name, [])
            value = " ".join(line.words())
            if value and (value not in values or name != "identityfile"):
                values.append(value)
            self.places.setdefault(name, line)
        elif name not in self.options:
            words = line.words()
            if words:
                self.options[name] = words if name in _WORDS else words[0]
                self.places[name] = line

    def _take_command(self, line: Line) -> None:
        """``ProxyJump`` and ``ProxyCommand`` rule each other out: the first one counts."""
        proxies = {"proxyjump", "proxycommand"}
        taken = {line.keyword} | (proxies if line.keyword in proxies else set())
        if line.rest.strip() and not taken & self.options.keys():
            self.options[line.keyword] = line.rest.strip()
            self.places[line.keyword] = line

    def _names(self, line: Line) -> bool:
        """Whether a ``Host`` line is for this host; a name with ``!`` that matches ends it."""
        found = False
        try:
            words = line.words()
        except UsageError:
            return False
        for word in words:
            if word.startswith("!"):
                if _like(self.name, word[1:]):
                    return False
            else:
                found = found or _like(self.name, word)
        return found

    def _matches(self, line: Line) -> bool:
        """Whether all criteria of a ``Match`` line hold. One that is not known never does."""
        found = True
        for name, negated, value in _criteria(line.rest):
            if name == "all":
                holds = True
            elif name in ("canonical", "final"):
                self.wants_final = self.wants_final or name == "final"
                holds = self.final
            elif name in self._tests:
                if value is None:
                    return False
                if not found and name == "exec":
                    continue  # as ssh, which runs it only where all before it holds
                holds = self._tests[name](self, value)
            else:
                return False
            found = found and holds != negated
        return found

    def host_now(self) -> str:
        name = self.options.get("hostname")
        return _tokens(name, {"h": self.typed}) if name else self.name

    def _exec(self, command: str) -> bool:
        told = _tokens(command, self._values())
        if told not in self.seen:
            shell = os.environ.get("SHELL") or "/bin/sh"
            try:
                done = subprocess.run(
                    [shell, "-c", told], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL, timeout=_EXEC_SECONDS, check=False,
                    start_new_session=True,
                )  # fmt: skip
            except (OSError, subprocess.TimeoutExpired):
                return False
            self.seen[told] = done.returncode == 0
        return self.seen[told]

    _tests: Mapping[str, Callable[[_Found, str], bool]] = field(
        init=False,
        repr=False,
        default_factory=lambda: {
            "host": lambda found, value: _listed(found.host_now().lower(), value.lower()),
            "originalhost": lambda found, value: _listed(found.typed.lower(), value.lower()),
            "user": lambda found, value: _listed(found._user(), value),
            "localuser": lambda found, value: _listed(getpass.getuser(), value),
            "exec": lambda found, value: found._exec(value),
        },
    )

    def _user(self) -> str:
        return str(self.options.get("user") or getpass.getuser())

    def _values(self) -> dict[str, str]:
        """What the tokens stand for."""
        long = socket.gethostname()
        values = {
            "h": self.host_now(), "n": self.typed, "p": str(self.options.get("port", 22)),
            "r": self._user(), "u": getpass.getuser(), "d": os.path.expanduser("~"),
            "l": long, "L": long.split(".")[0], "i": str(os.getuid()),
            "k": str(self.options.get("hostkeyalias", self.typed)),
        }  # fmt: skip
        joined = values["l"] + values["h"] + values["p"] + values["r"]
        return values | {"C": hashlib.sha1(joined.encode(), usedforsecurity=False).hexdigest()}

    def settled(self) -> dict[str, Any]:
        """The options as they are used: tokens and variables filled in, numbers checked."""
        options, values = dict(self.options), self._values()
        if "hostname" in options:
            options["hostname"] = self.host_now()
        for name in (*_EXPANDED, *_REST_OF_LINE) & options.keys():
            options[name] = self._filled(name, options[name], values)
        for name in _NUMBERS & options.keys():
            if not str(options[name]).isdigit() or (
                name == "port" and not 1 <= int(options[name]) <= 65535
            ):
                raise _wrong(self.places[name], f"{options[name]!r} is no number that can be used")
        for name in _TIMES & options.keys():
            options[name] = self._seconds(name, str(options[name]))
        if not str(options.get("connecttimeout", "1")).isdigit():
            del options["connecttimeout"]  # none
        return options

    def _filled(self, name: str, value: Any, values: Mapping[str, str]) -> Any:
        if isinstance(value, list):
            return [self._filled(name, each, values) for each in value]
        if name == "identityagent" and value.startswith("$") and not value.startswith("${"):
            value = "${" + value[1:] + "}"
        try:
            if name in _EXPANDED:
                return _expanded(os.path.expanduser(value), values)
            return _tokens(value, values)
        except KeyError as error:
            missing = f"the environment has no variable {error.args[0]}"
            raise _wrong(self.places[name], missing, "Set it, or write the path out.") from None

    def _seconds(self, name: str, value: str) -> str:
        if value.lower() == "none":
            return value
        if not _TIME.fullmatch(value):
            raise _wrong(self.places[name], f"{value!r} is no time", "Write 30, 90s or 2m.")
        parts = re.findall(r"(\d+)([smhdw]?)", value.lower())
        return str(sum(int(number) * _SECONDS[unit] for number, unit in parts))


def _criteria(text: str) -> Iterator[tuple[str, bool, str | None]]:
    """The criteria of a ``Match`` line: name, whether negated, value. ``=`` may stand between."""
    try:
        words = list(_split(re.sub(r"^(\s*!?\w+)\s*=\s*", r"\1 ", text)))
    except ValueError:
        yield "", False, None
        return
    at = 0
    while at < len(words):
        name, _, value = words[at].partition("=")
        negated = name.startswith("!")
        name = name.removeprefix("!").lower()
        at += 1
        if name in ("all", "canonical", "final"):
            yield name, negated, None
            continue
        if not value and at < len(words):
            value = words[at]
            at += 1
        yield name, negated, value or None


def _like(name: str, pattern: str) -> bool:
    """``*`` and ``?`` as OpenSSH has them: brackets stand for themselves."""
    parts = {"*": ".*", "?": "."}
    expression = "".join(parts.get(char, re.escape(char)) for char in pattern)
    return re.fullmatch(expression, name, re.DOTALL) is not None


def _listed(name: str, patterns: str) -> bool:
    """A list of patterns with commas; one with ``!`` that matches makes the whole list fail."""
    found = False
    for pattern in patterns.split(","):
        if pattern.startswith("!"):
            if _like(name, pattern[1:]):
                return False
        else:
            found = found or _like(name, pattern)
    return found


def _tokens(text: str, values: Mapping[str, str]) -> str:
    """``%h`` and its like filled in; one that is not known stays."""
    return re.sub(
        "%(.)", lambda found: "%" if found[1] == "%" else values.get(found[1], found[0]), text
    )


def _expanded(text: str, values: Mapping[str, str]) -> str:
    """The same with ``${VARIABLE}``. Raises KeyError for a variable that is not set."""
    return re.sub(r"\$\{([^}]*)\}", lambda found: os.environ[found[1]], _tokens(text, values))


class HostConfig(SSHConfig):
    """What Fabric asks for a host's options; paramiko's reader and its rules are not used.

    ``before`` is what the inventory says of ``target``: the first value obtained wins.
    """

    def __init__(
        self, configuration: Configuration, target: str, before: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._files = configuration
        self._target, self._before = target, before

    def lookup(self, hostname: str) -> SSHConfigDict:
        """The options for what would be typed at ``ssh``. Raises UsageError."""
        found = self.found(hostname)
        options = SSHConfigDict(found.settled())
        options.setdefault("hostname", hostname)
        return options

    def found(self, hostname: str) -> _Found:
        """The options as they are written."""
        before = dict(self._before) if hostname == self._target else {}
        found = _Found(hostname, hostname, before)
        self._read(found)
        canonical = self._canonical(found)
        if canonical or found.wants_final:
            found.name = canonical or found.host_now()
            found.options["hostname"] = found.name.replace("%", "%%")
            found.final = True
            self._read(found)
        return found

    def _read(self, found: _Found) -> None:
        for lines in self._files:
            found.read(lines)

    def _canonical(self, found: _Found) -> str:
        """The name with a domain of ``CanonicalDomains`` behind it, where that resolves."""
        options = found.options
        wanted = options.get("canonicalizehostname", "no").lower()
        proxied = {"proxycommand", "proxyjump"} & options.keys()
        dots = str(options.get("canonicalizemaxdots", "1"))
        if wanted not in ("yes", "always") or (proxied and wanted != "always"):
            return ""
        host = found.host_now()
        if not dots.isdigit() or host.count(".") > int(dots):
            return ""
        for domain in options.get("canonicaldomains", []):
            name = f"{host}.{domain}"
            try:
                socket.getaddrinfo(name, None)
            except (OSError, UnicodeError):
                continue
            return name
        return ""


def for_host(host: Host, configuration: Configuration) -> HostConfig:
    """The configuration with what the inventory says of the host put before it.

    The first value obtained wins in ssh_config, so the inventory does, and ``%p`` and ``%r`` in a
    ProxyCommand mean what is really used.
    """
    before: dict[str, str] = {}
    if host.port is not None:
        before["port"] = str(host.port)
    if host.user is not None:
        before["user"] = _word(host, host.user)
    return HostConfig(configuration, target(host), before)


def target(host: Host) -> str:
    """What would be typed at ``ssh`` for this host: its address, else its name."""
    return _word(host, host.address or host.name)


def _word(host: Host, value: str) -> str:
    if not value or any(char.isspace() or char in "*?![]\"'#" for char in value.strip("[]")):
        raise UsageError(f"{value!r} of host {host.name} in the inventory cannot be used with ssh.")
    return value
