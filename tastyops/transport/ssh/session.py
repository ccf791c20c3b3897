"""The sessions the engine holds, and the dialer that opens them."""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tastyops.errors import NoRoom, SudoRefused
from tastyops.model.inventory import Host
from tastyops.ports import Ended, Sink, Tail
from tastyops.protocol.framing import UPLOAD_BYTES, Fate, Hello, parse_fate
from tastyops.protocol.host_lock import Holder, Lock, parse_lock
from tastyops.transport.ssh.link import ShellLink
from tastyops.transport.ssh.order import Order
from tastyops.transport.ssh.sudo import Refusal, refused
from tastyops.transport.ssh.timing import Timing
from tastyops.transport.ssh.wire import Carrier

if TYPE_CHECKING:
    from tastyops.transport.openssh.beforehand import Beforehand
    from tastyops.transport.ssh.connect import PinnedConnection
    from tastyops.transport.ssh.known_hosts import Offered
    from tastyops.transport.ssh.ssh_config import Configuration

_SYNC_BYTES = 512 * 1024
"""Bytes of standard input that are sent before the host acknowledges them."""

_FORGET_TOGETHER = 32

_NOT_FOUND = "127"


class SshProber:
    """A link that can only read. Implements ``ports.Prober``."""

    def __init__(self, link: ShellLink) -> None:
        self._link = link
        self._hello = link.hello

    @property
    def hello(self) -> Hello:
        """The host's greeting when the session opened."""
        return self._hello

    @property
    def skew(self) -> float:
        """Seconds the host's clock is ahead of the controller's, ±1."""
        return self._link.skew

    @property
    def lost(self) -> str:
        """Why the link was lost; empty while it works."""
        return self._link.lost

    def probe(
        self,
        argv: Sequence[str],
        *,
        sink: Sink,
        sudo: bool = False,
        timeout: float | None = None,
        tail: Tail | None = None,
    ) -> Ended:
        """Runs a command that only reads; ``timeout`` in seconds. Raises LinkLost, SudoRefused."""
        verb, words = "p", list(argv)
        with self._link.stoppable():
            if sudo:
                verb, words = self._link.elevated(argv)
            order = Order(verb, tuple(words), sudo=sudo)
            return self._ended(order, argv, sink, timeout, tail)

    def _ended(
        self,
        order: Order,
        argv: Sequence[str],
        sink: Sink,
        timeout: float | None,
        tail: Tail | None,
    ) -> Ended:
        """Runs the order. Raises LinkLost, and SudoRefused if sudo did not run ``argv``."""
        if not order.sudo or not self._hello.uid:
            return self._link.run(order, sink, seconds=timeout, tail=tail)
        refusal = Refusal(sink)
        ended = self._link.run(order, refusal, seconds=timeout, tail=tail)
        if said := refusal.found(ended, argv):
            raise refused(self._link.where, said)
        return ended

    def stop(self) -> None:
        """Ends the command that is running and all its processes. For another thread."""
        self._link.stop()

    def close(self) -> None:
        """Ends the session and, on the host, its own directory; never raises."""
        self._link.farewell(("z",))
        self._link.close()


