"""SIGKILL at every event boundary: after a resume every change happened once, and one true log.

The boundaries are dealt out to ``SHARES`` tests, so that they can run beside each other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.durable.harness import EXPECTED, KILLS, Site, Tally, prepare, row, start, sweep

SHARES = range(12)
WHERE = ("practice_hosts", "real_sshds")


def moments(seqs: Sequence[int], settled: Sequence[int]) -> list[int]:
    """Every moment of a run to be killed at: after each event but the last, and before each result."""
    return [*seqs[:-1], *(-seq for seq in settled)]


def share_of(all_moments: Sequence[int], share: int) -> list[int]:
    """The moments of one share. A moment's share depends on its event's number alone, so that runs
    of different lengths leave no moment to nobody."""
    return [moment for moment in all_moments if abs(moment) % len(SHARES) == SHARES.index(share)]


@pytest.mark.sshd
@pytest.mark.timeout(600)
@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("where", WHERE)
def test_a_kill_at_every_event_boundary(
    where: str, share: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    sites: list[Site] = request.getfixturevalue(where)
    whole = prepare(tmp_path / "whole", sites[0])
    assert start(whole) == 0, whole.outputs
    assert sites[0].read(whole.ledger).split() == EXPECTED
    events = whole.events
    assert len(events) > 50
    settled = [event.seq for event in events if event.kind == "settled"]
    assert len(settled) >= len(EXPECTED)
    mine = share_of(moments([event.seq for event in events], settled), share)
    tally = sweep(tmp_path, sites, mine, whole.page)
    request.node.user_properties.append((KILLS, (where, tally.figures())))
    assert not tally.problems, "\n".join(tally.problems[:20])
    assert tally.kills == len(mine)


@pytest.mark.parametrize("length", [1, 2, 11, 12, 13, 51, 70, 100])
def test_the_shares_hold_every_moment_once(length: int) -> None:
    """A share that is left out, or a moment that no share has, fails here."""
    marks = test_a_kill_at_every_event_boundary.pytestmark  # type: ignore[attr-defined]
    (marked,) = (mark for mark in marks if mark.args[:1] == ("share",))
    seqs = list(range(1, length + 1))
    dealt: Counter[int] = Counter()
    for share in marked.args[1]:
        dealt.update(share_of(moments(seqs, seqs[::3]), share))
    assert dealt == Counter([*range(1, length), *range(-length, 0)[::-1][::3]])


def test_figures_add_up() -> None:
    figures = Tally(5, 1, ["at event 1: lost: x", "at event 2: doubled: y"]).figures()
    assert row("here", [figures, figures]) == "here: 10 kills, 2 lost, 2 doubled, 2 in doubt"
