"""The scheduled shutdowns that `status` lists."""

from __future__ import annotations

from typing import Any

import pytest

from tastyops.app.scheduled_shutdowns import scheduled_under_way as scheduled
from tastyops.facts.system import logind_call
from tastyops.journal.connection_events import HANDS, Connected
from tastyops.journal.events import StepEnded
from tastyops.journal.state import Lane, Past, RunState
from tastyops.model.commands import Output

AT = 1_204_933_500  # 2008-03-07T23:45Z
SET = logind_call("ScheduleShutdown", "st", "poweroff", str(AT * 1_000_000))
TAKEN_BACK = logind_call("CancelScheduledShutdown")
SHOWN = {"host": "web1", "step": "1.1", "what": "poweroff", "at": "2008-03-07T23:45:00Z"}


def past(argv: tuple[str, ...], status: int | None = 0) -> Past:
    value = None if status is None else Output(status)
    return Past("d", {"change": list(argv)}, boot_id="b1", value=value)


@pytest.mark.parametrize(
    ("commands", "more", "shown"),
    [
        ([past(SET)], {}, True),
        ([past(SET, 1)], {}, False),
        ([past(SET, None)], {}, False),
        ([past(SET), past(TAKEN_BACK)], {}, False),
        ([past(SET), past(TAKEN_BACK, 1)], {}, True),
        ([past(SET)], {"ended": StepEnded("done")}, False),
        ([past(SET)], {"ended": StepEnded("failed")}, True),
        ([past(("busctl", "ScheduleShutdown", "st", "reboot", "soon"))], {}, False),
        ([past(("busctl", "ScheduleShutdown"))], {}, False),
    ],
)
def test_what_is_shown(commands: list[Past], more: dict[str, Any], shown: bool) -> None:
    lane = Lane(1, dict(enumerate(commands, 1)), begun=True, **more)
    assert scheduled(RunState(lanes={("web1", "1.1"): lane})) == ([SHOWN] if shown else [])


def test_after_a_reboot_it_has_happened() -> None:
    state = RunState(lanes={("web1", "1.1"): Lane(1, {1: past(SET)}, begun=True)})
    state.connected["web1"] = Connected("b1", "", "", 0, "")
    assert scheduled(state) == [SHOWN]
    state.connected["web1"] = Connected("", "", "", -1, "", over=HANDS)
    assert scheduled(state) == [SHOWN], "a boot id that nobody told proves no reboot"
    state.connected["web1"] = Connected("b2", "", "", 0, "")
    assert scheduled(state) == []
