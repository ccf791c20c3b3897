"""Sessions over a host's console, with the same client and results as over SSH."""

from __future__ import annotations

import time
from collections.abc import Callable

from tastyops.transport.console.carrier import ConsoleCarrier, Patience, Terminal
from tastyops.transport.ssh.link import ShellLink
from tastyops.transport.ssh.session import SshProber, SshSession
from tastyops.transport.ssh.timing import Timing

SLOW = Timing(
    greeting=90.0,
    second_after=2.0,
    second_greeting=120.0,
    heart_every=10.0,
    heart_limit=75.0,
    tail_every=2.0,
)
"""The limits of a link at 9600 baud, which carries about 700 bytes of payload a second."""


def session(
    terminal: Terminal,
    name: str,
    run: str,
    *,
    timing: Timing = SLOW,
    patience: Patience | None = None,
    now: Callable[[], float] = time.time,
) -> SshSession:
    """A session that can change the host ``name``, at the root shell that waits on its console.

    The console's prompt comes back when the session is closed. Raises Unreachable, HostUnsuitable.
    """
    carrier = ConsoleCarrier(terminal, name, patience)
    return SshSession(ShellLink(carrier, run, timing, password=None, now=now))


def prober(
    terminal: Terminal, name: str, run: str, *, timing: Timing = SLOW,
    patience: Patience | None = None,
) -> SshProber:  # fmt: skip
    """A session that cannot send changes, with a directory of its own on the host."""
    carrier = ConsoleCarrier(terminal, name, patience)
    reading = f"{run}-reading-{time.monotonic_ns():x}"
    return SshProber(ShellLink(carrier, reading, timing, password=None, now=time.time))
