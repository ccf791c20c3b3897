"""A controller whose clock is outside what Python can count: every verb refuses, with no bug report.

Breaks if the check is removed or moved behind a verb's own work: `check` and `run` then end with
"An error in tastyops itself: OverflowError".
"""

from __future__ import annotations

import time

import pytest

from tastyops.cli.program import LAST_SECOND, main
from tastyops.cli.verbs import VERBS
from tastyops.errors import ExitCode


def beyond_python() -> float:
    """What `time.time` does where the kernel's clock is after 11 April 2262."""
    raise OverflowError("timestamp too large to convert to C _PyTime_t")


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS])
def test_every_verb_refuses_a_clock_beyond_the_year_2262(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(time, "time", beyond_python)
    assert main([verb]) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert "This machine's clock is before 1970 or after 2261. Nothing was done." in said
    assert "timedatectl" in said


@pytest.mark.parametrize("now", [-1.0, -1_800_000_000.0, float(LAST_SECOND), 2.0 * LAST_SECOND])
def test_a_clock_before_1970_or_at_the_limit_is_refused(
    now: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(time, "time", lambda: now)
    assert main(["list"]) == ExitCode.USAGE
    assert "Nothing was done." in capsys.readouterr().err
