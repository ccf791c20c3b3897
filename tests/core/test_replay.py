"""Replay: at every point of a journal, a fresh process says the very next thing that was done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tastyops.advance.core import advance
from tastyops.advance.live import LiveLanes
from tastyops.advance.moves import Append, Parked, Perform, PickUp
from tastyops.commands import Change, describe
from tastyops.journal.envelope import Event
from tastyops.journal.events import Intended, Settled
from tastyops.journal.state import fold
from tastyops.plan import Plan
from tests.core.driving import Ran, drive, plan_of
from tests.core.fake import FakeHost

EVERYTHING = """
title: Everything
hosts: [web1, web2]
inputs: {times: 3}
works:
  - work: Look
    when: times > 1
    steps:
      - {run: measure, reads: true, register: m, until: m.stdout == "ready", retries: 5, delay: 1s}
      - {confirm: "Go on {{ times }} times?"}
      - {run: "use {{ m.stdout }}", confirm: Sure?, log: "Used after {{ m.seconds }} seconds."}
  - work: Watch
    steps:
      - {watch: {command: progress, every: 10s, what: Sync}}
      - {run: skipped, when: m.rc != 0}
      - {ask: Which?, register: which}
      - {run: "take {{ which.value }}"}
"""


class Person:
    def answer(self, question: dict[str, str], **_: object) -> tuple[str, str]:
        return ("sdb" if question["question"] == "ask" else "yes"), "ncm"


def host() -> FakeHost:
    return FakeHost(
        {
            "measure": [(1, ""), (0, "not yet"), (0, "ready")],
            "use ready": (0, "x" * 10_000),
            "progress": [(0, "10%"), (0, "10%"), (0, "60%"), (0, "100%")],
            "take sdb": (0, ""),
        }
    )


@pytest.fixture
def plan() -> Plan:
    return plan_of(EVERYTHING, "web1", "web2")


@pytest.fixture
def ran(plan: Plan, tmp_path: Path) -> Ran:
    ran = drive(plan, tmp_path, operators=[Person()], web1=host(), web2=host())
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 0
    return ran


def load(ran: Ran, digest: str) -> bytes:
    return (ran.directory / "blobs" / digest).read_bytes()


def under_way(event: Event, later: list[Event]) -> bool:
    """Whether this intent's outcome lies after the cut."""
    return isinstance(event.body, Intended) and any(
        isinstance(e.body, Settled) and e.at == event.at for e in later
    )


def test_every_prefix_of_a_journal_leads_to_what_came_next(plan: Plan, ran: Ran) -> None:
    compared = 0
    for cut in range(1, len(ran.events)):
        before, after = ran.events[:cut], ran.events[cut:]
        state = fold(before, lambda digest: load(ran, digest))
        busy = {(e.at.host, e.at.step) for e in before if under_way(e, after)}
        for move in advance(plan, state, LiveLanes(), busy):
            following = [
                e for e in after if e.at.host == move.at.host and e.at.step == move.at.step
            ]
            following = following or [e for e in after if not e.at.step]
            compared += 1
            if isinstance(move, Append):
                assert (move.at, move.body) == (following[0].at, following[0].body)
            elif isinstance(move, Parked):
                assert following[0].kind == "answered"
            elif isinstance(move, Perform):
                assert following[0].body.digest == move.digest  # type: ignore[attr-defined]
                assert following[0].at == move.at
    assert compared > 100


def test_live_generators_and_replayed_ones_agree(plan: Plan, ran: Ran) -> None:
    kept = LiveLanes()
    for cut in range(1, len(ran.events)):
        state = fold(ran.events[:cut], lambda digest: load(ran, digest))
        busy = {(e.at.host, e.at.step) for e in ran.events[:cut] if under_way(e, ran.events[cut:])}
        assert advance(plan, state, kept, busy) == advance(plan, state, LiveLanes(), busy)


def test_an_intent_without_an_outcome_is_looked_for_and_not_repeated(plan: Plan, ran: Ran) -> None:
    cut = next(i for i, e in enumerate(ran.events) if isinstance(e.body, Intended)) + 1
    state = fold(ran.events[:cut])
    at = ran.events[cut - 1].at
    (move,) = [m for m in advance(plan, state, LiveLanes()) if m.at.host == at.host]
    assert isinstance(move, PickUp)
    assert (move.at, move.fate) == (at, f"{at.step}.{at.attempt}.{at.n}")


def test_another_command_than_the_one_begun_is_in_doubt(ran: Ran) -> None:
    changed = plan_of(EVERYTHING.replace("run: measure", "run: measure --twice"), "web1", "web2")
    cut = next(i for i, e in enumerate(ran.events) if isinstance(e.body, Settled)) + 1
    state = fold(ran.events[:cut])
    at = ran.events[cut - 1].at
    (move,) = [m for m in advance(changed, state, LiveLanes()) if m.at.host == at.host]
    assert isinstance(move, Append)
    assert "differs from the one begun" in move.body.why  # type: ignore[attr-defined]


def test_large_output_survives_replay(ran: Ran) -> None:
    ended = [e for e in ran.events if e.kind == "step-ended" and e.at.step == "1.3"]
    assert len(ended[0].body.registered["stdout"]) == 10_000  # type: ignore[attr-defined]


def test_a_command_describes_itself_the_same_every_time() -> None:
    one, other = Change(("a", "b"), stdin=b"x"), Change(("a", "b"), stdin=b"y")
    assert describe(one) == describe(Change(("a", "b"), stdin=b"x"))
    assert describe(one) != describe(other)
