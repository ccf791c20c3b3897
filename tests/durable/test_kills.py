"""SIGKILL at every event boundary: after a resume every change happened once, and one true log."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tastyops.practice.server import PracticeHost
from tests.durable.harness import EXPECTED, Site, prepare, start, sweep
from tests.sshd.server import Sshd

pytestmark = [pytest.mark.sshd, pytest.mark.timeout(1200)]


@pytest.fixture
def practice_site() -> Iterator[Site]:
    """A practice host that outlives its controllers, in real time."""
    with PracticeHost.start("target", scale=1.0) as practice:

        def read(path: str) -> str:
            return practice.machine.execute(["cat", path]).out.decode()

        yield Site(practice.host, read, "/root", practice=True)


def _read(path: str) -> str:
    """A file of this machine; nothing where no change came to make it."""
    return Path(path).read_text() if Path(path).exists() else ""


@pytest.fixture
def sshd_site(sshd: Sshd, tmp_path: Path) -> Site:
    """Debian's own sshd on this machine."""
    ledgers = tmp_path / "ledgers"
    ledgers.mkdir()
    return Site(sshd.host(), _read, str(ledgers))


@pytest.mark.parametrize("where", ["practice_site", "sshd_site"])
def test_a_kill_at_every_event_boundary(
    where: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    site: Site = request.getfixturevalue(where)
    whole = prepare(tmp_path / "whole", site)
    assert start(whole) == 0, whole.outputs
    assert site.read(whole.ledger).split() == EXPECTED
    events = whole.events
    assert len(events) > 50
    unrecorded = [-event.seq for event in events if event.kind == "settled"]
    boundaries = [*range(1, len(events)), *unrecorded]
    tally = sweep(tmp_path, site, boundaries, whole.page)
    capsys.readouterr()
    with capsys.disabled():
        sys.stdout.write(f"\n{tally.row(where)}\n")
    assert not tally.problems, "\n".join(tally.problems[:20])
    assert tally.kills == len(boundaries)
