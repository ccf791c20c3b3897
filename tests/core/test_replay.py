"""Replay: at every point of a journal, a fresh process finds the same next action."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tastyops.journal.envelope import Event
from tastyops.journal.events import Asked, Intended, Reported, Settled, StepEnded
from tastyops.journal.state import Past, fold
from tastyops.model.action import ActionSpec
from tastyops.model.commands import (
    Ask,
    Change,
    Command,
    Probe,
    Report,
    Sleep,
    Steps,
    describe,
    digest,
)
from tastyops.model.public_text import PublicText
from tastyops.plan.advance import advance
from tastyops.plan.generator_cache import LiveLanes
from tastyops.plan.moves import Append, Parked, Perform, PickUp
from tastyops.plan.plan import Plan
from tastyops.ports import OperatorKind
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
    kind = OperatorKind.PERSON

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


def reworded(command: Command) -> Command:
    """The same command as another release might say it to people."""
    match command:
        case Ask(text=text):
            return replace(command, text=f"Please: {text}")
        case Sleep(why=why):
            return replace(command, why=f"{why}, as usual")
        case Report(entry=entry, note=note):
            other = PublicText.fixed(f"Now: {entry.text}") if entry else None
            return replace(command, entry=other, note=f"{note}!")
        case _:
            return command


def passed_through(steps: Steps, change: Callable[[Command], Command]) -> Steps:
    """The commands of an action, each as ``change`` makes it."""
    value: Any = None
    error: Exception | None = None
    while True:
        try:
            command = steps.throw(error) if error else steps.send(value)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            value, error = (yield change(command)), None
        except Exception as thrown:
            error = thrown


def with_every(plan: Plan, change: Callable[[Command], Command]) -> Plan:
    """The plan with every command of its actions changed so."""

    def spec(old: ActionSpec) -> ActionSpec:
        def perform(*given: Any) -> Steps:
            return passed_through(old.perform(*given), change)

        return replace(old, perform=perform)

    return replace(plan, registry={name: spec(old) for name, old in plan.registry.items()})


def test_a_release_that_rewords_every_text_resumes_at_every_point(plan: Plan, ran: Ran) -> None:
    other, compared = with_every(plan, reworded), 0
    for cut in range(1, len(ran.events)):
        before, after = ran.events[:cut], ran.events[cut:]
        state = fold(before, lambda sha256: load(ran, sha256))
        busy = {(e.at.host, e.at.step) for e in before if under_way(e, after)}
        for mine, theirs in zip(
            advance(plan, state, LiveLanes(), busy),
            advance(other, state, LiveLanes(), busy),
            strict=True,
        ):
            assert (mine.at, type(mine)) == (theirs.at, type(theirs))
            if isinstance(mine, Append) and isinstance(theirs, Append):
                assert type(mine.body) is type(theirs.body)
                if isinstance(mine.body, StepEnded):
                    assert mine.body == theirs.body
            compared += 1
    assert compared > 100


QUESTION = Ask("ask", "Which disk?", by="another", default="sda")
PAUSE = Sleep(30.0, "until it is looked at again")
PROGRESS = Report(0.5, PublicText.fixed("Half of it is done."), "50 of 100")
READ = Probe(("cat", "/x"), "line")
SENT = Change(("touch", "/x"), stdin=b"y", settle=READ)

PASTS = {
    "ask": Past("0", asked=Asked("0", "ask", "Which?", "another", "sda")),
    "sleep": Past("0", settled=Settled("0", "slept", command={"sleep": 30.0, "why": "waiting"})),
    "report": Past("0", reported=Reported("0", 0.5, "Half.", "half")),
    "probe": Past(digest(READ), settled=Settled("0", "output", command=describe(READ))),
    "change": Past(digest(SENT), describe(SENT), settled=Settled("0", "output")),
}
"""What the journal of another release holds; the digests of what people read are not ours."""

COMMANDS = {"ask": QUESTION, "sleep": PAUSE, "report": PROGRESS, "probe": READ, "change": SENT}


@pytest.mark.parametrize("held", PASTS)
@pytest.mark.parametrize("wanted", COMMANDS)
def test_a_command_of_the_journal_matches_its_own_kind_only(held: str, wanted: str) -> None:
    assert PASTS[held].matches(COMMANDS[wanted]) is (held == wanted)


@pytest.mark.parametrize(
    ("held", "other"),
    [
        ("ask", Ask("manual", QUESTION.text, "another", "sda")),
        ("ask", Ask("ask", QUESTION.text, None, "sda")),
        ("ask", Ask("ask", QUESTION.text, "another", "sdb")),
        ("ask", Ask("ask", QUESTION.text, "another")),
        ("sleep", Sleep(31.0, PAUSE.why)),
        ("report", Report(0.6, PROGRESS.entry, PROGRESS.note)),
        ("report", Report(None, PROGRESS.entry, PROGRESS.note)),
        ("probe", replace(READ, argv=("cat", "/y"))),
        ("probe", replace(READ, parser="lines")),
        ("probe", replace(READ, sudo=True)),
        ("probe", replace(READ, offline=True)),
        ("probe", replace(READ, via="console")),
        ("change", replace(SENT, argv=("touch", "/y"))),
        ("change", replace(SENT, stdin=b"z")),
        ("change", replace(SENT, sudo=True)),
        ("change", replace(SENT, settle=None)),
        ("change", replace(SENT, settle=replace(READ, parser="lines"))),
    ],
)
def test_a_command_that_differs_in_a_typed_field_does_not_match(held: str, other: Command) -> None:
    assert not PASTS[held].matches(other)


def test_a_wait_that_did_not_end_as_a_wait_is_compared_by_its_digest() -> None:
    lost = Settled(digest(PAUSE), "lost", why="an error in tastyops")
    assert Past(digest(PAUSE), settled=lost).matches(PAUSE)
    assert not Past(digest(SENT), settled=lost).matches(PAUSE)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (READ, "5e6174e52842590e6659002fe9a2dc9f"),
        (SENT, "de489076fd0b4b693b2cdddcf954e7f9"),
        (
            replace(READ, sudo=False, offline=True, via="console"),
            "01436b5f9e459e3a969e6a24587191d6",
        ),
        (
            Change(("mdadm", "--fail", "/dev/md0", "/dev/sdb1"), sudo=True),
            "a13a792f359cdd873d867bb49bb92c8e",
        ),
    ],
)
def test_the_digest_of_a_command_is_that_of_the_first_releases(
    command: Command, expected: str
) -> None:
    assert digest(command) == expected


@pytest.mark.parametrize("size", [1, 65_000, 66_000, 8_000_000])
@pytest.mark.parametrize("character", ["x", "\n", "\x01", "é", '"'])
@pytest.mark.parametrize("status", [0, 1])
def test_a_large_output_that_nothing_registers_is_a_reference(
    tmp_path: Path, size: int, character: str, status: int
) -> None:
    plan = plan_of("title: X\nhosts: web1\nworks: [{work: X, steps: [{run: much}]}]", "web1")
    ran = drive(plan, tmp_path, web1=FakeHost({"much": (status, character * size)}))
    assert ran.state.closed is not None
    longest = max(map(len, (ran.directory / "journal.jsonl").read_bytes().splitlines()))
    assert longest < 1_000_000
    (end,) = ran.bodies("step-ended")
    kept = end.registered["stdout"]
    if size > 66_000 and character not in ("\n", "é"):  # trimmed; more than is parsed, so cut
        assert kept["characters"] > 66_000
        assert any((ran.directory / "blobs").iterdir())


def test_a_large_output_that_is_registered_is_there_for_later_steps(tmp_path: Path) -> None:
    plan = plan_of(
        "title: X\nhosts: web1\nworks: [{work: X, steps: [{run: much, register: m},"
        " {run: 'echo {{ m.stdout | length }}'}]}]",
        "web1",
    )
    host = FakeHost({"much": (0, "x" * 100_000), "echo 100000": (0, "")})
    ran = drive(plan, tmp_path, web1=host)
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 0
