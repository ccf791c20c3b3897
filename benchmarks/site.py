"""The one sshd everybody is measured against: accounts, keys and directories of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.machine import memory_folder
from benchmarks.order import Target
from tests.sshd.accounts import Accounts
from tests.sshd.server import SSHD, Sshd

MISSING = {
    "sshd": "benchmarks: there is no sshd. Install the package openssh-server.",
    "ssh": "benchmarks: there is no ssh. Install the package openssh-client.",
}

_CONFIG = (
    "MaxStartups 2000",
    "MaxSessions 1000",
    "LoginGraceTime 60",
    # So that every key can have a runtime directory and a lock of its own, as every real host has.
    "PermitUserEnvironment XDG_RUNTIME_DIR,TASTYOPS_LOCKS",
)
_SHELLS = ("/bin/sh", "/bin/bash")


def missing() -> str | None:
    """What has to be installed first, as a sentence."""
    if SSHD is None:
        return MISSING["sshd"]
    return None if shutil.which("ssh") and shutil.which("ssh-keygen") else MISSING["ssh"]


class Site:
    """An sshd on loopback that looks like ``hosts`` hosts, for each of some login shells.

    Every host is a key, and sshd gives every key a runtime directory of its own: a change's fate
    and the lock are kept there, and 40 names for one directory would be one host to tastyops.
    """

    def __init__(self, stack: ExitStack, hosts: int) -> None:
        self.notes: list[str] = []
        self.server = Sshd(_CONFIG, locks=False)
        stack.callback(self.server.stop)
        self.sockets = self._folder(stack, None)
        self._rooms = self._folder(stack, memory_folder())
        self._lines: list[str] = []
        self._keys = {
            shell: [self._host(shell, user, number) for number in range(hosts)]
            for shell, user in self._users(stack).items()
        }
        keys = self.server.folder / "authorized_keys"
        keys.write_text("".join(self._lines))
        self.server.start()

    def _folder(self, stack: ExitStack, parent: Path | None) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="tastyops-bench-", dir=parent))
        folder.chmod(0o755)
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def _users(self, stack: ExitStack) -> dict[str, str]:
        """An account's name for each login shell; without root only the one there is."""
        if os.geteuid() == 0 and shutil.which("useradd"):
            accounts = Accounts()
            stack.callback(accounts.remove)
            return {shell: accounts.make(shell) for shell in _SHELLS if Path(shell).exists()}
        own = pwd.getpwuid(os.geteuid())
        others = ", ".join(shell for shell in _SHELLS if shell != own.pw_shell)
        self.notes.append(
            f"Not measured: a login shell {others}. That takes a temporary account, so root."
        )
        return {own.pw_shell: own.pw_name}

    def _host(self, shell: str, user: str, number: int) -> tuple[str, str, str]:
        """Makes a key and its directory; gives the host's name, its user and the key's path."""
        name = f"{Path(shell).name}{number:03}"
        key = self.server.folder / f"key-{name}"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(key)],
            check=True,
            stdin=subprocess.DEVNULL,
        )
        room = self._rooms / name
        room.mkdir(mode=0o700)
        if os.geteuid() == 0:
            account = pwd.getpwnam(user)
            os.chown(room, account.pw_uid, account.pw_gid)
        public = key.with_name(key.name + ".pub").read_text()
        own = ",".join(f'environment="{v}={room}"' for v in ("XDG_RUNTIME_DIR", "TASTYOPS_LOCKS"))
        self._lines.append(f"{own} {public}")
        return name, user, str(key)

    @property
    def shells(self) -> list[str]:
        """The login shells there are accounts for."""
        return list(self._keys)

    def targets(self, shell: str, count: int) -> Sequence[Target]:
        """So many hosts whose account has that login shell."""
        port = self.server.port
        return [Target(name, port, user, key) for name, user, key in self._keys[shell][:count]]
