"""The main job, from a runbook to a finished log, over a fake host."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import NoReturn

import pytest

from tastyops.errors import HostUnsuitable, JournalUnwritable, NoRoom, SudoRefused, Unreachable
from tastyops.journal.events import CancelAsked, Noted
from tastyops.journal.state import fold
from tastyops.ports import OperatorKind
from tastyops.protocol.framing import Fate
from tastyops.records.runs import RunJournal, hand_in
from tests.core.driving import drive, plan_of
from tests.core.fake import SOUND, START, Answer, FakeClock, FakeDialer, FakeHost, lost
from tests.core.test_cancel import LOGIND, SCHEDULED

THREE = """
title: Three works
hosts: web1
works:
  - work: First
    steps:
      - run: first
        log: The first is done.
  - work: Second
    steps:
      - run: second
        name: Do the second
      - run: never
  - work: Third
    steps:
      - run: third
"""


def test_three_works_completed(tmp_path: Path) -> None:
    host = FakeHost({"first": (0, ""), "second": (0, "out"), "never": (0, ""), "third": (0, "")})
    ran = drive(plan_of(THREE, "web1"), tmp_path, web1=host)
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 0
    assert host.sent == ["first", "second", "never", "third"]
    assert ran.works == ["(Completed)"] * 3
    assert ran.log.document().status == "Completed at 13:00hrs, February 11th 2026"
    assert ran.transcript == [
        "The first is done.",
        "Step 2.1 'Do the second' completed.",
        "Step 2.2 (run) completed.",
        "Step 3.1 (run) completed.",
    ]


def test_a_failure_in_the_second_work(tmp_path: Path) -> None:
    host = FakeHost({"first": (0, ""), "second": (7, "SECRET OUTPUT", "and why")})
    ran = drive(plan_of(THREE, "web1"), tmp_path, web1=host)
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 1
    assert host.sent == ["first", "second"]
    assert ran.works == [
        "(Completed)",
        "(Not completed: step 2.1 'Do the second' failed)",
        "(Cancelled: step 2.1 'Do the second' failed)",
    ]
    assert ran.log.document().status.startswith("Ended without completion at 13:00hrs")
    page = ran.log.page.read_text() + ran.log.journal.read_text()
    assert "SECRET OUTPUT" not in page
    assert "status 7" not in page
    journal = (ran.directory / "journal.jsonl").read_text()
    assert "SECRET OUTPUT" in journal
    assert "status 7" in journal


def test_an_intent_is_durable_before_the_change_goes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = RunJournal.commit

    synced: list[bool] = []

    def slow(journal: RunJournal, *, durable: bool = True) -> None:
        time.sleep(0.05)  # so that a change sent too early would be seen to be
        commit(journal, durable=durable)
        synced.append(durable)

    monkeypatch.setattr(RunJournal, "commit", slow)
    seen: list[bool] = []
    journal_path = tmp_path / "runs" / "r1" / "journal.jsonl"

    def look() -> tuple[int, str]:
        written = '"kind":"intended"' in journal_path.read_text().splitlines()[-1]
        seen.append(written and synced[-1])
        return 0, ""

    host = FakeHost({"first": look})
    drive(
        plan_of("{title: T, hosts: web1, works: [{work: W, steps: [{run: first}]}]}", "web1"),
        tmp_path,
        web1=host,
    )
    assert seen == [True]


def test_the_outcome_is_durable_before_the_host_forgets_it(tmp_path: Path) -> None:
    host = FakeHost({"first": (0, "")})
    ran = drive(
        plan_of("{title: T, hosts: web1, works: [{work: W, steps: [{run: first}]}]}", "web1"),
        tmp_path,
        web1=host,
    )
    assert host.forgotten == ["1.1.1.1", "*"]
    assert ran.heard[-1].kind == "run-closed"


def test_events_fold_to_the_state_the_drive_ended_with(tmp_path: Path) -> None:
    host = FakeHost({"first": (0, "x"), "second": (7, "")})
    ran = drive(plan_of(THREE, "web1"), tmp_path, web1=host)
    again = fold(ran.events)
    assert again.works == ran.state.works
    assert again.closed == ran.state.closed
    assert again.head == ran.state.head
    assert {k: v.ended for k, v in again.lanes.items()} == {
        k: v.ended for k, v in ran.state.lanes.items()
    }


def test_registered_values_reach_later_steps_and_private_ones_stay_out_of_the_log(
    tmp_path: Path,
) -> None:
    text = """
        title: T
        hosts: web1
        works:
          - work: W
            steps:
              - run: measure
                reads: true
                register: m
              - run: "use {{ m.stdout }}"
                when: m.rc == 0
                log: It ended with {{ m.rc }}.
              - run: not reached
                when: m.rc != 0
    """
    host = FakeHost({"measure": (0, "4 2\n"), "use '4 2'": (0, "")})
    ran = drive(plan_of(text, "web1"), tmp_path, web1=host)
    assert host.sent == ["use '4 2'"]
    assert host.probed == ["sh -c measure"]
    assert ran.transcript == ["Step 1.1 (run) completed.", "It ended with 0."]
    assert [b.outcome for b in ran.bodies("step-ended")] == ["done", "done", "skipped"]


def test_until_retries_with_the_delay_between(tmp_path: Path) -> None:
    text = """
        title: T
        hosts: web1
        works:
          - work: W
            steps:
              - run: look
                reads: true
                until: result.stdout == "ready"
                retries: 4
                delay: 10s
    """
    host = FakeHost({"look": [(1, ""), (0, "not yet"), (0, "ready")]})
    ran = drive(plan_of(text, "web1"), tmp_path, web1=host)
    assert ran.clock.slept == [10.0, 10.0]
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 0
    assert len(ran.bodies("attempt-ended")) == 2


def test_until_gives_up_after_its_retries(tmp_path: Path) -> None:
    text = """
        title: T
        hosts: web1
        works: [{work: W, steps: [{run: look, reads: true, until: result.rc == 0, retries: 2, delay: 1s}]}]
    """
    host = FakeHost({"look": (1, "")})
    ran = drive(plan_of(text, "web1"), tmp_path, web1=host)
    assert len(host.probed) == 3
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 1


def test_many_hosts_go_step_by_step_and_a_failure_stops_after_the_step(tmp_path: Path) -> None:
    text = """
        title: T
        hosts: [web1, web2, web3]
        works:
          - work: W
            steps: [{run: one, log: One.}, {run: two}]
          - work: V
            steps: [{run: three}]
    """
    hosts = {
        "web1": FakeHost({"one": (0, ""), "two": (0, "")}),
        "web2": FakeHost({"one": (0, ""), "two": (1, "")}),
        "web3": FakeHost({"one": (0, ""), "two": (0, "")}),
    }
    ran = drive(plan_of(text, *hosts), tmp_path, **hosts)
    assert [host.sent for host in hosts.values()] == [["one", "two"]] * 3
    assert sorted(ran.transcript[:3]) == ["web1: One.", "web2: One.", "web3: One."]
    assert "web2: Step 1.2 (run) failed." in ran.transcript
    assert ran.works == [
        "(Not completed: step 1.2 (run) failed)",
        "(Cancelled: step 1.2 (run) failed)",
    ]


def test_an_unreachable_host_ends_with_4(tmp_path: Path) -> None:
    ran = drive(plan_of(THREE, "web1"), tmp_path, web1=FakeHost(refuse=99))
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 4
    assert ran.transcript == ["Step 1.1 (run) failed: the host could not be reached."]


# -- a lost link -------------------------------------------------------------------------------

ONE = "{title: T, hosts: web1, works: [{work: W, steps: [{run: change it, register: r}, {run: 'echo {{ r.rc }}'}]}]}"


def test_a_probe_cut_off_is_run_again(tmp_path: Path) -> None:
    text = "{title: T, hosts: web1, works: [{work: W, steps: [{run: look, reads: true}]}]}"
    host = FakeHost({"look": [lost(), (0, "")]})
    ran = drive(plan_of(text, "web1"), tmp_path, web1=host)
    assert len(host.probed) == 2
    assert host.links == 2
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 0


def test_a_probe_that_always_cuts_the_link_is_given_up(tmp_path: Path) -> None:
    text = "{title: T, hosts: web1, works: [{work: W, steps: [{run: look, reads: true}]}]}"
    host = FakeHost({"look": lost()})
    ran = drive(plan_of(text, "web1"), tmp_path, web1=host)
    assert len(host.probed) == 3
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 4


@pytest.mark.parametrize("fate", [Fate("ended", 0), Fate("running")])
def test_a_change_cut_off_is_picked_up_and_never_sent_again(tmp_path: Path, fate: Fate) -> None:
    host = FakeHost({"change it": lost(), "echo 0": (0, "")})
    host.fates["1.1.1.1"] = fate
    ran = drive(plan_of(ONE, "web1"), tmp_path, web1=host)
    assert host.sent == ["change it", "echo 0"]
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 0
    assert ran.bodies("step-ended")[0].registered["stdout"] == "followed"


def test_where_the_host_has_lost_its_record_nothing_is_sent_again(tmp_path: Path) -> None:
    def cut() -> Exception:
        host.record = "b2"  # as when systemd removes an account's runtime directory
        return lost()

    host = FakeHost({"change it": cut})  # type: ignore[dict-item]
    ran = drive(
        plan_of("{title: T, hosts: web1, works: [{work: W, steps: [{run: change it}]}]}", "web1"),
        tmp_path,
        in_doubt=True,
        web1=host,
    )
    assert host.sent == ["change it"]
    assert ran.bodies("step-ended")[0].why == "the host no longer has the run's record"



def test_a_change_the_host_has_no_trace_of_is_sent_again_under_the_same_name(
    tmp_path: Path,
) -> None:
    host = FakeHost({"change it": [lost(), (0, "")], "echo 0": (0, "")})
    ran = drive(plan_of(ONE, "web1"), tmp_path, web1=host)
    assert host.sent == ["change it", "change it", "echo 0"]
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 0


def test_a_change_whose_process_is_gone_is_in_doubt(tmp_path: Path) -> None:
    host = FakeHost({"change it": lost()})
    host.fates["1.1.1.1"] = Fate("lost")
    ran = drive(plan_of(ONE, "web1"), tmp_path, in_doubt=True, web1=host)
    assert host.sent == ["change it"]
    assert ran.transcript == ["Step 1.1 (run) is in doubt: what became of it is not known."]
    assert "*" not in host.forgotten


def test_a_change_interrupted_by_a_reboot_is_in_doubt(tmp_path: Path) -> None:
    host = FakeHost()

    def cut() -> Exception:
        host.boot_id = "22222222-2222-2222-2222-222222222222"
        return lost()

    host.answers["change it"] = cut  # type: ignore[assignment]
    ran = drive(plan_of(ONE, "web1"), tmp_path, in_doubt=True, web1=host)
    assert "rebooted" in ran.bodies("step-ended")[0].why


@pytest.mark.parametrize("refusal", [NoRoom, SudoRefused])
@pytest.mark.parametrize("cuts", [0, 1])
def test_what_was_not_begun_has_failed_and_frees_the_host(
    tmp_path: Path, refusal: type[Unreachable], cuts: int
) -> None:
    """At the first try, and where the link was lost before it and the host has no trace of it."""
    none = refusal("web1 says no.", still_true="Nothing was changed by it.")
    host = FakeHost({"change it": [*[lost()] * cuts, none], "echo 0": (0, "")})
    ran = drive(plan_of(ONE, "web1"), tmp_path, web1=host)
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 1
    (ended,) = ran.bodies("step-ended")
    assert ended.outcome == "failed"
    assert "Nothing was changed by it." in ended.why
    assert host.lock is None
    assert "*" in host.forgotten


def test_a_host_that_becomes_unsuitable_under_a_change_leaves_a_doubt(tmp_path: Path) -> None:
    """Its second session was refused after the change had been sent, say."""
    host = FakeHost({"change it": HostUnsuitable("MaxSessions is 1.")})
    ran = drive(plan_of(ONE, "web1"), tmp_path, in_doubt=True, web1=host)
    assert ran.bodies("step-ended")[0].why == "MaxSessions is 1."
    (asked,) = ran.bodies("asked")
    assert "look" in asked.choices


# -- people ------------------------------------------------------------------------------------

ASKING = """
title: T
hosts: web1
works:
  - work: Before
    steps: [{run: first}]
  - work: Careful
    steps:
      - confirm: Really?
      - run: second
