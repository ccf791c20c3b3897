"""A shutdown for a clock time outlives the run that scheduled it: it is shown, and taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tastyops.practice.server import PracticeHost
from tests.cli.project import wait_for
from tests.durable.harness import Attempt, Site, begin, finish, perform, prepare

pytestmark = pytest.mark.sshd


@pytest.fixture
def practice() -> Iterator[PracticeHost]:
    with PracticeHost.start("target", scale=1.0) as host:
        yield host


@pytest.fixture
def attempt(practice: PracticeHost, tmp_path: Path) -> Attempt:
    """It has scheduled a shutdown in some two hours, and has ended."""
    at = f"{datetime.now(UTC) + timedelta(hours=2):%Y-%m-%d %H:%M}"
    book = (
        "title: Rack\nhosts: target\nworks:\n- work: Shut down\n  steps:\n"
        f"  - shutdown: {{at: '{at}', reminders: [30m]}}\n"
    )
    site = Site(practice.host, lambda path: "", "/root", practice=True)
    made = prepare(tmp_path / "p", site, book)
    assert perform(made, "run", "book.yml", "--yes") == 0, made.outputs[-1]
    return made


def to_come(attempt: Attempt) -> list[dict[str, object]]:
    assert perform(attempt, "status", "--json") == 0
    found: list[dict[str, object]] = json.loads(attempt.outputs[-1].partition("\n")[2])["shutdowns"]
    return found


def test_it_is_shown_and_taken_back(attempt: Attempt, practice: PracticeHost) -> None:
    (one,) = to_come(attempt)
    assert (one["host"], one["kind"]) == ("target", "poweroff")
    there = practice.machine.systemd.logind.scheduled
    assert there is not None
    assert there.at == one["due"]
    assert perform(attempt, "status") == 0
    assert "cancel target:shutdown` takes it back" in attempt.outputs[-1]
    assert perform(attempt, "cancel", "target:shutdown", dry=True) == 0
    assert practice.machine.systemd.logind.scheduled is not None
    assert perform(attempt, "cancel", "target:shutdown") == 0, attempt.outputs[-1]
    assert practice.machine.systemd.logind.scheduled is None
    assert practice.machine.systemd.timers.next_due() is None
    assert "Scheduled shutdown cancelled." in attempt.outputs[-1]
    assert to_come(attempt) == []


def test_there_is_none(attempt: Attempt) -> None:
    assert perform(attempt, "cancel", "other:shutdown") == 2
    assert "No run here has scheduled a shutdown of other" in attempt.outputs[-1]


def test_somebody_elses_is_left(attempt: Attempt, practice: PracticeHost) -> None:
    practice.machine.systemd.logind.schedule("reboot", practice.clock.time() + 4000)
    assert perform(attempt, "cancel", "target:shutdown") == 1
    assert "not the poweroff" in attempt.outputs[-1]
    there = practice.machine.systemd.logind.scheduled
    assert there is not None
    assert there.type == "reboot"


def live(practice: PracticeHost, folder: Path, *steps: str) -> Attempt:
    """A project with a run of these steps."""
    book = "title: Rack\nhosts: target\nworks:\n- work: Shut down\n  steps:\n"
    site = Site(practice.host, lambda path: "", "/root", practice=True)
    return prepare(folder / "p", site, book + "".join(f"  - {step}\n" for step in steps))


def journal(attempt: Attempt) -> str:
    return "".join(path.read_text() for path in attempt.folder.glob("**/runs/*/journal.jsonl"))


def test_while_its_run_is_under_way_it_is_that_run_s(
    practice: PracticeHost, tmp_path: Path
) -> None:
    at = f"{datetime.now(UTC) + timedelta(hours=2):%Y-%m-%d %H:%M}"
    attempt = live(practice, tmp_path, f"shutdown: {{at: '{at}'}}", "run: sleep 600")
    run = begin(attempt, "run", "book.yml", "--yes")
    wait_for(lambda: "sleep 600" in journal(attempt), "the shutdown is scheduled", 60)
    assert perform(attempt, "cancel", "target:shutdown") == 6
    assert f"target is being worked on by run {attempt.run.name} " in attempt.outputs[-1]
    assert f"process {run.pid}" in attempt.outputs[-1]
    assert practice.machine.systemd.logind.scheduled is not None
    assert len(list(attempt.folder.glob("**/logs/*/*.md"))) == 1
    assert perform(attempt, "cancel", "last") == 0
    assert finish(attempt, run) == 3
    assert practice.machine.systemd.logind.scheduled is not None, "the step that scheduled it was done"
    assert perform(attempt, "cancel", "target:shutdown") == 0, attempt.outputs[-1]
    assert practice.machine.systemd.logind.scheduled is None


def test_a_reboot_that_its_step_waits_for_is_that_run_s(
    practice: PracticeHost, tmp_path: Path
) -> None:
    at = f"{datetime.now(UTC) + timedelta(hours=2):%Y-%m-%d %H:%M}"
    attempt = live(practice, tmp_path, f"reboot: {{at: '{at}'}}")
    run = begin(attempt, "run", "book.yml", "--yes")
    wait_for(lambda: practice.machine.systemd.logind.scheduled, "the reboot is scheduled", 60)
    wait_for(lambda: "logind shows the reboot" in journal(attempt), "it was read back", 60)
    assert perform(attempt, "cancel", "target:shutdown") == 6
    said = attempt.outputs[-1]
    assert f"belongs to step 1.1 of the run {attempt.run.name} of " in said
    assert f"cancel {attempt.run.name}` ends the run and takes it back" in said
    assert practice.machine.systemd.logind.scheduled is not None
    assert perform(attempt, "cancel", "last") == 0
    assert finish(attempt, run) == 3
    assert practice.machine.systemd.logind.scheduled is None
