"""The at-risk period in a run: what waits for it, what its end holds up, and who may decide."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tastyops.engine.drive import Drive
from tastyops.errors import WaitsForPerson
from tastyops.journal.envelope import stamp
from tastyops.journal.events import CancelAsked, StopAsked, WindowSet
from tastyops.journal.state import fold
from tastyops.ports import Operator, OperatorKind
from tastyops.records.runs import hand_in
from tastyops.ui.prompts import Unattended
from tests.core.driving import Ran, drive, plan_of
from tests.core.fake import FakeClock, FakeHost

BOOK = """
title: T
hosts: web1
works:
  - work: First
    steps:
      - run: first
      - run: after
        name: Go on
  - work: Second
    steps: [{run: second}]
rescue: [{run: mend}]
"""
START = FakeClock().now()


class Person:
    """Answers as told, and keeps what was asked."""

    kind = OperatorKind.PERSON

    def __init__(self, *answers: str) -> None:
        self.answers, self.asked = list(answers), list[dict[str, Any]]()

    def answer(self, question: dict[str, Any], **_: object) -> tuple[str, str]:
        self.asked.append(question)
        return self.answers.pop(0), "ncm"


def run(
    tmp_path: Path,
    operator: Operator,
    *,
    ends: float = 3600.0,
    begins: float | None = None,
    takes: float = 0.0,
    meanwhile: Callable[[Drive], None] = lambda _: None,
    text: str = BOOK,
) -> tuple[Ran, FakeHost]:
    """A run whose first step takes so many seconds; times count from its beginning."""
    clock: list[FakeClock] = []

    def first() -> tuple[int, str]:
        clock[0].time += timedelta(seconds=takes)
        return 0, ""

    host = FakeHost({"first": first, "after": (0, ""), "second": (0, ""), "mend": (0, "")})

    def before(driving: Drive, _: object) -> None:
        clock.append(driving._clock)  # type: ignore[arg-type]
        start = stamp(START + timedelta(seconds=begins)) if begins is not None else ""
        driving.append(WindowSet(stamp(START + timedelta(seconds=ends)), start))
        meanwhile(driving)

    ran = drive(plan_of(text, "web1"), tmp_path, operators=[operator], before=before, web1=host)
    assert fold(ran.events).window == ran.state.window
    return ran, host


def code(ran: Ran) -> int:
    assert ran.state.closed is not None
    return ran.state.closed.exit_code


def test_within_it_nothing_is_asked_and_the_log_shows_it(tmp_path: Path) -> None:
    ran, host = run(tmp_path, Person(), takes=3000.0)
    assert host.sent == ["first", "after", "second"]
    assert ran.log.document().at_risk == "from 1300hrs until 1400hrs"
    assert "At-risk period:** from 1300hrs until 1400hrs." in ran.log.page.read_text()
    assert ran.bodies("window-ended") == []


def test_after_it_no_step_begins_without_a_word_and_one_word_is_enough(tmp_path: Path) -> None:
    person = Person("go-on")
    ran, host = run(tmp_path, person, takes=4000.0)
    assert host.sent == ["first", "after", "second"]
    assert [asked["text"] for asked in person.asked] == [
        "The at-risk period is over. Go on with step 1.2 'Go on' and what follows it?"
    ]
    assert person.asked[0]["choices"] == ["go-on", "cancel"]
    assert ran.transcript == [
        "The at-risk period is over; the works are not finished.",
        "Step 1.1 (run) completed.",
        "The works go on past the end of the at-risk period.",
        "Step 1.2 'Go on' completed.",
        "Step 2.1 (run) completed.",
    ]
    assert code(ran) == 0
    (decided,) = [event for event in ran.events if event.kind == "decided"]
    assert decided.who == "ncm"


def test_a_persons_no_ends_the_run_truthfully_and_what_mends_is_still_done(tmp_path: Path) -> None:
    ran, host = run(tmp_path, Person("cancel"), takes=4000.0)
    assert host.sent == ["first", "mend"]
    assert ran.works == [
        "(Not completed: the at-risk period was over)",
        "(Cancelled: the at-risk period was over)",
    ]
    assert "No further works are begun: the at-risk period is over." in ran.transcript
    assert ran.log.document().status.startswith("Ended without completion")
    assert code(ran) == 3


def test_with_nobody_there_the_run_ends_before_the_next_step(tmp_path: Path) -> None:
    ran, host = run(tmp_path, Unattended("dwm", yes=True, answers={}), takes=4000.0)
    assert host.sent == ["first", "mend"]
    assert code(ran) == 3
    (decided,) = [event for event in ran.events if event.kind == "decided"]
    assert decided.who == "tastyops"


def test_one_gone_on_with_by_a_timer_waits_for_a_person(tmp_path: Path) -> None:
    timer = Unattended("dwm", yes=True, answers={}, patient=True)
    with pytest.raises(WaitsForPerson, match="The at-risk period is over"):
        run(tmp_path, timer, takes=4000.0)


def test_before_it_the_run_waits(tmp_path: Path) -> None:
    ran, host = run(tmp_path, Person(), begins=100.0, ends=3600.0)
    assert host.sent == ["first", "after", "second"]
    assert sum(ran.clock.slept) == 100.0
    (began,) = [event for event in ran.events if event.kind == "window-began"]
    started = next(event for event in ran.events if event.kind == "work-started")
    assert began.happened_at == START + timedelta(seconds=100) <= started.happened_at


@pytest.mark.parametrize("word", [CancelAsked("no"), StopAsked("Ctrl-C")])
def test_a_run_that_waits_for_it_can_be_ended(tmp_path: Path, word: CancelAsked) -> None:
    def told(_: Drive) -> None:
        hand_in(tmp_path / "runs" / "r1", "ncm", word, START)

    ran, host = run(tmp_path, Person(), begins=1e6, ends=2e6, meanwhile=told)
    assert host.sent == []
    assert ran.works == ["(Cancelled: the run was cancelled)"] * 2
    assert (code(ran), ran.log.document().status) == (3, "Cancelled")


def test_a_moved_end_counts_from_then_on(tmp_path: Path) -> None:
    person = Person()
    moved = WindowSet(stamp(START + timedelta(seconds=9000)), entry="It now lasts until 1530hrs.")
    ran, host = run(tmp_path, person, takes=4000.0, meanwhile=lambda driving: driving.append(moved))
    assert host.sent == ["first", "after", "second"]
    assert ran.log.document().at_risk == "from 1300hrs until 1530hrs"
    assert "It now lasts until 1530hrs." in ran.transcript


def test_a_step_that_has_begun_is_never_held_up(tmp_path: Path) -> None:
    text = BOOK.replace("      - run: after\n        name: Go on\n", "").replace(
        "      - run: first\n", "      - {run: first, until: 'result.rc == 0', delay: 1h}\n"
    )
    ran, host = run(tmp_path, Person("go-on"), ends=1.0, takes=10.0, text=text)
    assert host.sent == ["first", "second"]
    assert code(ran) == 0
