"""How ``ssh`` is called: its command line, and the configuration that it reads.

The user's files are included by one of ours, whose own lines come first and so win. ``ssh`` hands
that file on to the ``ssh`` it starts for a ProxyJump, which sees no other option of ours. No line
of the user's is read here.

Source: ssh_config(5); ``ssh.c`` (ProxyJump), ``readconf.c`` (Include) of OpenSSH 8.4 to 10.5. No
keyword here is newer than 8.4.
"""

from __future__ import annotations

import atexit
import hashlib
import itertools
import math
import os
import pwd
import re
import resource
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tastyops.errors import UsageError
from tastyops.local.plain_files import read_plain
from tastyops.model.inventory import Host
from tastyops.transport.ssh.timing import Timing

_USER_FILE = Path(pwd.getpwuid(os.getuid()).pw_dir, ".ssh/config")
"""Where ``ssh`` looks for it, whatever $HOME is."""

_SYSTEM_FILE = Path("/etc/ssh/ssh_config")

_OURS = """\
StrictHostKeyChecking yes
NoHostAuthenticationForLocalhost no
UpdateHostKeys no
FingerprintHash sha256
VisualHostKey no
ControlMaster no
ControlPath none
ControlPersist no
RemoteCommand none
PermitLocalCommand no
RequestTTY no
ClearAllForwardings yes
ForwardAgent no
ForwardX11 no
Tunnel no
EscapeChar none
ServerAliveInterval 20
ServerAliveCountMax 3
"""
"""What holds whatever the user's files say, on the way to a jump host too."""

_PLAIN = re.compile(r"[A-Za-z0-9/._+,:@-]+")
"""A path that means itself in ssh_config, in a shell, and as a ControlPath."""

_SHORTEST_BASE = "/tmp"  # noqa: S108 - for a directory of 0700
_LONGEST_BASE = 50
"""With the master's own names behind it, a socket's path must stay below 104 bytes."""

_DESCRIPTORS = 16_384

PERSIST_SECONDS = 10
"""A master whose tastyops was killed ends after that long."""


class Workspace:
    """The private directory of this process: sockets, messages and configurations."""

    def __init__(self) -> None:
        self.path = tempfile.mkdtemp(prefix="tastyops-", dir=_base())
        self._numbers = itertools.count(1)
        self._originals: dict[str, str] = {}
        atexit.register(shutil.rmtree, self.path, ignore_errors=True)

    def stem(self) -> str:
        """A path that nobody has, for the files of one master."""
        return f"{self.path}/{next(self._numbers)}"

    def written(self, data: bytes) -> str:
        """The path of a file that holds this."""
        path = Path(self.path, f"config-{_digest(data)}")
        if not path.exists():
            part = Path(f"{self.stem()}.part")
            part.write_bytes(data)
            part.replace(path)
        return str(path)

    def copied(self, path: Path) -> str:
        """The path of a copy. ``ssh`` refuses to include a file that a group may write, and takes
        the same file with ``-F``. Raises OSError.
        """
        copy = self.written(read_plain(path))
        self._originals[copy] = str(path)
        return copy

    def plain(self, path: Path) -> str:
        """The path, or a plain link to the file where the path has letters that mean something."""
        text = str(path)
        if _PLAIN.fullmatch(text):
            return text
        link = Path(self.path, f"link-{_digest(os.fsencode(text))}")
        if not link.is_symlink():
            part = Path(f"{self.stem()}.part")
            part.symlink_to(os.path.abspath(text))
            part.replace(link)
        self._originals[str(link)] = text
        return str(link)

    def originals_in(self, message: str) -> str:
        """The message with the user's own paths where it names our links and copies."""
        for ours, original in list(self._originals.items()):
            message = message.replace(ours, original)
        return message


def _digest(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()[:12]


def _base() -> str:
    for base in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir()):
        if len(base) <= _LONGEST_BASE and _PLAIN.fullmatch(base) and os.access(base, os.W_OK):
            return base
    return _SHORTEST_BASE


@cache
def workspace() -> Workspace:
    """This process's, made when it is first wanted."""
    _allow_descriptors()
    return Workspace()


