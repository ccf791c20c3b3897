"""A shutdown for a clock time outlives the run that scheduled it: shown, and taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tastyops.practice.server import PracticeHost
from tests.durable.harness import Attempt, Site, perform, prepare

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
    there = practice.machine.logind.scheduled
    assert there is not None
    assert there.at == one["due"]
    assert perform(attempt, "status") == 0
    assert "cancel target:shutdown` takes it back" in attempt.outputs[-1]
    assert perform(attempt, "cancel", "target:shutdown", dry=True) == 0
    assert practice.machine.logind.scheduled is not None
    assert perform(attempt, "cancel", "target:shutdown") == 0, attempt.outputs[-1]
    assert practice.machine.logind.scheduled is None
    assert practice.machine.timers.next_due() is None
    assert "Scheduled shutdown cancelled." in attempt.outputs[-1]
    assert to_come(attempt) == []


def test_there_is_none(attempt: Attempt) -> None:
    assert perform(attempt, "cancel", "other:shutdown") == 2
    assert "No run here has scheduled a shutdown of other" in attempt.outputs[-1]


def test_somebody_elses_is_left(attempt: Attempt, practice: PracticeHost) -> None:
    practice.machine.logind.schedule("reboot", practice.clock.time() + 4000)
    assert perform(attempt, "cancel", "target:shutdown") == 1
    assert "not the poweroff" in attempt.outputs[-1]
    there = practice.machine.logind.scheduled
    assert there is not None
    assert there.type == "reboot"
