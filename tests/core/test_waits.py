"""A wait of hours outlives its process: a resumed run waits exactly for the remainder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tastyops.app.environment import SLICE, WallClock
from tastyops.engine.drive import Drive
from tastyops.engine.run_context import RunContext
from tastyops.errors import WaitsForPerson
from tastyops.journal.envelope import Event
from tastyops.journal.events import Resumed, RunOpened
from tastyops.journal.state import RunState
from tastyops.plan.plan import Plan
from tastyops.records.runs import RunJournal, read_events
from tastyops.redact import Masker
from tastyops.ui.prompts import Unattended
from tests.core.driving import plan_of
from tests.core.fake import FakeClock, FakeDialer, FakeHost

WATCH = """
title: T
hosts: web1
works:
  - work: First
    steps:
      - watch: {command: progress, every: 4h}
"""
RETRY = """
title: T
hosts: web1
works:
  - work: First
    steps:
      - run: progress
        reads: true
        until: "'100' in result.stdout"
        delay: 4h
"""
HOURS = 3600.0


class KilledError(Exception):
    """Stands for SIGKILL."""


def carry_on(plan: Plan, journal: RunJournal, state: RunState, clock: FakeClock) -> None:
    host = FakeHost(
        {"progress": [(0, "50%"), (0, "100%")] if state.opened is None else (0, "100%")}
    )
    context = RunContext(
        run="r1", journal=journal, dialer=FakeDialer(web1=host), clock=clock, who="dwm",
        operators=(Unattended("dwm", yes=True, answers={}),), epoch=journal.epoch,
    )  # fmt: skip
    driving = Drive(plan, state, context)
    if state.opened is None:
        driving.append(RunOpened(plan.title, "", "", plan.digest, ["web1"], {}, ["dwm"]))
    else:
        driving.append(Resumed(state.seq, "", plan.digest))
    try:
        driving.run()
    finally:
        journal.close()


def killed_in_its_wait(plan: Plan, tmp_path: Path, after: float) -> None:
    """Leaves the journal of a run whose process died so many seconds into a wait of four hours."""
    clock = FakeClock()
    journal = RunJournal.create(tmp_path, "r1", plan.runbook.source, Masker())

    def sleep(seconds: float, wake: Callable[[float], bool]) -> None:
        assert seconds == 4 * HOURS
        clock.time += timedelta(seconds=after)
        journal.commit()
        raise KilledError

    clock.sleep = sleep  # type: ignore[method-assign]
    state = RunState()
    with contextlib.suppress(WaitsForPerson):  # since nothing says what became of a wait
        carry_on(plan, journal, state, clock)
    path = tmp_path / "r1" / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    waits = next(n for n, line in enumerate(lines) if b'"lost"' in line)
    path.write_bytes(b"".join(lines[:waits]))  # what a killed process did not write any more


def events(tmp_path: Path) -> list[Event]:
    return list(read_events(tmp_path / "r1"))


@pytest.mark.parametrize("text", [WATCH, RETRY], ids=["watch", "retry"])
@pytest.mark.parametrize(
    ("away", "left"),
    [(0.0, 4.0), (1.0, 3.0), (3.5, 0.5), (4.0, 0.0), (90.0, 0.0), (-2.0, 4.0)],
    ids=["at once", "an hour", "late", "just then", "days later", "clock set back"],
)
def test_it_takes_what_is_left(tmp_path: Path, text: str, away: float, left: float) -> None:
    plan = plan_of(text, "web1")
    killed_in_its_wait(plan, tmp_path, after=0.0)
    began = events(tmp_path)[-1].happened_at
    journal, state, _ = RunJournal.reopen(tmp_path / "r1", Masker())
    clock = FakeClock()
    clock.time = began + timedelta(hours=away)
    carry_on(plan, journal, state, clock)
    assert state.closed is not None
    assert state.closed.exit_code == 0
    assert clock.slept == [left * HOURS]


def test_the_real_clock_waits_in_pieces_and_is_woken_at_once() -> None:
    pieces: list[float] = []

    def wake(seconds: float) -> bool:
        pieces.append(seconds)
        return len(pieces) == 3

    WallClock().sleep(4 * HOURS, wake)
    assert pieces == [SLICE] * 3