"""


class Says:
    kind = OperatorKind.PERSON

    def __init__(self, value: str) -> None:
        self.value = value
        self.asked: list[str] = []

    def answer(self, question: dict[str, str], **_: object) -> tuple[str, str]:
        self.asked.append(question["text"])
        return self.value, "ncm"


def cutting(host: FakeHost, refuse: int = 0) -> Answer:
    """The answer of a command after which the link is cut, and that is seen."""

    def answer() -> Answer:
        host.cuts, host.refuse = host.cuts + 1, refuse
        return (0, "")

    return answer


TWO_CHANGES = "{title: T, hosts: web1, works: [{work: W, steps: [{run: first}, {run: second}]}]}"


def test_a_link_known_to_be_lost_carries_no_change(tmp_path: Path) -> None:
    host = FakeHost({"second": (0, "")})
    host.answers["first"] = cutting(host)
    ran = drive(plan_of(TWO_CHANGES, "web1"), tmp_path, web1=host)
    assert host.sent == ["first", "second"]
    assert [body.error for body in ran.bodies("disconnected")] == ["The link was cut."]
    order = [event.kind for event in ran.events if event.kind in ("connected", "intended")]
    assert order == ["connected", "intended", "connected", "intended"]
    assert not ran.state.in_doubt


def test_what_was_never_sent_for_want_of_a_link_is_in_no_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tastyops.engine.links.RECONNECT_PATIENCE", 0.0)
    host = FakeHost()
    host.answers["first"] = cutting(host, refuse=999)
    ran = drive(plan_of(TWO_CHANGES, "web1"), tmp_path, web1=host)
    assert [body.outcome for body in ran.bodies("step-ended")] == ["done", "unreachable"]
    assert len(ran.bodies("intended")) == 1


def test_a_confirmation_is_asked_once_and_its_answer_says_who(tmp_path: Path) -> None:
    host, person = FakeHost({"first": (0, ""), "second": (0, "")}), Says("yes")
    ran = drive(plan_of(ASKING, "web1"), tmp_path, operators=[person], web1=host)
    assert person.asked == ["Really?"]
    answers = [event for event in ran.events if event.kind == "answered"]
    assert [(event.who, event.body.value) for event in answers] == [("ncm", "yes")]  # type: ignore[attr-defined]
    assert ran.works == ["(Completed)", "(Completed)"]


def test_a_no_cancels_what_was_not_begun(tmp_path: Path) -> None:
    host = FakeHost({"first": (0, "")})
    ran = drive(plan_of(ASKING, "web1"), tmp_path, operators=[Says("no")], web1=host)
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 3
    assert ran.works == ["(Completed)", "(Cancelled: step 2.1 (confirm) was cancelled)"]


def test_a_step_that_wants_confirmation_is_not_begun_without(tmp_path: Path) -> None:
    text = "{title: T, hosts: web1, works: [{work: W, steps: [{run: it, confirm: Sure?}]}]}"
    host = FakeHost()
    ran = drive(plan_of(text, "web1"), tmp_path, operators=[Says("n")], web1=host)
    assert host.sent == []
    assert ran.log.document().status == "Cancelled"


def test_an_asked_value_is_used(tmp_path: Path) -> None:
    text = """
        title: T
        hosts: web1
        works: [{work: W, steps: [{ask: Which disk?, register: disk}, {run: "drop {{ disk.value }}"}]}]
    """
    host = FakeHost({"drop 'sd b'": (0, "")})
    drive(plan_of(text, "web1"), tmp_path, operators=[Says("sd b")], web1=host)
    assert host.sent == ["drop 'sd b'"]


def test_notes_and_cancels_come_from_other_processes(tmp_path: Path) -> None:
    host = FakeHost({"first": (0, "")})
    started = threading.Event()

    class Waits:
        kind = OperatorKind.PERSON

        def answer(self, question: object, **_: object) -> None:
            started.set()
            threading.Event().wait(20)

    def before(driving: object, journal: object) -> None:
        directory = tmp_path / "runs" / "r1"

        def other() -> None:
            started.wait(60)
            hand_in(directory, "ncm", Noted("Looks odd."), FakeClock().now())
            hand_in(directory, "ncm", CancelAsked("no time left"), FakeClock().now())

        threading.Thread(target=other, daemon=True).start()

    ran = drive(plan_of(ASKING, "web1"), tmp_path, operators=[Waits()], before=before, web1=host)  # type: ignore[list-item]
    assert "Looks odd." in ran.transcript
    assert [event.who for event in ran.events if event.kind == "cancel-asked"] == ["ncm"]
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 3


# -- the record --------------------------------------------------------------------------------


def test_a_journal_that_cannot_be_written_stops_the_run(tmp_path: Path) -> None:
    from tests.test_store import file_size_limit

    host = FakeHost(
        {"first": (0, "x" * 4000), "second": (0, ""), "never": (0, ""), "third": (0, "")}
    )
    with file_size_limit(3500), pytest.raises(JournalUnwritable):
        drive(plan_of(THREE, "web1"), tmp_path, web1=host)
    assert host.sent == ["first"]


def test_a_clock_that_steps_back_is_journalled(tmp_path: Path) -> None:
    from datetime import timedelta

    ran_clock: list[FakeClock] = []

    def step_back() -> tuple[int, str]:
        ran_clock[0].time -= timedelta(minutes=10)
        return 0, ""

    def before(driving: object, journal: object) -> None:
        ran_clock.append(driving._clock)  # type: ignore[attr-defined]

    host = FakeHost({"first": step_back, "second": (0, ""), "never": (0, ""), "third": (0, "")})
    ran = drive(plan_of(THREE, "web1"), tmp_path, before=before, web1=host)
    assert [body.seconds for body in ran.bodies("clock-stepped")] == [600.0]
    assert ran.transcript[0] == "The first is done."


def test_an_error_in_an_action_is_an_outcome_of_its_step(tmp_path: Path) -> None:
    text = "{title: T, hosts: web1, works: [{work: W, steps: [{watch: {command: look, percent: '('}}]}]}"
    ran = drive(plan_of(text, "web1"), tmp_path, web1=FakeHost({"look": (0, "5%")}))
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 1
    assert "does not fit" in ran.bodies("step-ended")[0].why


def test_secrets_reach_neither_journal_nor_log(tmp_path: Path) -> None:
    text = "{title: T, hosts: web1, works: [{work: W, steps: [{run: show hunter2hunter2, name: Show hunter2hunter2}]}]}"
    host = FakeHost({"show hunter2hunter2": (0, "it is hunter2hunter2")})
    ran = drive(plan_of(text, "web1"), tmp_path, secrets=["hunter2hunter2"], web1=host)
    everything = b"".join(
        p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and p.name != "runbook.yml"
    )
    assert b"hunter2hunter2" not in everything
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 0


DUE = round((START.timestamp() + 600) * 10**6)
SCHEDULE = f"busctl call {LOGIND} ScheduleShutdown st reboot {DUE}"


@pytest.mark.parametrize(
    ("found", "rebooted", "how"),
    [("reboot", False, "output"), ("", False, "undone"), ("", True, "lost")],
)
def test_a_change_without_an_outcome_is_settled_by_its_own_probe(
    found: str, rebooted: bool, how: str, tmp_path: Path
) -> None:
    """A yes is a yes; a no is one only as long as the host has not been rebooted."""
    text = "{title: T, hosts: web1, works: [{work: W, steps: [{reboot: 10m, force: no boot loader here}]}]}"

    def cut() -> Exception:
        host.answers[SCHEDULED] = (0, f'{{"type":"(st)","data":["{found}",{DUE}]}}')
        if rebooted:
            host.boot_id = "22222222-2222-2222-2222-222222222222"
        return lost()

    host = FakeHost(
        {
            **SOUND,
            SCHEDULED: (0, '{"type":"(st)","data":["",0]}'),
            f"busctl call {LOGIND} SetWallMessage sb The system goes down for a reboot. true": (
                0,
                "",
            ),
            SCHEDULE: cut,  # type: ignore[dict-item]
        }
    )
    number = 11  # the schedule is the reboot's eleventh command
    host.fates[f"1.1.1.{number}"] = Fate("lost")
    ran = drive(plan_of(text, "web1"), tmp_path, in_doubt=how == "lost", web1=host)
    assert host.sent.count(SCHEDULE) == 1
    intended = next(e for e in ran.events if e.kind == "intended" and "ScheduleShutdown" in str(e))
    assert intended.at.n == number
    (settled,) = [e.body for e in ran.events if e.kind == "settled" and e.at == intended.at]
    assert settled.how == how  # type: ignore[attr-defined]


def test_what_to_do_next_reaches_the_operator_of_a_running_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strange(*_: object) -> NoReturn:
        raise Unreachable(
            "web1 shows an unknown key.", still_true="Nothing was sent.",
            next_step="`invoke trust web1` shows it.",
        )  # fmt: skip

    monkeypatch.setattr(FakeDialer, "session", strange)
    ran = drive(plan_of(THREE, "web1"), tmp_path, web1=FakeHost())
    (ended,) = ran.bodies("step-ended")
    assert ended.why == "web1 shows an unknown key. `invoke trust web1` shows it."
    assert "trust" not in ran.log.page.read_text()
