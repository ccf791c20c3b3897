"""The hosts that the runs of these tests are on; each outlives its controllers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tastyops.practice.server import PracticeHost
from tests.durable.harness import Site
from tests.sshd.server import Sshd


@pytest.fixture
def practice_hosts() -> Iterator[list[Site]]:
    """Practice hosts that outlive their controllers, in real time."""
    with ExitStack() as stack:
        yield [_practice(stack) for _ in range(2)]


def _practice(stack: ExitStack) -> Site:
    practice = stack.enter_context(PracticeHost.start("target", scale=1.0))

    def read(path: str) -> str:
        return practice.machine.execute(["cat", path]).out.decode()

    return Site(practice.host, read, "/root", practice=True)


def read_here(path: str) -> str:
    """A file of this machine; nothing where no change came to make it."""
    return Path(path).read_text() if Path(path).exists() else ""


@pytest.fixture
def real_sshds(sshd_installed: None, tmp_path: Path) -> Iterator[list[Site]]:
    """Debian's own sshd on this machine, twice; each is a host of its own."""
    ledgers = tmp_path / "ledgers"
    ledgers.mkdir()
    with ExitStack() as stack:
        servers = [Sshd() for _ in range(2)]
        for server in servers:
            stack.callback(server.stop)
            server.start()
        yield [Site(server.host(), read_here, str(ledgers)) for server in servers]
