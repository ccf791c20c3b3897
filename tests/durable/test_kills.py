"""SIGKILL at every event boundary: after a resume every change happened once, and one true log."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tastyops.practice.server import PracticeHost
from tests.durable.harness import EXPECTED, Site, prepare, start, sweep
from tests.sshd.server import Sshd

pytestmark = [pytest.mark.sshd, pytest.mark.timeout(1200)]


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


def _read(path: str) -> str:
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
        yield [Site(server.host(), _read, str(ledgers)) for server in servers]


@pytest.mark.parametrize("where", ["practice_hosts", "real_sshds"])
def test_a_kill_at_every_event_boundary(
    where: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sites: list[Site] = request.getfixturevalue(where)
    site = sites[0]
    whole = prepare(tmp_path / "whole", site)
    assert start(whole) == 0, whole.outputs
    assert site.read(whole.ledger).split() == EXPECTED
    events = whole.events
    assert len(events) > 50
    unrecorded = [-event.seq for event in events if event.kind == "settled"]
    boundaries = [*range(1, len(events)), *unrecorded]
    tally = sweep(tmp_path, sites, boundaries, whole.page)
    capsys.readouterr()
    with capsys.disabled():
        sys.stdout.write(f"\n{tally.row(where)}\n")
    assert not tally.problems, "\n".join(tally.problems[:20])
    assert tally.kills == len(boundaries)
