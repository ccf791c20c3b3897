"""Commands over the console and the power switch: journalled like any other, without a host."""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path

import pytest

from tastyops.engine.drive import Drive
from tastyops.engine.run_context import RunContext
from tastyops.errors import ConsoleHeld, JournalUnwritable, PowerUnreachable, WaitsForPerson
from tastyops.records.runs import RunJournal
from tastyops.redact import Masker
from tastyops.ui.prompts import Unattended
from tests.core.driving import Ran, drive, dry, plan_of
from tests.core.fake import FakeClock, FakeDialer, FakeHost
from tests.core.outside import FakeWays

DOWN = FakeHost(refuse=99)
"""A host that no link reaches; nothing here may try to."""


def ran(
    steps: str, tmp_path: Path, ways: FakeWays, host: FakeHost = DOWN, *, in_doubt: bool = False
) -> Ran:
    text = f"{{title: T, hosts: web1, works: [{{work: W, steps: [{steps}]}}]}}"
    return drive(
        plan_of(text, "web1"), tmp_path, ways=ways, secrets=["hunter22"], in_doubt=in_doubt,
        web1=host,
    )  # fmt: skip


def outcome(found: Ran) -> tuple[str, str]:
    ended = found.bodies("step-ended")[-1]
    return ended.outcome, ended.why


def test_the_switch_of_a_host_that_is_down(tmp_path: Path) -> None:
    ways, before = FakeWays(power_is="off"), DOWN.refuse
    found = ran("{power.status: }, {power.cycle: {ask: false}}", tmp_path, ways)
    assert DOWN.refuse == before, "nobody tried to reach the host"
    assert ways.done == ["on"]
    assert found.transcript == ["Power is off.", "Power switched on; it had been off."]
    kinds = [event.kind for event in found.events if event.at.n]
    assert kinds == ["settled", "settled", "intended", "settled", "settled"]


def test_an_intent_is_in_the_journal_before_the_switch_is_worked(tmp_path: Path) -> None:
    seen: list[bool] = []
    journal = tmp_path / "runs" / "r1" / "journal.jsonl"
    ways = FakeWays(
        before_turning=lambda: seen.append(
            '"kind":"intended"' in journal.read_text().splitlines()[-1]
        )
    )
    ran("{power.cycle: {ask: false}}", tmp_path, ways)
    assert seen == [True]


def test_a_run_that_is_let_go_waits_for_the_switch_s_answer(tmp_path: Path) -> None:
    """Nothing but the process that worked the switch can know what it said."""
    driving: list[Drive] = []
    leaving = threading.Event()

    def before(drive: Drive, _: RunJournal) -> None:
        driving.append(drive)
        let_go = drive._let_go

        def told() -> None:
            leaving.set()
            let_go()

        drive._let_go = told  # type: ignore[method-assign]

    def while_it_is_worked() -> None:
        driving[0]._context.release.ask("its terminal went away")
        assert leaving.wait(60)

    ways = FakeWays(before_turning=while_it_is_worked)
    text = "{title: T, hosts: web1, works: [{work: W, steps: [{power.cycle: {ask: false}}]}]}"
    found = drive(plan_of(text, "web1"), tmp_path, ways=ways, before=before, web1=DOWN)
    assert ways.done
    assert found.state.closed is None
    assert [event.kind for event in found.events][-2:] == ["intended", "settled"]
    assert found.bodies("settled")[-1].how == "output"


def test_a_switch_that_did_not_answer_is_in_doubt(tmp_path: Path) -> None:
    found = ran(
        "{power.cycle: {ask: false}}", tmp_path, FakeWays(turning="lost"), in_doubt=True
    )
    assert outcome(found) == ("in doubt", "the power was asked and did not say whether it obeyed")


def test_its_status_settles_on_and_off(tmp_path: Path) -> None:
    found = ran("{power.off: {ask: false}}", tmp_path, FakeWays(turning="lost"))
    assert outcome(found)[0] == "done"
    found = ran("{power.off: {ask: false}}", tmp_path / "2", FakeWays(turning="lost", obeys=False))
    assert outcome(found)[0] == "failed"
    assert "a probe found that it did not happen" in outcome(found)[1]


def test_a_switch_that_could_not_be_reached_was_not_worked(tmp_path: Path) -> None:
    ways = FakeWays(turning=PowerUnreachable("The rack is dark."))
    found = ran("{power.off: {ask: false}}", tmp_path, ways)
    assert outcome(found) == ("unreachable", "The rack is dark.")
    assert found.state.closed
    assert found.state.closed.exit_code == 4


