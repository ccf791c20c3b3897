"""Temporary accounts for tests: made with useradd, removed with everything that runs as them."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path


class Accounts:
    """Makes accounts and takes them away again; homes are in a directory of its own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tastyops-home-"))
        self.folder.chmod(0o755)
        self.names: list[str] = []

    def make(self, shell: str, *, password: str = "", sudo: str = "") -> str:
        """A new account. ``sudo`` is its sudoers rule, such as ``ALL=(ALL) NOPASSWD: ALL``."""
        name = f"tasty{secrets.token_hex(4)}"
        home = self.folder / name
        # "*" and not "!": sshd without PAM refuses an account that is locked.
        subprocess.run(["useradd", "-m", "-d", str(home), "-s", shell, "-p", "*", name], check=True)
        self.names.append(name)
        if password:
            subprocess.run(["chpasswd"], input=f"{name}:{password}\n".encode(), check=True)
        if sudo:
            rule = Path(f"/etc/sudoers.d/{name}")
            rule.write_text(f"{name} {sudo}\n")
            rule.chmod(0o440)
        return name

    def home(self, name: str) -> Path:
        return self.folder / name

    def remove(self) -> None:
        for name in self.names:
            for pid in _pids(name):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(FileNotFoundError):
                Path(f"/etc/sudoers.d/{name}").unlink()
            shutil.rmtree(f"/dev/shm/tastyops-{_uid(name)}", ignore_errors=True)
            subprocess.run(["userdel", "-f", name], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.folder, ignore_errors=True)


def _pids(name: str) -> list[int]:
    uid = _uid(name)
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if entry.stat().st_uid == uid:
                found.append(int(entry.name))
    return found


def _uid(name: str) -> int:
    import pwd

    return pwd.getpwnam(name).pw_uid