class SshSession(SshProber):
    """A link that can change the host. Implements ``ports.Session``."""

    def __init__(self, link: ShellLink) -> None:
        super().__init__(link)
        self._forgotten: list[str] = []
        self._crowded = False
        """Whether the last change left no room on the host."""
        self._cleared = False
        """Whether the run's directory is gone from the host: no last words are needed."""

    def lock(self, holder: Holder, *, take_over: bool = False) -> Lock:
        """Takes the host's lock, or returns its holder. Raises LinkLost."""
        _, out = self._link.ask("l", holder.claim(take_over=take_over))
        lock = parse_lock(out.decode("utf-8", "replace"))
        self._link.claim = holder.claim() if lock.state == "taken" else ()
        return lock

    def unlock(self) -> None:
        """Releases the lock if this session still holds it. Raises LinkLost."""
        self._link.claim = ()
        self._link.tell("L")
        self._link.ask("h")

    def change(
        self,
        name: str,
        argv: Sequence[str],
        *,
        sink: Sink,
        sudo: bool = False,
        stdin: bytes = b"",
        timeout: float | None = None,
        tail: Tail | None = None,
    ) -> Ended:
        """Runs a change under ``name``; ``timeout`` in seconds. Raises LinkLost, and where nothing
        of the change was begun SudoRefused, or NoRoom when ``stdin`` did not fit.
        """
        link = self._link
        verb, words = "c", list(argv)
        with link.stoppable():
            if sudo:
                infile = f"{self._hello.directory}/{name}.in" if stdin else "/dev/null"
                verb, words = link.elevated(argv, infile)
                verb = {"p": "c", "P": "C"}[verb]
            if stdin:
                self._upload(name, stdin)
            order = Order(verb, (name, *words), name=name, sudo=sudo)
            ended = self._ended(order, argv, sink, timeout, tail)
            if ended.state == "full" and self._forgotten:  # nothing was begun
                self._forget()
                ended = self._ended(order, argv, sink, timeout, tail)
            self._crowded = ended.cut
            return ended

    def _upload(self, name: str, stdin: bytes) -> None:
        """Uploads a change's standard input and checks its length. Raises NoRoom, LinkLost."""
        path = f"{self._hello.directory}/{name}.in"
        size = ["sh", "-c", 'wc -c <"$1"', "sh", path]
        for _ in range(2):
            self._send_input(name, stdin)
            status, out = self._link.ask("p", size)
            # A host without wc (the practice host) has to be believed.
            if status == _NOT_FOUND or out.strip() == str(len(stdin)).encode():
                return
            # What an earlier, interrupted attempt left there, or no room.
            self._forget()
            self._link.ask("p", ["rm", "-f", path])
        raise NoRoom(
            f"The standard input of {name!r} ({len(stdin)} bytes) did not arrive whole in "
            f"{self._hello.directory}.",
            still_true="The change was not sent; nothing was changed by it.",
            next_step="Make room there: it is kept in memory (a tmpfs).",
        )

    def _send_input(self, name: str, stdin: bytes) -> None:
        under_way = 0
        for at in range(0, len(stdin), UPLOAD_BYTES):
            chunk = stdin[at : at + UPLOAD_BYTES]
            self._link.tell("u", name, base64.b64encode(chunk).decode())
            under_way += len(chunk)
            if under_way >= _SYNC_BYTES:
                under_way = 0
                self._link.ask("h")

    def fate(self, name: str) -> Fate:
        """The host's record of the change ``name``. Raises LinkLost."""
        self._forget()
        _, out = self._link.ask("q", [name])
        return parse_fate(out.decode("utf-8", "replace"))

    def follow(
        self,
        name: str,
        *,
        sink: Sink,
        sudo: bool = False,
        timeout: float | None = None,
        tail: Tail | None = None,
    ) -> Ended:
        """Waits for a change that was begun earlier, on any link. Raises LinkLost."""
        with self._link.stoppable():
            if sudo:
                with contextlib.suppress(SudoRefused):  # then it is waited for, and not killed
                    self._link.elevated([])
            order = Order("f", (name,), name=name, sudo=sudo)
            return self._ended(order, (), sink, timeout, tail)

    def forget(self, name: str) -> None:
        """Deletes a change's files on the host, several changes at once. Raises LinkLost."""
        self._forgotten.append(name)
        if self._crowded or len(self._forgotten) >= _FORGET_TOGETHER:
            self._forget()

    def _forget(self) -> None:
        """Deletes the files of several changes with one rm(1), which costs as much as a probe."""
        if self._forgotten:
            names, self._forgotten = self._forgotten, []
            self._link.tell("d", *names)

    def forget_run(self) -> None:
        """Deletes the run's directory on the host. Raises LinkLost."""
        self._forgotten.clear()
        self._link.tell("z")
        self._link.ask("h")
        self._cleared = True

    def close(self) -> None:
        """Ends the session; the run's directory stays, unless forgotten. Never raises."""
        if not self._cleared:
            self._link.farewell(("r",), *([("d", *self._forgotten)] if self._forgotten else []))
        self._link.close()


