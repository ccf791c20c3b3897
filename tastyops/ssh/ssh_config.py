"""ssh_config(5) as far as tastyops honours it: paramiko's reader, with ``Include`` added.

paramiko skips ``Include`` silently, so the files are put together here before it reads them.
"""

from __future__ import annotations

import glob
import os
from io import StringIO
from pathlib import Path

from paramiko.config import SSHConfig
from paramiko.ssh_exception import ConfigParseError

from tastyops.errors import UsageError
from tastyops.inventory import Host
from tastyops.plainfile import read_plain

USER_CONFIG = Path("~/.ssh/config")
SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")
_DEEPEST_INCLUDE = 16


def text(path: Path | None) -> str:
    """The whole configuration: that file alone (as ``ssh -F``), or the user's and the system's.

    Raises UsageError when a file that was named cannot be read.
    """
    if path is not None:
        if path != Path(os.devnull) and not path.expanduser().is_file():  # `-F /dev/null`: none
            raise UsageError(f"The ssh_config file {path} does not exist.")
        return "\n".join(_lines(path.expanduser(), path.expanduser().parent, 0))
    found: list[str] = []
    for usual in (USER_CONFIG.expanduser(), SYSTEM_CONFIG):
        if usual.is_file():
            # An anonymous block of the second file must not fall into the first one's last.
            found += [*_lines(usual, usual.parent, 0), "Host *"]
    return "\n".join(found)


def _lines(path: Path, folder: Path, depth: int) -> list[str]:
    if depth > _DEEPEST_INCLUDE:
        raise UsageError(f"{path} is included more than {_DEEPEST_INCLUDE} files deep.")
    try:
        raw = read_plain(path).decode("utf-8", "replace").splitlines()
    except OSError as error:
        raise UsageError(f"The ssh_config file {path} cannot be read: {error.strerror}.") from error
    lines: list[str] = []
    block = "Host *"
    for line in raw:
        word, _, rest = line.strip().replace("=", " ", 1).partition(" ")
        if word.lower() == "include":
            for pattern in rest.split():
                for included in _included(pattern.strip('"'), folder):
                    lines += _lines(included, folder, depth + 1)
            lines.append(block)
            continue
        if word.lower() in ("host", "match"):
            block = line
        lines.append(line)
    return lines


def _included(pattern: str, folder: Path) -> list[Path]:
    full = os.path.join(folder, os.path.expanduser(pattern))
    return [Path(name) for name in sorted(glob.glob(full)) if os.path.isfile(name)]


def for_host(host: Host, configuration: str) -> SSHConfig:
    """The configuration with what the inventory says of the host put before it.

    The first value obtained wins in ssh_config, so the inventory does, and ``%p`` and ``%r`` in a
    ProxyCommand mean what is really used. Raises UsageError for a file that cannot be understood.
    """
    said = [f"Host {target(host)}"]
    if host.port is not None:
        said.append(f"Port {host.port}")
    if host.user is not None:
        said.append(f"User {_word(host, host.user)}")
    config = SSHConfig()
    try:
        config.parse(StringIO("\n".join(said)))
        config.parse(StringIO(configuration))
    except (ConfigParseError, ValueError) as error:
        raise UsageError(f"ssh_config is not understood: {error}.") from error
    return config


def target(host: Host) -> str:
    """What would be typed at ``ssh`` for this host: its address, else its name."""
    return _word(host, host.address or host.name)


def _word(host: Host, value: str) -> str:
    if not value or any(char.isspace() or char in "*?![]\"'#" for char in value.strip("[]")):
        raise UsageError(f"{value!r} of host {host.name} in the inventory cannot be used with ssh.")
    return value
