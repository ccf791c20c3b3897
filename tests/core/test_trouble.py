"""A step that did not end well: each choice of the menu, and its entry in the log."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tastyops.errors import HostUnsuitable
from tastyops.journal.envelope import Event
from tastyops.journal.events import Answered, CancelAsked, InputChanged, StopAsked
from tastyops.journal.state import fold
from tastyops.ports import OperatorKind
from tastyops.protocol.framing import Fate
from tastyops.records.runs import hand_in
from tests.core.driving import Ran, drive, plan_of
from tests.core.fake import FakeClock, FakeHost, lost

TWO = """
title: T
hosts: web1
inputs: {size: 1}
works:
  - work: First
    steps:
      - run: first {{ size }}
        name: Do it
      - run: after
  - work: Second
    steps: [{run: second}]
"""


class Person:
    """Answers one question after the other, as told."""

    kind = OperatorKind.PERSON

    def __init__(self, *answers: str, before: Any = None) -> None:
        self.answers, self.before = list(answers), before
        self.asked: list[dict[str, Any]] = []

    def answer(self, question: dict[str, Any], **_: object) -> tuple[str, str]:
        self.asked.append(question)
        if self.before:
            self.before()
        return self.answers.pop(0), "ncm"


def run(tmp_path: Path, person: Person, text: str = TWO, **answers: Any) -> tuple[Ran, FakeHost]:
    host = FakeHost({"after": (0, ""), "second": (0, ""), **answers})
    ran = drive(plan_of(text, "web1"), tmp_path, operators=[person], web1=host)
    assert not person.answers
    again = fold(ran.events)
    assert (again.closed, again.works, again.bad) == (
        ran.state.closed,
        ran.state.works,
        ran.state.bad,
    )
    return ran, host


def code(ran: Ran) -> int:
    assert ran.state.closed is not None
    return ran.state.closed.exit_code


def test_retry(tmp_path: Path) -> None:
    ran, host = run(tmp_path, Person("retry"), **{"first 1": [(1, ""), (0, "")]})
    assert host.sent == ["first 1", "first 1", "after", "second"]
    assert ran.transcript[:3] == [
        "Step 1.1 'Do it' failed.",
        "Step 1.1 'Do it' is tried again.",
        "Step 1.1 'Do it' completed.",
    ]
    assert (code(ran), ran.works) == (0, ["(Completed)", "(Completed)"])
    fates = [event.body.fate for event in ran.events if event.kind == "intended"]  # type: ignore[attr-defined]
    assert len(set(fates)) == len(fates)


def test_skip(tmp_path: Path) -> None:
    ran, host = run(tmp_path, Person("skip"), **{"first 1": (1, "")})
    assert host.sent == ["first 1", "after", "second"]
    assert ran.works == [
        "(Not completed: step 1.1 'Do it' failed and was skipped)",
        "(Completed)",
    ]
    assert ran.log.document().status.startswith("Ended without completion")
    assert (code(ran), "Step 1.1 'Do it' was skipped." in ran.transcript) == (1, True)


def test_cancel_the_work(tmp_path: Path) -> None:
    ran, host = run(tmp_path, Person("cancel-work"), **{"first 1": (1, "")})
    assert host.sent == ["first 1", "second"]
    assert ran.works == ["(Not completed: step 1.1 'Do it' failed)", "(Completed)"]
    assert "The rest of 'First' was cancelled." in ran.transcript


def test_abort(tmp_path: Path) -> None:
    ran, host = run(tmp_path, Person("abort"), **{"first 1": (1, "")})
    assert host.sent == ["first 1"]
    assert ran.works[1] == "(Cancelled: step 1.1 'Do it' failed)"
    assert code(ran) == 1


def test_another_input_then_retry(tmp_path: Path) -> None:
    def change() -> None:
        hand_in(tmp_path / "runs" / "r1", "ncm", InputChanged("size", 2), FakeClock().now())

    ran, host = run(
        tmp_path, Person("retry", before=change), **{"first 1": (1, ""), "first 2": (0, "")}
    )
    assert host.sent[:2] == ["first 1", "first 2"]
    assert code(ran) == 0


def test_what_is_in_doubt_may_have_been_done(tmp_path: Path) -> None:
    from tastyops.protocol.framing import Fate
    from tests.core.fake import lost

    host = FakeHost({"first 1": lost(), "after": (0, ""), "second": (0, "")})
    host.fates["1.1.1.1"] = Fate("lost")
    person = Person("done")
    ran = drive(plan_of(TWO, "web1"), tmp_path, operators=[person], web1=host)
    assert person.asked[0]["choices"][0] == "done"
    assert ran.works == ["(Completed)", "(Completed)"]
    assert "Step 1.1 'Do it' was done, as an operator found." in ran.transcript


def test_a_declined_confirmation_can_be_asked_again(tmp_path: Path) -> None:
    text = "{title: T, hosts: web1, works: [{work: W, steps: [{run: it, confirm: Sure?}]}]}"
    ran, host = run(tmp_path, Person("no", "retry", "yes"), text, it=(0, ""))
    assert (host.sent, code(ran), ran.works) == (["it"], 0, ["(Completed)"])


def test_a_work_cancelled_before_it_did_anything_is_a_persons_choice(tmp_path: Path) -> None:
    text = (
        "{title: T, hosts: web1, works: [{work: W, steps: [{run: it, confirm: Sure?}]},"
        " {work: V, steps: [{run: second}]}]}"
    )
    ran, _ = run(tmp_path, Person("no", "cancel-work"), text)
    assert ran.works == ["(Cancelled: step 1.1 (run) was cancelled)", "(Completed)"]
    assert (code(ran), ran.log.document().status.split(" at ")[0]) == (0, "Completed")


def test_several_hosts_are_one_question_and_only_the_failed_one_is_tried_again(
    tmp_path: Path,
) -> None:
    text = "{title: T, hosts: [web1, web2], works: [{work: W, steps: [{run: it}]}]}"
    one, two = FakeHost({"it": (0, "")}), FakeHost({"it": [(1, ""), (0, "")]})
    person = Person("retry")
    ran = drive(plan_of(text, "web1", "web2"), tmp_path, operators=[person], web1=one, web2=two)
    assert [asked["text"] for asked in person.asked] == ["Step 1.1 (run) failed on web2."]
    assert (one.sent, two.sent, code(ran)) == (["it"], ["it", "it"], 0)
    assert "Step 1.1 (run) on web2 is tried again." in ran.transcript


def test_the_log_names_the_host_on_which_a_step_was_skipped(tmp_path: Path) -> None:
    text = "{title: T, hosts: [web1, web2], works: [{work: W, steps: [{run: it}]}]}"
    one, two = FakeHost({"it": (1, "")}), FakeHost({"it": (0, "")})
    ran = drive(
        plan_of(text, "web1", "web2"), tmp_path, operators=[Person("skip")], web1=one, web2=two
    )
    assert "Step 1.1 (run) on web1 was skipped." in ran.transcript


def test_an_answer_comes_from_another_terminal(tmp_path: Path) -> None:
    class Away:
        kind = OperatorKind.PERSON

        def answer(self, question: dict[str, Any], *, over: Any) -> None:
            directory = tmp_path / "runs" / "r1"
            at = next(e.at for e in reversed(events(directory)) if e.kind == "asked")
            hand_in(directory, "eve", Answered("nonsense"), FakeClock().now(), at=at)
            hand_in(directory, "ncm", Answered("skip"), FakeClock().now(), at=at)
            while not over():
                threading.Event().wait(0.01)

    host = FakeHost({"first 1": (1, ""), "after": (0, ""), "second": (0, "")})
    ran = drive(plan_of(TWO, "web1"), tmp_path, operators=[Away()], web1=host)  # type: ignore[list-item]
    answers = [(e.who, e.body.value) for e in ran.events if e.kind == "answered"]  # type: ignore[attr-defined]
    assert answers == [("ncm", "skip")]


def events(directory: Path) -> Sequence[Event]:
    from tastyops.records.runs import read_events

    return list(read_events(directory))


def test_ctrl_c_stops_the_step_and_asks(tmp_path: Path) -> None:
    def interrupted() -> tuple[int, str]:
        hand_in(tmp_path / "runs" / "r1", "ncm", StopAsked("Ctrl-C"), FakeClock().now())
        return 1, ""

    answers = {"first 1": [interrupted, (0, "")]}
    ran, _ = run(tmp_path, Person("retry"), **answers)
    assert code(ran) == 0
    assert ran.bodies("decided")[0].decision == "retry"


UNDO = """
title: T
hosts: web1
works:
  - work: First
    steps:
      - {run: stop mail, undo: {run: start mail}}
      - {run: stop web, undo: {steps: [{run: start web}], automatic: true}}
      - {run: already, when: 1 > 2, undo: {run: never}}
      - {run: break, on_failure: {run: mend step}}
    on_failure: [{run: mend work}]
  - work: Second
    steps: [{run: second}]
