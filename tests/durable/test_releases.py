"""SIGHUP, SIGTERM and a closed terminal at event boundaries: as after a kill, nothing is lost.

Every push tries a sample of the boundaries, other ones for each way; ``--long`` tries them all.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from tests.durable.harness import (
    EXPECTED,
    IN_DOUBT,
    KILLS,
    Attempt,
    Site,
    begin,
    finish,
    opening,
    prepare,
    start,
    sweep,
)
from tests.durable.pty_process import PtyProcess
from tests.durable.released import CLOSE_IT
from tests.durable.test_kills import moments
from tests.durable.test_letting_go import environment, without_yes
from tests.sshd.watching import wait_for

pytestmark = pytest.mark.sshd

WAYS = ("SIGHUP", "SIGTERM", "SIGHUP on a terminal", "SIGTERM on a terminal", "closed")

APART = 18
"""Boundaries from one that is tried at every push to the next."""

ANSWERS = {r"\[yes/no\] ": "yes\n", r"Which\? \[sdb\] ": "\n"}


def ended(attempt: Attempt, moment: int, way: str) -> int:
    """Starts the run and ends it so at that moment; its exit code."""
    how = way.partition(" ")[0]
    words = ["tests.durable.released", how, str(moment)]
    if way in ("SIGHUP", "SIGTERM"):
        code = finish(attempt, begin(attempt, *opening(attempt), module=words))
    else:
        code = on_a_terminal(attempt, words)
    assert any(attempt.folder.glob("**/runs/*")), attempt.outputs
    found = {event.kind for event in attempt.events}
    assert not {"cancel-asked", "stop-asked"} & found, found
    assert (code == 0) == ("run-closed" in found), (code, found, attempt.outputs)
    assert code == 0 or "**Status:** In progress" in attempt.page
    return code


def on_a_terminal(attempt: Attempt, words: list[str]) -> int:
    """A person at the terminal answers what is asked, until the terminal or the run is gone."""
    argv = [sys.executable, "-m", *words, *without_yes(attempt)]
    with PtyProcess(argv, attempt.folder, environment(attempt)) as terminal:
        for pattern, answer in ANSWERS.items():
            threading.Thread(target=terminal.answer, args=(pattern, answer), daemon=True).start()
        if words[1] == "closed":
            asked = attempt.folder / CLOSE_IT
            wait_for(lambda: asked.exists() or terminal.process.poll() is not None, 120)
            terminal.close()
        code = terminal.ended()
        attempt.outputs.append(terminal.seen)
    assert "Traceback" not in terminal.seen
    return code


def swept(
    way: str, where: str, folder: Path, request: pytest.FixtureRequest, apart: int = 1
) -> None:
    """Tries one way at every boundary, or at one of so many."""
    sites: list[Site] = request.getfixturevalue(where)
    whole = prepare(folder / "whole", sites[0])
    assert start(whole) == 0, whole.outputs
    assert sites[0].read(whole.ledger).split() == EXPECTED
    events = whole.events
    settled = [event.seq for event in events if event.kind == "settled"]
    mine = moments([event.seq for event in events], settled)[WAYS.index(way) % apart :: apart]
    tally = sweep(
        folder, sites, mine, whole.page, lambda attempt, moment: ended(attempt, moment, way),
        (IN_DOUBT, 0),
    )
    request.node.user_properties.append((KILLS, (f"{where}, {way}", tally.figures())))
    assert not tally.problems, "\n".join(tally.problems[:20])
    assert tally.kills == len(mine) > 2
    assert tally.doubts == 0, "nothing that the host keeps may be in doubt"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("way", WAYS)
def test_letting_go_at_some_event_boundaries(
    way: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    swept(way, "real_sshds", tmp_path, request, APART)


@pytest.mark.long
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("where", ["practice_hosts", "real_sshds"])
def test_letting_go_at_every_event_boundary(
    where: str, way: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    swept(way, where, tmp_path, request)
