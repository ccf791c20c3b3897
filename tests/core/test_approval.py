"""Another operator's yes: who may give it, its entry in the log, who is never asked."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tastyops.app.attendance_check import need_another_operator, need_nobody
from tastyops.errors import NeedsPerson, WaitsForPerson
from tastyops.journal.events import Answered
from tastyops.ports import OperatorKind
from tastyops.practice.hands import Hands
from tastyops.records.mailbox import BOARD, DeskKeeper, desk_of, laid_on, put_answer, read_board
from tastyops.records.runs import hand_in
from tests.core.driving import Ran, drive, dry, plan_of
from tests.core.fake import FakeClock, FakeHost

KEY = """
title: T
hosts: web1
works:
  - work: First
    steps:
      - run: first
        name: Do it
        confirm: {by: another operator}
"""
ACTION = """
title: T
hosts: web1
works:
  - work: First
    steps:
      - confirm: {question: Shall it be?, by: another operator}
      - run: first
"""
OTHER = 54321
"""A uid that no account has."""


class Nobody:
    """At the terminal, but another's word is not theirs to give; sees that somebody else is asked."""

    kind = OperatorKind.PERSON

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.asked: list[dict[str, Any]] = []
        self.then = then

    def answer(self, question: dict[str, Any], **_: object) -> None:
        self.asked.append(question)
        self.then()


def approving(
    tmp_path: Path, text: str, *values: str, uid: int = OTHER, host: FakeHost | None = None
) -> tuple[Ran, FakeHost]:
    """A run whose questions another account answers, one after the other."""
    host = host or FakeHost({"first": (0, "")})
    left, run = list(values), tmp_path / "runs" / "r1"

    def lay() -> None:
        board = read_board(desk_of(run))
        if board is None or not left:
            return
        for question in board.questions:
            path = put_answer(desk_of(run), board, question, left.pop(0))
            os.chown(path, uid, uid)

    def keep(driving: Any, _: Any) -> None:
        driving._listeners = (*driving._listeners, DeskKeeper(run, driving.state))

    ran = drive(plan_of(text, "web1"), tmp_path, operators=[Nobody(lay)], before=keep, web1=host)
    return ran, host


as_root = pytest.mark.skipif(os.getuid() != 0, reason="giving a file another owner needs root")


@as_root
def test_the_step_waits_for_another_account_and_the_log_says_whose_word_it_was(
    tmp_path: Path,
) -> None:
    ran, host = approving(tmp_path, KEY, "yes")
    assert host.sent == ["first"]
    assert ran.transcript == [
        f"Step 1.1 'Do it' was approved by uid {OTHER}.",
        "Step 1.1 'Do it' completed.",
    ]
    (answered,) = [event for event in ran.events if event.kind == "answered"]
    assert answered.who == f"uid {OTHER}"
    assert not desk_of(ran.directory).exists()


@as_root
def test_a_no_of_another_operator_stops_the_step(tmp_path: Path) -> None:
    with pytest.raises(WaitsForPerson, match=r"Step 1.1 \(confirm\) was cancelled"):
        approving(tmp_path, ACTION, "no")


@as_root
def test_root_is_nobody_in_particular(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "r1"

    def hand() -> None:
        (board,) = [read_board(desk_of(run))]
        assert board is not None
        put_answer(desk_of(run), board, board.questions[0], "yes")  # root's own file
        hand_in(run, "ncm", Answered("yes"), FakeClock().now())  # and one by way of the spool

    def keep(driving: Any, _: Any) -> None:
        driving._listeners = (*driving._listeners, DeskKeeper(run, driving.state))
        driving._context = replace(driving._context, waits=False)

    with pytest.raises(WaitsForPerson, match="waits for another operator: Shall it be"):
        drive(
            plan_of(ACTION, "web1"),
            tmp_path,
            operators=[Nobody(hand)],
            before=keep,
            web1=FakeHost(),
        )


def test_on_a_practice_host_hands_play_the_other_operator_and_the_log_says_so(
    tmp_path: Path,
) -> None:
    host = FakeHost({"first": (0, "")})
    ran = drive(plan_of(KEY, "web1"), tmp_path, operators=[Hands()], web1=host)
    assert ran.transcript[0] == (
        "Step 1.1 'Do it' was approved by practice hands, which play the other operator."
    )


@pytest.mark.parametrize("text", [KEY, ACTION])
def test_yes_never_answers_it(text: str) -> None:
    plan = plan_of(text, "web1")
    with pytest.raises(NeedsPerson, match=r"step 1\.1 wants the yes of another operator"):
        need_nobody(plan, yes=True, answers={}, hands=False)
    need_nobody(plan, yes=False, answers={}, hands=True)


def test_where_there_is_no_other_operator_it_is_refused_beforehand() -> None:
    plan = plan_of(ACTION, "web1")
    with pytest.raises(NeedsPerson, match="has no operator but dwm"):
        need_another_operator(plan, "dwm", ["dwm"])
    need_another_operator(plan, "dwm", ["dwm", "ncm"])
    need_another_operator(plan, "dwm", [])
    need_another_operator(
        plan_of(ACTION.replace(", by: another operator", ""), "web1"), "dwm", ["dwm"]
    )


# -- the desk ----------------------------------------------------------------------------------


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    made = desk_of(tmp_path / "r1")
    made.mkdir()
    return made


def answer(**other: object) -> bytes:
    good: dict[str, object] = {
        "run": "r1", "value": "yes", "question": "d", "host": "", "step": "1.1", "attempt": 1, "n": 1,
    }  # fmt: skip
    return json.dumps(good | other).encode()


def test_an_answer_is_its_files_owners(desk: Path) -> None:
    (desk / "a.json").write_bytes(answer(who="ncm", account=1))
    ((path, handed),) = laid_on(desk.parent / "r1")
    assert (path, handed.account, handed.body) == (desk / "a.json", os.getuid(), Answered("yes"))
    assert handed.who != "ncm"


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b"\xff", b"[" * 4000, answer(run="r2"), answer(attempt="x"),
     answer(value="y" * 5000), answer(question=None, step=None)[:-1]],
)  # fmt: skip
def test_what_is_no_answer_to_this_run_is_removed(desk: Path, data: bytes) -> None:
    (desk / "a.json").write_bytes(data)
    assert laid_on(desk.parent / "r1") == []
    assert not (desk / "a.json").exists()


def test_links_and_pipes_are_no_answers(desk: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(answer())
    os.link(tmp_path / "elsewhere", desk / "hard.json")
    os.symlink(tmp_path / "elsewhere", desk / "soft.json")
    os.mkfifo(desk / "pipe.json")
    (desk / "folder.json").mkdir()
    assert laid_on(desk.parent / "r1") == []
    assert (tmp_path / "elsewhere").exists()


def test_a_flood_is_looked_at_in_parts(desk: Path) -> None:
    for number in range(250):
        (desk / f"{number}.json").write_bytes(b"")
    for _ in range(3):
        assert laid_on(desk.parent / "r1") == []
    assert list(desk.iterdir()) == []


@as_root
def test_a_board_is_the_desks_owners_word_only(desk: Path) -> None:
    (desk / BOARD).write_text("{}")
    os.chown(desk / BOARD, OTHER, OTHER)
    assert read_board(desk) is None


def test_a_dry_run_says_whom_it_would_ask() -> None:
    found = dry(plan_of(ACTION, "web1"), web1=FakeHost())
    assert found.steps[0].verdict == "would ask"
    assert found.steps[0].commands == ["ask another operator: Shall it be?"]
