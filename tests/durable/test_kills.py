"""SIGKILL at every event boundary: after a resume every change happened once, and one true log."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.durable.harness import EXPECTED, Site, prepare, start, sweep

pytestmark = [pytest.mark.sshd, pytest.mark.timeout(1200)]


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
