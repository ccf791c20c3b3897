"""What must be true of a journal, whatever happened to its run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from tastyops.journal.envelope import Event
from tastyops.journal.events import (
    Answered,
    AttemptEnded,
    CancelAsked,
    Decided,
    Intended,
    Noted,
    RunClosed,
    Settled,
    StepStarted,
    StopAsked,
    WorkEnded,
)
from tastyops.journal.state import Lane, RunState, fold
from tastyops.model.outcome import Outcome
from tastyops.plan.advance import CANCELLED, COMPLETED, NOT_COMPLETED, NOT_PART
from tastyops.plan.plan import Plan
from tastyops.records.blobs import read_blob
from tastyops.records.runs import BLOBS
from tests.machine.rough import RoughHost


def bare(state: RunState) -> RunState:
    """Without the lanes that were only spoken of."""
    return replace(state, lanes={key: lane for key, lane in state.lanes.items() if lane != Lane()})


def folded(events: Sequence[Event], directory: Path) -> RunState:
    return fold(events, lambda digest: read_blob(directory / BLOBS / digest))


def intended_before(journal: bytes, host: str, name: str) -> bool:
    """Whether these bytes, which are on the disk, hold the intent of that change."""
    for line in journal.splitlines():
        if b'"kind":"intended"' in line:
            data = json.loads(line)
            if data["host"] == host and data["body"]["fate"].endswith(f"/{name}"):
                return True
    return False


def of_order(plan: Plan, events: Sequence[Event]) -> None:
    """Nothing is answered unasked, begun twice, or begun although a person said stop."""
    recovery = {step.id for step in plan.runbook.every_step() if step.recovery}
    beside = {step.id for step in plan.runbook.every_step() if step.background}
    started: dict[tuple[str, str], int] = {}
    free: set[tuple[str, str]] = set()
    intents: set[tuple[str, str, int, int]] = set()
    cancelled = stopped = False
    state = RunState()
    for event in events:
        at, lane = event.at, (event.at.host, event.at.step)
        match event.body:
            case StepStarted():
                assert at.attempt == started.get(lane, 0) + 1, event
                assert at.attempt == 1 or lane in free, event
                started[lane] = at.attempt
                free.discard(lane)
            case AttemptEnded():
                free.add(lane)
            case Decided(decision="retry"):
                free |= {key for key in started if key[1] == at.step}
            case Answered():
                assert state.question(at) is not None, event
            case Intended():
                mark = (at.host, at.step, at.attempt, at.n)
                assert mark not in intents, event
                intents.add(mark)
                assert at.attempt == started[lane], event
                assert at.step in recovery or not cancelled, event
                assert at.step in recovery | beside or not stopped, event
            case CancelAsked():
                cancelled = True
            case StopAsked():
                stopped = True
        if isinstance(event.body, Decided):
            stopped = False
        assert state.closed is None, event
        state.apply(event)


def of_hosts(events: Sequence[Event], hosts: dict[str, RoughHost]) -> None:
    """What the hosts did and what the journal says of it."""
    intents = {(e.at.host, e.body.fate.rpartition("/")[2]) for e in events if isinstance(e.body, Intended)}
    for name, host in hosts.items():
        for change, times in host.done.items():
            assert times == 1, (name, change, times)
            assert (name, change) in intents, (name, change)
    fates = {e.at: e.body.fate.rpartition("/")[2] for e in events if isinstance(e.body, Intended)}
    for event in events:
        if isinstance(event.body, Settled) and event.at in fates and event.body.how == "output":
            assert hosts[event.at.host].done[fates[event.at]] == 1, event


def of_notes(events: Sequence[Event]) -> set[str]:
    """No remark stands there twice; gives those that do."""
    ids = [event.body.id for event in events if isinstance(event.body, Noted)]
    assert len(ids) == len(set(ids))
    return set(ids)


def of_the_end(plan: Plan, state: RunState) -> None:
    """The run's end, its works' and its steps' agree."""
    closed = state.closed
    assert isinstance(closed, RunClosed)
    works: dict[int, WorkEnded] = state.works
    assert set(works) == {work.number for work in plan.runbook.works}
    statuses = {work.status for work in works.values()}
    assert statuses <= {COMPLETED, NOT_COMPLETED, CANCELLED, NOT_PART}
    assert (closed.exit_code == 0) == (closed.status == COMPLETED)
    if closed.status == COMPLETED:
        assert NOT_COMPLETED not in statuses
    elif statuses <= {COMPLETED, NOT_PART}:
        raise AssertionError(f"{closed} with {works}")
    for work in plan.runbook.works:
        lanes = [state.lanes.get((host, step.id)) for step in work.steps for host in plan.lanes[step.id]]
        ends = [None if lane is None else lane.ended for lane in lanes]
        well = all(end is not None and Outcome(end.outcome).good for end in ends)
        assert (works[work.number].status == COMPLETED) == well, (works[work.number], ends)
        if works[work.number].status == CANCELLED:
            assert not any(lane is not None and lane.changed for lane in lanes), work.number