class SshDialer:
    """Opens links. Implements ``ports.Dialer``.

    ``ssh_config``: that file alone, as ``ssh -F``; None for the user's and the system's.
    ``sudo_password``: asked at most once for each host whose ``sudo`` is ``"ask"``. ``now``: the
    controller's clock, seconds since 1970, for the skew.
    """

    def __init__(
        self,
        ssh_config: Path | None = None,
        *,
        sudo_password: Callable[[Host], str] | None = None,
        now: Callable[[], float] = time.time,
        timing: Timing | None = None,
    ) -> None:
        self._ssh_config = ssh_config
        self._sudo_password = sudo_password
        self._passwords: dict[str, str] = {}
        self._now = now
        self._timing = timing or Timing()
        self._beforehand: Beforehand | None = None
        self._configurations: dict[Path | None, Configuration] = {}
        self._checked: dict[str, PinnedConnection] = {}
        """Connections to hosts by name, checked and not opened yet."""

    def check(self, host: Host) -> None:
        """Raises UsageError for what can be known to be wrong before any host is touched."""
        if host.connection == "openssh":
            from tastyops.transport.openssh.client import Client

            Client(host, self._ssh_config, self._timing).check()
        else:
            from tastyops.transport.ssh.connect import connection

            self._checked[host.name] = connection(
                host, self.configuration(host), self._timing
            )

    def connect(self, hosts: Sequence[Host], say: Callable[[str], None]) -> None:
        """Connects to those of the hosts that the system's ``ssh`` reaches, before they are needed.

        ``say`` announces on the terminal that ``ssh`` asks there. Raises AuthenticationFailed.
        """
        over_ssh = [host for host in hosts if host.connection == "openssh"]
        if over_ssh:
            from tastyops.transport.openssh.beforehand import Beforehand

            self._beforehand = Beforehand(self._ssh_config, self._timing)
            self._beforehand.connect(over_ssh, say)

    def close(self) -> None:
        """Ends connections that were opened beforehand and not used; never raises."""
        if self._beforehand is not None:
            self._beforehand.close()

    def trusted(self, host: Host) -> Offered:
        """The key that the host shows, or the first jump host's that is not on record.

        Raises Unreachable, HostKeyChanged for a key that contradicts the record, UsageError.
        """
        if host.connection == "openssh":
            from tastyops.transport.openssh.trust import fetch

            return fetch(host, self._ssh_config, self._timing)
        from tastyops.transport.ssh import trust

        return trust.fetch(host, self.configuration(host), self._timing)

    def way(self, host: Host) -> str:
        """How the host is reached, as ssh_config has it. Touches no host. Raises UsageError.

        Commands of ``Match exec`` in ssh_config are run.
        """
        if host.connection == "openssh":
            from tastyops.transport.openssh.client import Client
            from tastyops.transport.openssh.resolved import way

            return way(Client(host, self._ssh_config, self._timing))
        from tastyops.transport.ssh.connect import connection

        return connection(host, self.configuration(host), self._timing).way_there

    def configuration(self, host: Host) -> Configuration:
        """The text of the ssh_config for that host, read once. Raises UsageError."""
        from tastyops.transport.ssh import ssh_config

        path = Path(host.ssh_config) if host.ssh_config else self._ssh_config
        if path not in self._configurations:
            self._configurations[path] = ssh_config.read(path)
        return self._configurations[path]

    def prober(self, host: Host, run: str) -> SshProber:
        """A session that cannot send changes, with a directory of its own on the host."""
        return SshProber(self._link(host, f"{run}-reading-{time.monotonic_ns():x}"))

    def session(self, host: Host, run: str) -> SshSession:
        """A session that can change the host; ``run`` names its directory there."""
        return SshSession(self._link(host, run))

    def _link(self, host: Host, run: str) -> ShellLink:
        password = None
        if host.sudo == "ask" and self._sudo_password is not None:
            password = lambda: self._password(host)  # noqa: E731
        return ShellLink(self._carrier(host), run, self._timing, password=password, now=self._now)

    def _carrier(self, host: Host) -> Carrier:
        """The way that the inventory chose; only that one's libraries are loaded."""
        if host.connection == "openssh":
            from tastyops.transport.openssh.carrier import OpenSshCarrier

            ready = self._beforehand.take(host) if self._beforehand else None
            return OpenSshCarrier(host, self._ssh_config, self._timing, ready=ready)
        from tastyops.transport.ssh.carrier import SshCarrier
        from tastyops.transport.ssh.connect import connection

        fresh = self._checked.pop(host.name, None)
        opened = fresh or connection(host, self.configuration(host), self._timing)
        return SshCarrier(opened, self._timing)

    def _password(self, host: Host) -> str:
        if host.name not in self._passwords and self._sudo_password is not None:
            self._passwords[host.name] = self._sudo_password(host)
        return self._passwords[host.name]
