"""Calling the operators: when, with which words, and that no announcer harms a run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tastyops.app import announcing
from tastyops.app.announcing import Caller, CommandAnnouncer
from tastyops.errors import WaitsForPerson
from tastyops.journal.events import Body, Called
from tastyops.journal.state import fold
from tastyops.ports import OperatorKind
from tastyops.records.runs import hand_in, read_events
from tastyops.runbook.inventory_file import read_inventory
from tests.core.driving import Ran, drive, plan_of
from tests.core.fake import FakeClock, FakeHost

BOOK = """
title: T
hosts: web1
works:
  - work: First
    steps: [{run: first}]
"""


class Recording:
    def __init__(self, problem: str = "") -> None:
        self.calls: list[tuple[str, Mapping[str, str]]] = []
        self.problem = problem

    def call(self, sentence: str, facts: Mapping[str, str]) -> str:
        self.calls.append((sentence, facts))
        return self.problem

    @property
    def sentences(self) -> list[str]:
        return [sentence for sentence, _ in self.calls]


class Slow:
    """A person who takes a while: until ``ready`` says so."""

    kind = OperatorKind.PERSON

    def __init__(self, answer: str, ready: Callable[[], bool]) -> None:
        self.said, self.ready = answer, ready

    def answer(self, question: dict[str, Any], **_: object) -> tuple[str, str] | None:
        deadline = time.monotonic() + 60
        while not self.ready():
            assert time.monotonic() < deadline, "nobody was called"
            time.sleep(0.01)
        return self.said, "ncm"


def called(
    tmp_path: Path, announcer: Recording, operator: Any, status: int
) -> tuple[Ran, list[str], list[str]]:
    """A run with a caller among its listeners; gives also the bells and what was said."""
    rung: list[str] = []
    said: list[str] = []
    made: list[Caller] = []

    def hand(body: Body) -> None:
        hand_in(tmp_path / "runs" / "r1", "dwm", body, FakeClock().now())

    def before(driving: Any, _: object) -> None:
        made.append(
            Caller(
                driving.state, announcer, hand=hand, ring=lambda: rung.append("bell"),
                say=said.append,
            )
        )  # fmt: skip
        driving._listeners = (*driving._listeners, made[0])

    host = FakeHost({"first": (status, "the host's own words")})
    try:
        ran = drive(
            plan_of(BOOK, "web1"), tmp_path, operators=[operator], before=before, web1=host
        )
    except WaitsForPerson:
        made[0].left()
        raise
    finally:
        made[0].finish()
    return ran, rung, said


def test_a_failure_that_waits_calls_once_and_the_journal_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcing, "GRACE", 0.01)
    announcer = Recording()

    def ready() -> bool:
        journal = tmp_path / "runs" / "r1" / "journal.jsonl"
        return b'"called"' in journal.read_bytes()

    ran, rung, said = called(tmp_path, announcer, Slow("abort", ready), 1)
    assert announcer.sentences == [
        "[] T waits for a decision about what failed at step 1.1.",
        "[] T ended: Ended without completion.",
    ]
    assert announcer.calls[0][1] == {
        "what": "waits", "run": "r1", "log": "", "step": "1.1", "attending": "dwm",
    }  # fmt: skip
    assert ran.bodies("called") == [Called(announcer.sentences[0])]
    assert (rung, said) == (["bell"], [])  # the prompt has its own; the end has none
    assert "words" not in str(announcer.calls)


def test_what_is_answered_at_once_and_what_goes_well_calls_nobody(tmp_path: Path) -> None:
    announcer = Recording()
    _, rung, _ = called(tmp_path, announcer, Slow("abort", lambda: True), 0)
    assert (announcer.calls, rung) == ([], [])


def test_an_announcer_that_fails_is_said_and_harms_nothing(tmp_path: Path) -> None:
    announcer = Recording("mail cannot be run: no such file")
    ran, _, said = called(tmp_path, announcer, Slow("abort", lambda: True), 1)
    assert ran.state.closed is not None
    assert said == ["Nobody could be called: mail cannot be run: no such file."]


class Absent:
    kind = OperatorKind.PERSON

    def answer(self, question: dict[str, Any], **_: object) -> None:
        return None


def test_a_run_that_is_left_waiting_calls_as_it_leaves(tmp_path: Path) -> None:
    announcer = Recording()
    with pytest.raises(WaitsForPerson):
        called(tmp_path, announcer, Absent(), 1)
    assert announcer.sentences == ["[] T waits for a decision about what failed at step 1.1."]
    state = fold(read_events(tmp_path / "runs" / "r1"))
    again = Recording()

    def resumed() -> Caller:
        return Caller(state, again, hand=lambda _: None, ring=lambda: None, say=lambda _: None)

    one = resumed()
    one.left()
    one.finish()
    assert again.sentences == announcer.sentences  # the first call's event is not in the journal
    state.called.add(announcer.sentences[0])
    two = resumed()
    two.left()
    two.finish()
    assert len(again.calls) == 1  # a timer that resumes it each minute calls nobody anew


def test_the_command_gets_the_sentence_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASTYOPS_SUDO_PASSWORD", "hunter2hunter2")
    told = tmp_path / "told"
    script = f"cat > {told}; env >> {told}; echo noise; echo noise >&2"
    problem = CommandAnnouncer(["sh", "-c", script]).call("It waits.", {"log": "2026/001"})
    assert problem == ""
    text = told.read_text()
    assert text.startswith("It waits.\n")
    assert "TASTYOPS_LOG=2026/001\n" in text
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (["/does/not/exist"], "/does/not/exist cannot be run: No such file or directory"),
        (["sh", "-c", "exit 3"], "sh ended with status 3"),
        (["true"], ""),
        (["\0"], "\0 cannot be run: that is no command"),
    ],
)
def test_how_a_command_can_fail(argv: list[str], problem: str) -> None:
    assert CommandAnnouncer(argv).call("x" * 200_000, {}) == problem


def test_a_command_that_hangs_is_killed_with_all_it_began(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"sleep 1000 & echo $! > {pid}; wait"
    problem = CommandAnnouncer(["sh", "-c", script], patience=1.0).call("x", {})
    assert problem == "sh was stopped: it took longer than 1 s"
    child = int(pid.read_text())
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        if "Z" in Path(f"/proc/{child}/stat").read_text().split(")")[1][:4]:
            return
        time.sleep(0.01)
    raise AssertionError("it still runs")


def test_the_inventory_says_the_command() -> None:
    data = b"hosts: {web1: {}}\nannounce: {command: [mail, -s, Attention, dwm]}\n"
    assert read_inventory(data, "i.yml").announce == ("mail", "-s", "Attention", "dwm")
