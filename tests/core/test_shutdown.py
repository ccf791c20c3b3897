"""A shutdown at a clock time: scheduled, then found to have happened, or taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tastyops.app.scheduled_shutdowns import note_executed
from tastyops.journal.scheduled_shutdowns import Scheduled, still_to_come
from tastyops.records.document.build import Line
from tastyops.records.logs import LogBook
from tests.core.driving import Ran, drive, plan_of
from tests.core.fake import SOUND, START, Answer, FakeHost, lost

LOGIND = "org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager"
SCHEDULED = f"busctl --json=short get-property {LOGIND} ScheduledShutdown"
DUE = int(START.timestamp()) + 1800
BOOTED = "22222222-2222-2222-2222-222222222222"


def host(**answers: Answer | list[Answer]) -> FakeHost:
    found = FakeHost(
        {
            **SOUND,
            SCHEDULED: [
                (0, '{"type":"(st)","data":["",0]}'),
                (0, f'{{"type":"(st)","data":["poweroff",{DUE * 10**6}]}}'),
            ],
            f"busctl call {LOGIND} SetWallMessage sb The system goes down. true": (0, ""),
            f"busctl call {LOGIND} ScheduleShutdown st poweroff {DUE * 10**6}": (0, ""),
        }
    )
    found.answers |= answers
    return found


def run(tmp_path: Path, web1: FakeHost, then: str) -> Ran:
    text = f"{{title: T, hosts: web1, works: [{{work: W, steps: [{{shutdown: {{at: '13:30'}}}}, {{{then}}}]}}]}}"
    return drive(plan_of(text, "web1"), tmp_path, web1=web1)


def test_it_is_noted_at_its_time_when_the_host_is_next_seen(tmp_path: Path) -> None:
    def down() -> Answer:
        web1.boot_id = BOOTED
        return lost()

    web1 = host(look=[(1, ""), down, (0, "")])  # type: ignore[list-item]
    ran = run(tmp_path, web1, "watch: {command: look, every: 1h, until: rc == 0}")
    lines = [(line.minute, line.text) for line in reversed(ran.log.document().transcript)]
    assert lines[:2] == [
        ("1300", "Delayed shutdown instruction given; the machine goes down at 13:30hrs."),
        ("1330", "The machine shut down at the time set."),
    ]
    assert [line[1] for line in lines].count("The machine shut down at the time set.") == 1
    (noted,) = ran.bodies("shutdown-executed")
    assert noted.due == DUE
    assert still_to_come([ran.state]) == []


@pytest.mark.parametrize(
    ("up", "said"),
    [
        (30, "The machine shut down at the time set."),
        (100, "The machine shut down at the time set."),
        (1000, "Scheduled shutdown not carried out: the machine had been restarted before its time."),
        (-1, "The machine shut down at the time set."),
    ],
)
def test_a_restart_by_somebody_else_before_its_time(tmp_path: Path, up: int, said: str) -> None:
    """logind forgets what is scheduled: a host that boots before the time is not shut down then."""

    def down() -> Answer:
        web1.boot_id, web1.time, web1.up = BOOTED, DUE + 60, up
        return lost()

    web1 = host(look=[(1, ""), down, (0, "")])  # type: ignore[list-item]
    ran = run(tmp_path, web1, "watch: {command: look, every: 1h, until: rc == 0}")
    assert said in [line.text for line in ran.log.document().transcript]
    assert still_to_come([ran.state]) == []


def test_it_is_still_to_come_after_the_run(tmp_path: Path) -> None:
    ran = run(tmp_path, host(look=(0, "")), "run: look")
    boot_id = "11111111-1111-1111-1111-111111111111"
    assert still_to_come([ran.state]) == [
        Scheduled("r1", "web1", "1.1", "poweroff", DUE, boot_id)
    ]
    assert ran.bodies("shutdown-executed") == []


def test_a_later_step_takes_it_back(tmp_path: Path) -> None:
    web1 = host()
    web1.answers[SCHEDULED] = [
        (0, '{"type":"(st)","data":["",0]}'),
        (0, f'{{"type":"(st)","data":["poweroff",{DUE * 10**6}]}}'),
        (0, f'{{"type":"(st)","data":["poweroff",{DUE * 10**6}]}}'),
        (0, '{"type":"(st)","data":["",0]}'),
    ]
    web1.answers[f"busctl call {LOGIND} CancelScheduledShutdown"] = (0, "")
    web1.answers[f"systemctl stop tastyops-poweroff-{DUE}-*.timer"] = (0, "")
    ran = run(tmp_path, web1, "shutdown.cancel: {}")
    assert ran.transcript[-1] == "Scheduled shutdown cancelled."
    assert still_to_come([ran.state]) == []


def test_another_run_that_meets_the_host_notes_it_in_the_first_ones_log(tmp_path: Path) -> None:
    first = run(tmp_path / "a", host(look=(0, "")), "run: look")
    later = FakeHost({"look": [(1, ""), (0, "")]}, boot_id=BOOTED)
    text = "{title: T, hosts: web1, works: [{work: W, steps: [{watch: {command: look, every: 1h, until: rc == 0}}]}]}"
    second = drive(plan_of(text, "web1"), tmp_path / "b", web1=later)
    first_place = (tmp_path / "a" / "runs", book(tmp_path / "a"))
    places = [first_place, (tmp_path / "b" / "runs", book(tmp_path / "b"))]
    note_executed([first_place])
    assert [line.text for line in page(tmp_path)] == first.transcript[::-1]
    for _ in range(2):  # once, however often it is found
        note_executed(places)
    assert [(line.minute, line.text) for line in page(tmp_path)][:2] == [
        ("1330", "The machine shut down at the time set."),
        ("1300", "Step 1.2 (run) completed."),
    ]
    assert len(page(tmp_path)) == 3
    assert still_to_come([first.state, second.state]) == []


def book(place: Path) -> LogBook:
    return LogBook(place / "logs", say=lambda _: None)


def page(tmp_path: Path) -> list[Line]:
    (log,) = book(tmp_path / "a").all()
    return log.document().transcript
