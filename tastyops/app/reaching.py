"""How hosts are reached, and whether they answer: for ``hosts -v`` and ``ping``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from tastyops.errors import TastyopsError, UsageError
from tastyops.model.inventory import Host
from tastyops.transport.ssh.session import SshDialer

_AT_ONCE = 16


def carrier(host: Host) -> str:
    """What carries a session with the host, and who chose it."""
    what = "the system's ssh" if host.connection == "openssh" else "Fabric"
    why = f"chosen by {host.connection_of}" if host.connection_of else "the default"
    return f"{what} ({host.connection}, {why})"


def ways(hosts: Sequence[Host]) -> Iterator[tuple[str, bool]]:
    """For each host the carrier and the way there, and whether that could be found out.

    A line of ssh_config that cannot be used is reported for its host alone. Touches no host.
    """
    dialer = SshDialer()
    for host in hosts:
        try:
            yield f"{carrier(host)}: {dialer.way(host)}", True
        except UsageError as error:
            yield f"{carrier(host)}: {error.what} {error.next_step}", False


def answers(hosts: Sequence[Host], say: Callable[[str], None]) -> list[tuple[str, bool]]:
    """For each host what came of a session with it, and whether there was one.

    Raises UsageError for a practice host, and for what is wrong before any host is touched.
    """
    if any(host.connection == "practice" for host in hosts):
        raise UsageError(
            "A practice host is started when a run needs it; there is nothing to reach before.",
            still_true="No host was touched.", next_step="Name real hosts only.",
        )
    dialer = SshDialer()
    for host in hosts:
        dialer.check(host)
    try:
        dialer.connect(hosts, say)
        with ThreadPoolExecutor(min(_AT_ONCE, len(hosts))) as pool:
            return list(pool.map(lambda host: _answer(dialer, host), hosts))
    finally:
        dialer.close()


def _answer(dialer: SshDialer, host: Host) -> tuple[str, bool]:
    began = time.monotonic()
    try:
        prober = dialer.prober(host, "ping")
    except TastyopsError as error:
        return f"{error.what} {error.next_step} Over {carrier(host)}.", False
    seconds = time.monotonic() - began
    hello = prober.hello
    prober.close()
    said = f"answers after {seconds:.1f} s as {hello.hostname}, {hello.kernel}"
    return f"{said}, over {carrier(host)}.", True