rescue: [{run: "rescue {{ host }}"}]
"""

GOOD = dict.fromkeys(("stop mail", "start mail", "stop web", "start web", "mend step", "mend work", "rescue web1"), (0, ""))  # fmt: skip


def test_recovery_in_its_order(tmp_path: Path) -> None:
    ran, host = run(tmp_path, Person("abort", "yes"), UNDO, **{**GOOD, "break": (1, "")})
    assert host.sent == [
        "stop mail", "stop web", "break", "mend step", "mend work", "start web", "start mail",
        "rescue web1",
    ]  # fmt: skip
    assert ran.works == ["(Not completed: step 1.4 (run) failed)", "(Cancelled: step 1.4 (run) failed)"]
    assert code(ran) == 1


def test_undo_is_never_done_unasked_but_where_the_runbook_says_so(tmp_path: Path) -> None:
    _, host = run(tmp_path, Person("abort", "no"), UNDO, **{**GOOD, "break": (1, "")})
    assert "start mail" not in host.sent
    assert "start web" in host.sent


def test_a_recovery_that_fails_ends_only_its_own_list(tmp_path: Path) -> None:
    answers = {**GOOD, "break": (1, ""), "mend step": (2, ""), "start web": (2, "")}
    ran, host = run(tmp_path, Person("abort", "no"), UNDO, **answers)
    assert host.sent[-4:] == ["mend step", "mend work", "start web", "rescue web1"]
    assert code(ran) == 1


def test_cancelling_a_work_offers_to_undo_it_and_goes_on(tmp_path: Path) -> None:
    ran, host = run(tmp_path, Person("cancel-work", "no"), UNDO, **{**GOOD, "break": (1, "")})
    assert host.sent[-3:] == ["mend work", "start web", "second"]
    assert ran.works[1] == "(Completed)"


def test_nothing_is_undone_where_all_went_well(tmp_path: Path) -> None:
    _, host = run(tmp_path, Person(), UNDO, **{**GOOD, "break": (0, "")})
    assert host.sent == ["stop mail", "stop web", "break", "second"]


BESIDE = """
title: T
hosts: web1
works:
  - work: First
    steps:
      - {run: long, id: long, background: true}
      - {run: after}
  - work: Second
    steps:
      - {run: second}
      - {join: long}
      - {run: last}
