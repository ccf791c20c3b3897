"""A cancelled run begins nothing new, and takes back what was set in motion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tastyops.journal.events import CancelAsked
from tastyops.journal.state import fold
from tastyops.plan.advance import advance
from tastyops.plan.generator_cache import LiveLanes
from tastyops.plan.moves import Append
from tastyops.ports import OperatorKind
from tastyops.records.runs import hand_in
from tests.core.driving import drive, plan_of
from tests.core.fake import SOUND, START, FakeClock, FakeHost

LOGIND = "org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager"
DUE = round((START.timestamp() + 600) * 10**6)
SCHEDULED = f"busctl --json=short get-property {LOGIND} ScheduledShutdown"


def cancelling(tmp_path: Path, answer: tuple[int, str]) -> Callable[[], tuple[int, str]]:
    """An answer in the course of which somebody cancels the run."""

    def answered() -> tuple[int, str]:
        hand_in(tmp_path / "runs" / "r1", "dwm", CancelAsked("enough"), FakeClock().now())
        return answer

    return answered


def test_a_step_is_not_tried_again_after_a_cancel(tmp_path: Path) -> None:
    text = "{title: T, hosts: web1, works: [{work: W, steps: [{run: it, until: result.rc == 0, retries: 40, delay: 1h}]}]}"
    host = FakeHost({"it": cancelling(tmp_path, (1, ""))})
    ran = drive(plan_of(text, "web1"), tmp_path, web1=host)
    assert host.sent == ["it"]
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 3
    assert ran.works == ["(Not completed: step 1.1 (run) was cancelled)"]


def test_a_watch_ends_with_a_cancel(tmp_path: Path) -> None:
    text = (
        "{title: T, hosts: web1, works: [{work: W, steps: [{watch: {command: look, every: 2m}}]}]}"
    )
    host = FakeHost({"look": cancelling(tmp_path, (0, "10%"))})
    ran = drive(plan_of(text, "web1"), tmp_path, web1=host)
    assert host.probed == ["sh -c look"]
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 3


def test_a_scheduled_reboot_is_taken_back(tmp_path: Path) -> None:
    text = "{title: T, hosts: web1, works: [{work: W, steps: [{reboot: 10m, force: no boot loader here}]}]}"
    plan = plan_of(text, "web1")
    due = f'{{"type":"(st)","data":["reboot",{DUE}]}}'
    host = FakeHost(
        {
            **SOUND,
            SCHEDULED: [(0, '{"type":"(st)","data":["",0]}'), (0, due)],
            f"busctl call {LOGIND} SetWallMessage sb The system goes down for a reboot. true": (
                0,
                "",
            ),
            f"busctl call {LOGIND} ScheduleShutdown st reboot {DUE}": cancelling(
                tmp_path, (0, "")
            ),
            f"busctl call {LOGIND} CancelScheduledShutdown": (0, "b true"),
        }
    )
    ran = drive(plan, tmp_path, web1=host)
    assert host.sent[-1].endswith("CancelScheduledShutdown")
    assert ran.transcript[-2:] == [
        "Scheduled reboot cancelled.",
        "Step 1.1 (reboot) was cancelled.",
    ]
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 3
    ended = next(i for i, event in enumerate(ran.events) if event.kind == "step-ended")
    (move,) = advance(plan, fold(ran.events[:ended]), LiveLanes())
    assert isinstance(move, Append)
    assert move.body == ran.events[ended].body  # a fresh process clears up just as far


def test_a_run_cancelled_before_it_did_anything_is_cancelled(tmp_path: Path) -> None:
    class No:
        kind = OperatorKind.PERSON

        def answer(self, question: object, **_: object) -> tuple[str, str]:
            return "no", "dwm"

    text = "{title: T, hosts: web1, works: [{work: W, steps: [{confirm: Sure?}, {run: it}]}]}"
    ran = drive(plan_of(text, "web1"), tmp_path, operators=[No()], web1=FakeHost())
    assert ran.log.document().status == "Cancelled"
    assert ran.works == ["(Cancelled: step 1.1 (confirm) was cancelled)"]
