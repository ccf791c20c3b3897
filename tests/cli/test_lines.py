"""The lines above the checklist: what goes into the log, in which order, and how they wrap."""

from __future__ import annotations

import io
import re
import threading
from datetime import timedelta

import pytest

from tastyops.journal.events import Noted, Reported, RunOpened, StepEnded, StepStarted, WorkStarted
from tastyops.plan.plan import Plan
from tastyops.ui.plain_lines import PlainLines
from tastyops.ui.run_view import RunView
from tests.cli.test_terminal import ASKING, QUESTION, START, WIDE, Address, Screen, event
from tests.core.driving import plan_of


@pytest.fixture
def plan() -> Plan:
    return plan_of(
        "{title: T, hosts: web1, works: [{work: W, steps: [{run: one, name: Do it}]}]}", "web1"
    )


def test_a_long_name_leaves_the_time_in_sight() -> None:
    text = f"{{title: T, hosts: web1, works: [{{work: W, steps: [{{run: x, name: {WIDE}}}]}}]}}"
    screen = Screen(plan_of(text, "web1"))
    screen.view.take(event(WorkStarted(1), Address()))
    screen.view.take(event(StepStarted("run", {})))
    screen.now = START + timedelta(seconds=754)
    assert screen.drawn()[2].endswith("…  12:34")


def test_what_led_to_a_question_is_shown_before_it_is_asked(plan: Plan) -> None:
    screen = Screen(plan)
    with screen.live as live:
        seen: list[str] = []

        def ask() -> None:
            live.pause(ASKING)
            seen.append(screen.file.getvalue())

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        live.event(event(StepEnded("done", entry="It is done.")))
        assert not seen
        live.event(event(QUESTION))
        asking.join(60)
        (shown,) = seen
        at = [shown.index(said) for said in ("1.1 Do it: done", "log: It is done.", "asks: Go on?")]
        assert at == sorted(at)
        live.resume()


def test_a_long_line_goes_on_beside_its_time(plan: Plan) -> None:
    screen = Screen(plan, width=40)
    said = "one two three four five six seven eight nine ten eleven"
    with screen.live as live:
        live.event(event(StepEnded("failed", why=said, entry=said.capitalize() + ".")))
    written = re.sub(r"\x1b\[[0-9?]*[a-zA-Z]", "", screen.file.getvalue())
    lines = [line.rstrip() for line in written.splitlines()]
    at = next(n for n, line in enumerate(lines) if "13:20:00" in line)
    assert lines[at : at + 3] == [
        "13:20:00 1.1 Do it: failed: one two",
        "         three four five six seven eight",
        "         nine ten eleven",
    ]
    at = lines.index("           log: One two three four five")
    assert lines[at + 1] == "           six seven eight nine ten"


def test_plain_lines_show_a_run_s_head_and_the_log_s_entries(plan: Plan) -> None:
    out = io.StringIO()
    lines = PlainLines(RunView(plan), out, 0)
    opened = RunOpened("T", "", "", "", ["web1"], {}, log="2026/001", practice=True)
    lines.event(event(opened, Address()))
    lines.event(event(Reported("d", entry="Half\x1b[2J of it.")))
    lines.event(event(Noted("A remark.", public=True), Address()))
    lines.event(event(Noted("For us.", public=False), Address()))
    lines.event(event(StepEnded("done", entry="All of it.")))
    lines.event(event(StepEnded("done")))
    many = RunOpened("T", "", "", "", [f"web{n}" for n in range(9)], {}, log="2026/002")
    lines.event(event(many, Address()))
    lines.caught_up()
    assert out.getvalue().splitlines() == [
        "13:20:00 T on web1; practice log 2026/001",
        "13:20:00   log: Half of it.",
        "13:20:00   log: A remark.",
        "13:20:00 1.1 Do it: done",
        "13:20:00   log: All of it.",
        "13:20:00 1.1 Do it: done",
        "13:20:00 T on 9 hosts; log 2026/002",
    ]