"""


def test_a_step_in_the_background_lets_the_others_go_on_until_it_is_joined(tmp_path: Path) -> None:
    others = threading.Event()

    def long() -> tuple[int, str]:
        assert others.wait(60)
        return 0, ""

    def second() -> tuple[int, str]:
        others.set()
        return 0, ""

    ran, host = run(tmp_path, Person(), BESIDE, long=long, second=second, last=(0, ""))
    # Two connections carry the commands: the journal has an order for their starts, the host has none.
    begun = [event.at.step for event in ran.events if event.kind == "intended"]
    assert begun == ["long", "1.2", "2.1", "2.3"]
    assert [each for each in host.sent if each != "long"] == ["after", "second", "last"]
    assert host.sent.index("long") < host.sent.index("last")
    assert ran.works == ["(Completed)", "(Completed)"]
    assert host.links == 2
    ends = [event.at.step for event in ran.events if event.kind == "step-ended"]
    assert ends.index("long") < ends.index("2.2") < ends.index("2.3")


def test_a_background_step_that_failed_is_judged_where_it_is_joined(tmp_path: Path) -> None:
    ran, host = run(tmp_path, Person("skip"), BESIDE, long=(1, ""), last=(0, ""))
    assert host.sent[-1] == "last"
    assert ran.works == ["(Not completed: step 1.1 (run) failed and was skipped)", "(Completed)"]


def test_a_cancel_ends_what_runs_in_the_background(tmp_path: Path) -> None:
    ended = threading.Event()

    def after() -> tuple[int, str]:
        hand_in(tmp_path / "runs" / "r1", "ncm", CancelAsked("enough"), FakeClock().now())
        return 0, ""

    def long() -> tuple[int, str]:
        assert ended.wait(60)
        return 1, ""

    host = FakeHost({"long": long, "after": after})
    host.stopped = ended.set
    ran = drive(plan_of(BESIDE, "web1"), tmp_path, web1=host)
    assert code(ran) == 3
    assert ran.works[1].startswith("(Cancelled")


def test_the_host_is_asked_again_what_became_of_it(tmp_path: Path) -> None:
    """The change is neither sent again nor taken for done, and the log has the doubt once."""
    person = Person("look")
    refused = HostUnsuitable("The second session was refused.")
    host = FakeHost({"first 1": refused, "after": (0, ""), "second": (0, "")})
    host.fates["1.1.1.1"] = Fate("ended", 0)
    ran = drive(plan_of(TWO, "web1"), tmp_path, operators=[person], web1=host)
    assert host.sent == ["first 1", "after", "second"]
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 0
    assert ran.transcript[:2] == [
        "Step 1.1 'Do it' is in doubt: what became of it is not known.",
        "Step 1.1 'Do it' completed.",
    ]
    again = fold(ran.events)
    assert (again.closed, again.lanes.keys()) == (ran.state.closed, ran.state.lanes.keys())


def test_a_doubt_that_stays_one_is_asked_about_again_and_logged_once(tmp_path: Path) -> None:
    person = Person("look", "look", "done")
    refused = HostUnsuitable("Refused.")
    host = FakeHost({"first 1": [refused, refused, refused], "after": (0, ""), "second": (0, "")})
    ran = drive(plan_of(TWO, "web1"), tmp_path, operators=[person], web1=host)
    assert len(ran.bodies("asked")) == 3
    assert len([line for line in ran.transcript if "is in doubt" in line]) == 1
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 0


def test_what_the_host_knows_nothing_of_is_not_looked_for_again(tmp_path: Path) -> None:
    person = Person("done")
    host = FakeHost({"first 1": lost(), "after": (0, ""), "second": (0, "")})
    host.fates["1.1.1.1"] = Fate("lost")
    drive(plan_of(TWO, "web1"), tmp_path, operators=[person], web1=host)
    assert "look" not in person.asked[0]["choices"]