def _allow_descriptors() -> None:
    """Raises the soft limit of open files: a session needs nine, and 1024 are the usual limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def program() -> str:
    """The path of ``ssh``. Raises UsageError where it is not installed."""
    found = shutil.which("ssh")
    if found is None:
        raise UsageError(
            "The program `ssh` is not installed here, and a host has `connection: openssh`.",
            still_true="No host was touched.",
            next_step="Install it (Debian: openssh-client), or say `connection: ssh`.",
        )
    return found


@dataclass(frozen=True, slots=True)
class Client:
    """``ssh`` for one host. ``usual``: the file to read instead of the user's and the system's,
    where the inventory names none. ``recorded``: a file of host keys beside ``ssh``'s own, which
    is how the inventory's ``known_hosts`` counts for a jump host.
    """

    host: Host
    usual: Path | None
    timing: Timing
    recorded: str | None = None

    def check(self) -> None:
        """Raises UsageError for what can be known to be wrong before any host is touched."""
        program()
        host = self.host
        for name, value in (("address", self.target), ("user", host.user or "")):
            if any(char.isspace() or char in "\"'`$;&|<>()\\{}" for char in value):
                raise UsageError(
                    f"The {name} {value!r} of host {host.name} cannot be used with ssh.",
                    still_true="No host was touched.", next_step="Correct it in the inventory.",
                )
        for name, file in (("identity_file", host.identity_file), ("ssh_config", self._named)):
            if file is not None and str(file) != os.devnull:
                _readable(host, name, Path(file).expanduser())

    @property
    def target(self) -> str:
        """What would be typed at ``ssh``."""
        return self.host.address or self.host.name

    @property
    def where(self) -> str:
        """The host as messages name it before ``ssh`` has said how it gets there."""
        user = f"{self.host.user}@" if self.host.user else ""
        port = f" port {self.host.port}" if self.host.port not in (None, 22) else ""
        return f"{user}{self.target}{port}"

    @property
    def _named(self) -> Path | None:
        return Path(self.host.ssh_config) if self.host.ssh_config else self.usual

    def words(self, *options: str, asking: bool = False, recorded: str = "") -> list[str]:
        """A command line up to and including the host's name.

        ``asking``: a person may be asked for a passphrase. ``recorded``: the only file of host
        keys, instead of the inventory's.
        """
        host = self.host
        words = [program(), "-F", self._configuration(asking), *options]
        if host.port is not None:
            words += ["-p", str(host.port)]
        if host.user is not None:
            words += ["-l", host.user]
        if host.identity_file is not None:
            words += ["-i", str(Path(host.identity_file).expanduser()).replace("%", "%%")]
        file = recorded or host.known_hosts
        if file:
            path = workspace().plain(Path(file).expanduser())
            words += ["-o", f"UserKnownHostsFile={path}", "-o", "GlobalKnownHostsFile=/dev/null"]
        return [*words, "--", self.target]

    def _configuration(self, asking: bool) -> str:
        """The path of our file, which includes the user's."""
        place = workspace()
        lines = [_OURS, f"BatchMode {'no' if asking else 'yes'}\n"]
        ours = self.host.known_hosts or self.recorded
        if ours:
            # A jump host may stand in the inventory's file as well as in ssh's own.
            first = place.plain(Path(ours).expanduser())
            system = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"
            lines.append(f"GlobalKnownHostsFile {first} {system}\n")
        named = self._named
        if named is None:
            files = [place.plain(file) for file in (_USER_FILE, _SYSTEM_FILE)]
        else:
            files = [] if str(named) == os.devnull else [place.copied(named.expanduser())]
        lines += [f"Include {file}\n" for file in files]
        limit = max(1, math.ceil(self.timing.connect))
        lines.append(f"Match all\nConnectTimeout {limit}\n")
        return place.written("".join(lines).encode())


def _readable(host: Host, name: str, path: Path) -> None:
    if not path.is_file() or not os.access(path, os.R_OK):
        raise UsageError(
            f"The {name} {path} of host {host.name} does not exist or cannot be read.",
            still_true="No host was touched.",
            next_step="Correct the path in the inventory.",
        )