def test_a_console_is_attached_once_and_what_it_says_is_kept(tmp_path: Path) -> None:
    ways = FakeWays(says=["the password is hunter22\n", "web1 login: "])
    found = ran("{console.look: }, {console.look: }", tmp_path, ways)
    assert (ways.attached, ways.closed) == (1, 1)
    assert found.transcript == ["The console shows: booting.", "The console shows: login."]
    kinds = [event.kind for event in found.events]
    assert kinds.count("console-attached") == 1
    assert kinds.index("console-detached") < kinds.index("run-closed")
    (heard,) = found.bodies("console-heard")
    assert heard.out["head"] == "the password is ********\nweb1 login: "
    assert "hunter22" not in (found.directory / "journal.jsonl").read_text()


def test_a_console_that_was_lost_is_attached_again(tmp_path: Path) -> None:
    ways = FakeWays(says=["first\n"])
    steps = "{console.look: }, {console.look: }, {console.look: }"
    found = ran(steps, tmp_path, ways)
    assert ways.attached == 2
    assert found.transcript[1] == "The console cannot be looked at: console-unreachable."
    assert found.bodies("console-detached")[0].why == "nothing more to say"


def test_a_console_somebody_else_has(tmp_path: Path) -> None:
    ways = FakeWays(refuses=ConsoleHeld("Somebody else has it."))
    assert ran("{console.look: }", tmp_path, ways).transcript == [
        "The console cannot be looked at: console-held."
    ]


def test_a_host_without_either(tmp_path: Path) -> None:
    text = "{title: T, hosts: web1, works: [{work: W, steps: [{console.look: }, {power.status: }]}]}"
    found = drive(plan_of(text, "web1"), tmp_path, web1=DOWN)
    assert found.transcript[0] == "The console cannot be looked at: no-console."
    assert outcome(found)[0] == "unreachable"


def test_keys_are_a_change(tmp_path: Path) -> None:
    ways = FakeWays(says=["", "web1 login: "])
    ran("{console.look: {enter: true}}", tmp_path, ways)
    assert ways.done == ["type \r"]


def test_a_dry_run_reads_and_withholds() -> None:
    text = (
        "{title: T, hosts: web1, works: [{work: W, steps: [{power.status: }, "
        "{console.look: }, {power.cycle: }]}]}"
    )
    ways = FakeWays(says=["web1 login: "])
    found = dry(plan_of(text, "web1"), ways=ways, web1=DOWN)
    assert [step.verdict for step in found.steps] == ["would read", "would read", "would ask"]
    assert found.steps[2].commands[-1] == "at the power switch: cycle"
    assert (ways.done, ways.attached, ways.closed) == ([], 1, 1)


def test_the_journal_says_over_what_a_command_went(tmp_path: Path) -> None:
    found = ran("{power.off: {ask: false}}", tmp_path, FakeWays())
    lines = (found.directory / "journal.jsonl").read_text().splitlines()
    intents = [e for e in map(json.loads, lines) if e["kind"] == "intended"]
    assert intents[0]["body"]["command"]["via"] == "power"


@pytest.mark.parametrize(
    ("step", "state", "ends"),
    [
        ("{power.off: {ask: false}}", "off", "done"),
        ("{power.off: {ask: false}}", "on", "failed"),
        ("{power.cycle: {ask: false}}", "on", "in doubt"),
    ],
)
def test_a_controller_that_died_while_it_worked_the_switch(
    step: str, state: str, ends: str, tmp_path: Path
) -> None:
    """What is found of it afterwards: never is the switch worked a second time."""
    ways = FakeWays()

    def die(driving: Drive, journal: RunJournal) -> None:
        def cut() -> None:
            raise JournalUnwritable("The controller dies.")

        ways.before_turning = cut

    with pytest.raises(JournalUnwritable):
        plan = plan_of(f"{{title: T, hosts: web1, works: [{{work: W, steps: [{step}]}}]}}", "web1")
        drive(plan, tmp_path, ways=ways, before=die, web1=DOWN)
    journal, was, _ = RunJournal.reopen(tmp_path / "runs" / "r1", Masker())
    assert was.lanes["web1", "1.1"].history[2].open
    after = FakeWays(power_is=state)
    context = RunContext(
        run="r1", journal=journal, dialer=FakeDialer(web1=DOWN), clock=FakeClock(),
        who="dwm", operators=(Unattended("dwm", yes=True, answers={}),), out_of_band=after, epoch=2,
    )  # fmt: skip
    again = Drive(plan, was, context)
    try:
        with contextlib.suppress(WaitsForPerson):
            again.run()
    finally:
        journal.close()
    found = again.state
    lane = found.lanes["web1", "1.1"]
    assert lane.ended
    assert lane.ended.outcome == ends
    assert after.done == []


def test_a_dry_run_does_not_wait_at_a_console_for_what_it_withheld() -> None:
    ways = FakeWays(says=["kalimdor login: "])
    plan = plan_of(
        "{title: T, hosts: web1, works: [{work: W, steps: [{console.look: {wait: 15m}}]}]}", "web1"
    )
    found = dry(plan, ways, web1=DOWN)
    assert [step.verdict for step in found.steps] == ["would read"]
    assert ways.looked == [2.0]
