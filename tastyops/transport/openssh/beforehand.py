"""Connections that are opened before the first step, so that nobody has to be asked later.

All hosts are connected to at the same time, without asking anybody. Where that fails for want of a
passphrase, a PIN or a password, and this process has a terminal, ``ssh`` asks there, one host after
the other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tastyops.errors import AuthenticationFailed, TastyopsError
from tastyops.model.inventory import Host
from tastyops.transport.openssh import terminal
from tastyops.transport.openssh.client import Client
from tastyops.transport.openssh.master import Master
from tastyops.transport.ssh.timing import Timing

_AT_ONCE = 32


class Beforehand:
    """The connections of one run that nobody has taken yet. ``usual``: see ``Client``."""

    def __init__(self, usual: Path | None, timing: Timing) -> None:
        self._usual, self._timing = usual, timing
        self._pool: ThreadPoolExecutor | None = None
        self._opening: dict[str, Future[Master]] = {}
        self._open: dict[str, Master] = {}

    def connect(self, hosts: Sequence[Host], say: Callable[[str], None]) -> None:
        """Begins to connect to these hosts. With a terminal it waits until all have been tried, and
        has ``ssh`` ask there for what some of them need; ``say`` announces each.

        Raises AuthenticationFailed where what was typed did not help. A host that cannot be reached
        is left to the first step that needs it.
        """
        self._pool = ThreadPoolExecutor(min(_AT_ONCE, len(hosts)))
        for host in hosts:
            self._opening[host.name] = self._pool.submit(self._opened, host)
        self._pool.shutdown(wait=False)
        if terminal.there():
            for host in hosts:
                self._ask(host, say)

    def _opened(self, host: Host, *, asking: bool = False) -> Master:
        master = Master(Client(host, self._usual, self._timing), asking=asking)
        master.open()
        return master

    def _ask(self, host: Host, say: Callable[[str], None]) -> None:
        try:
            self._open[host.name] = self._opening.pop(host.name).result()
        except AuthenticationFailed:
            self._ask_now(host, say)
        except TastyopsError:
            return

    def _ask_now(self, host: Host, say: Callable[[str], None]) -> None:
        """Tries once more without asking: an agent may hold by now what was typed for another."""
        master = Master(Client(host, self._usual, self._timing))
        try:
            master.open()
        except AuthenticationFailed:
            if not master.record.wants_person:
                return
            say(f"{host.name}: {'; '.join(master.record.keys()) or 'it asks for a password'}.")
            master = self._opened(host, asking=True)
        except TastyopsError:
            return
        self._open[host.name] = master

    def take(self, host: Host) -> Master | None:
        """The connection to that host, if one was opened and still stands; it is the caller's."""
        opening = self._opening.pop(host.name, None)
        if opening is not None:
            try:
                return opening.result()
            except TastyopsError:
                return None
        master = self._open.pop(host.name, None)
        if master is not None and not master.active:
            master.close()
            return None
        return master

    def close(self) -> None:
        """Ends the connections that nobody took; never raises."""
        for opening in self._opening.values():
            with contextlib.suppress(TastyopsError):
                opening.result().close()
        for master in self._open.values():
            master.close()
        self._opening.clear()
        self._open.clear()
