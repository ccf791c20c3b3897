"""Debian's real sshd for tests: loopback, a free port, its own keys, a directory of its own.

Also used by the benchmarks. Everything it starts is ended by process id.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tastyops.model.inventory import Host

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
READY_SECONDS = 60.0

# The first value of a key is the one sshd takes.
CONFIG = """
{extra}
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_ed25519
HostKey {folder}/host_rsa
PidFile {folder}/sshd.pid
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
UsePAM no
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
MaxStartups 200:30:400
MaxSessions 20
LogLevel VERBOSE
{locks}
"""

_RSA_FILES = ("host_rsa", "host_rsa.pub")
_RSA: dict[str, bytes] = {}


class Sshd:
    """One server, reached over ``connection`` where ``host`` is not told otherwise; ``folder`` is readable by other accounts, since sshd reads keys as the user.

    ``locks``: it keeps tastyops' lock in a place of its own, so that it is a host of its own, beside
    other servers on this machine. ``within``: the start of the command line that runs it.
    """

    connection = "ssh"

    def __init__(
        self, extra: Sequence[str] = (), *, locks: bool = True, within: Sequence[str] = ()
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tastyops-sshd-"))
        self.folder.chmod(0o755)
        self.extra = tuple(extra)
        self.within = tuple(within)
        self.locks = self.folder / "locks"
        self.locks.mkdir()
        self.locks.chmod(0o1777)
        self._locks = f"SetEnv TASTYOPS_LOCKS={self.locks}" if locks else ""
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.key = self.folder / "client"
        self._keygen("host_ed25519", "ed25519")
        self._copy_rsa()
        self._keygen("client", "ed25519")
        shutil.copy(self.folder / "client.pub", self.folder / "authorized_keys")
        (self.folder / "authorized_keys").chmod(0o644)
        self.ssh_config = self.folder / "ssh_config"
        self.ssh_config.write_text("IdentitiesOnly yes\nGlobalKnownHostsFile none\n")

    def _keygen(self, name: str, kind: str) -> None:
        subprocess.run(
            ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", name, "-f", str(self.folder / name)],
            check=True,
            stdin=subprocess.DEVNULL,
        )

    def _copy_rsa(self) -> None:
        """The RSA host key, which takes seconds to make: one for all servers of this process."""
        if not _RSA:
            self._keygen("host_rsa", "rsa")
            _RSA.update({name: (self.folder / name).read_bytes() for name in _RSA_FILES})
        for name, data in _RSA.items():
            (self.folder / name).write_bytes(data)
            (self.folder / name).chmod(0o600)

    def start(self) -> None:
        """Starts it and waits until it greets; another port if that one was taken meanwhile."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        for _ in range(5):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
            config = self.folder / "sshd_config"
            config.write_text(
                CONFIG.format(
                    port=self.port,
                    folder=self.folder,
                    extra="\n".join(self.extra),
                    locks=self._locks,
                )
            )
            with open(self.folder / "log", "ab") as log:
                self.process = subprocess.Popen(
                    [*self.within, SSHD or "sshd", "-D", "-e", "-f", str(config)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            if self._ready():
                self.write_known_hosts()
                return
        raise RuntimeError(f"sshd does not start: {self.log()[-2000:]}")

    def _ready(self) -> bool:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.process and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                    probe.settimeout(5)
                    if probe.recv(4) == b"SSH-":
                        return True
            except OSError:
                time.sleep(0.02)
        return False

    def write_known_hosts(self) -> None:
        kind, blob = (self.folder / "host_ed25519.pub").read_text().split()[:2]
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {kind} {blob}\n")

    def host(self, **changes: object) -> Host:
        """The inventory's entry for it; as whoever runs the tests unless ``user`` is given."""
        fields: dict[str, object] = {
            "name": "target",
            "address": "127.0.0.1",
            "port": self.port,
            "user": getpass.getuser(),
            "identity_file": str(self.key),
            "known_hosts": str(self.folder / "known_hosts"),
            "connection": self.connection,
        }
        return Host(**{**fields, **changes})  # type: ignore[arg-type]

    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    def connections(self) -> list[int]:
        """The sshd processes of live connections, outermost first."""
        found: list[int] = []
        pending = [self.process.pid] if self.process else []
        while pending:
            for child in _children(pending.pop()):
                if _name(child).startswith("sshd"):
                    found.append(child)
                    pending.append(child)
        return found

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """The peer is there, the network carries, and nobody answers."""
        pids = self.connections()
        if not pids:
            raise RuntimeError("no connection to freeze")
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def cut(self) -> None:
        """Ends every live connection at once."""
        for pid in reversed(self.connections()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def gone(self) -> None:
        """Ends it and every live connection; what runs on the host goes on. ``start`` begins anew."""
        sessions = self.connections()
        if self.process:
            self.process.terminate()
            self.process.wait(60)
            self.process = None
        for pid in reversed(sessions):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        self.cut()
        if self.process:
            self.process.terminate()
            self.process.wait(60)
            self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (OSError, ValueError):
        return []


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
