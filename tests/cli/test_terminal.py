"""What a person sees and types: the live checklist, the questions, the plain lines."""

from __future__ import annotations

import contextlib
import io
import os
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from msgspec.structs import replace
from rich.cells import cell_len
from rich.console import Console

from tastyops.facts.disks import BLOCK_DEVICES
from tastyops.journal.connection_events import Connected, Disconnected
from tastyops.journal.envelope import Event
from tastyops.journal.events import (
    Address,
    Asked,
    Body,
    CancelAsked,
    Intended,
    Reported,
    Settled,
    StepEnded,
    StepStarted,
    WorkEnded,
    WorkStarted,
)
from tastyops.plan.plan import Plan
from tastyops.ui import prompts
from tastyops.ui.live_screen import LiveScreen
from tastyops.ui.plain_lines import PlainLines
from tastyops.ui.prompts import AtTerminal, Unattended, typed
from tastyops.ui.run_view import RunView
from tastyops.ui.tolerant_listener import Losable
from tests.cli.project import wait_for
from tests.core.driving import drive, plan_of
from tests.core.fake import FakeHost

START = datetime(2026, 2, 11, 13, 20, tzinfo=UTC)
LANE = Address("web1", "1.1", 1)
WIDE = "日本語" * 30
QUESTION = Asked("d", "confirm", "Go on?")
ASKING = {"host": LANE.host, "step": LANE.step, **QUESTION.to_json()}


@pytest.fixture
def plan() -> Plan:
    return plan_of(
        """
        title: T
        hosts: web1
        works:
          - work: First
            steps: [{run: one, name: Do it}]
          - work: A second one with quite a long title
            steps: [{run: two}]
        """,
        "web1",
    )


def event(body: Body, at: Address = LANE, after: float = 0.0) -> Event:
    moment = START + timedelta(seconds=after)
    return Event("r", 1, 1, moment, moment, "dwm", at, body)


class Screen:
    """A live screen on a terminal of memory; ``drawn`` is what it shows at this moment."""

    def __init__(self, plan: Plan, width: int = 60, height: int = 20) -> None:
        self.file, self.other = io.StringIO(), io.StringIO()
        self.console, self.beside = (
            Console(
                file=file, force_terminal=True, width=width, height=height, color_system=None,
                highlight=False, legacy_windows=False,
            )
            for file in (self.file, self.other)
        )
        self.view = RunView(plan)
        self.now = START
        self.live = LiveScreen(self.view, 0, lambda: self.now, self.console)

    def drawn(self) -> list[str]:
        self.other.seek(0)
        self.other.truncate()
        self.beside.print(self.live._draw())
        return [line.rstrip() for line in self.other.getvalue().splitlines()]


def test_the_checklist_fills_in(plan: Plan) -> None:
    screen = Screen(plan)
    assert screen.drawn() == ["", " · First", " · A second one with quite a long title"]
    with screen.live as live:
        live.event(event(WorkStarted(1), Address()))
        live.event(event(StepStarted("run", {})))
        screen.now = START + timedelta(seconds=83)
        live.event(event(Reported("d", done=0.4, note="copying")))
        live.running(LANE, f"old\n\x1b[2J\x1b[31mred\a\rnext\n{WIDE}\n".encode(), b"")
        drawn = screen.drawn()
        assert drawn[:3] == ["", " ▶ First", "     web1: 1.1 Do it  1:23 · copying"]
        assert drawn[3].endswith(" 40%")
        assert drawn[4:7] == ["       │ old", "       │ red", "       │ next"]
        assert drawn[7].endswith("…")
        assert drawn[8:] == [" · A second one with quite a long title"]
        live.event(event(StepEnded("done"), after=90))
        live.event(event(WorkEnded(1, "Completed"), Address(), 90))
        assert screen.drawn()[1] == " ✔ First (Completed)"
    assert screen.file.getvalue().rstrip().endswith("A second one with quite a long title")
    assert "13:21:30 1.1 Do it: done" in screen.file.getvalue()


@pytest.mark.parametrize("width", [20, 40, 60])
def test_nothing_is_wider_than_the_terminal(plan: Plan, width: int) -> None:
    screen = Screen(plan, width)
    for body in (WorkStarted(1), StepStarted("run", {}), Reported("d", done=0.4, note="n" * 99)):
        screen.view.take(event(body))
    screen.live.running(LANE, f"{WIDE}\n{'x' * 300}\n".encode(), b"")
    assert max(cell_len(line) for line in screen.drawn()) <= width


def test_the_running_work_is_drawn_however_many_there_are() -> None:
    works = "".join(f"  - work: Work {n}\n    steps: [{{run: x}}]\n" for n in range(1, 41))
    screen = Screen(plan_of(f"title: T\nhosts: web1\nworks:\n{works}", "web1"))
    screen.view.take(event(WorkStarted(30), Address()))
    screen.view.take(event(StepStarted("run", {}), Address("web1", "30.1", 1)))
    drawn = screen.drawn()
    assert len(drawn) < 20
    assert " ▶ Work 30" in drawn
    assert "     web1: 30.1 run  0:00" in drawn
    assert re.fullmatch(r" … \d+ more works", drawn[-1])


def test_lines_wait_while_a_question_is_asked(plan: Plan) -> None:
    screen = Screen(plan)
    with screen.live as live:
        live.event(event(QUESTION))
        live.pause(ASKING)
        before = len(screen.file.getvalue())
        live.event(event(StepStarted("run", {})))
        assert screen.file.getvalue()[before:] == ""
        live.resume()
        assert "13:20:00 1.1 Do it …" in screen.file.getvalue()[before:]
        live.event(event(QUESTION))
        live.pause(ASKING)
        before = len(screen.file.getvalue())
        live.event(event(CancelAsked("enough"), Address()))
        assert screen.file.getvalue()[before:].startswith("\n13:20:00 Stopping: enough (dwm).")
    after = len(screen.file.getvalue())
    live.resume()  # by the thread that still waits at the keyboard
    assert len(screen.file.getvalue()) == after


def test_plain_lines_say_what_failed_and_steer_no_terminal(plan: Plan) -> None:
    out = io.StringIO()
    lines = PlainLines(RunView(plan), out, 60)
    output = {"status": 3, "out": {"head": "\x1b[31mout\x1b[0m\n"}, "err": {"head": "why\n"}}
    lines.event(event(StepStarted("run", {})))
    lines.event(event(Intended("d", {"change": ["sh", "-c", "do it"]}, "", "")))
    lines.event(event(Settled("d", "output", output, {}), replace(LANE, n=1)))
    lines.event(event(Asked("d", "confirm", "\x1b]0;title\x07Really?", "", None)))
    lines.event(event(Reported("d", note="still starting")))
    lines.event(event(Reported("d", note="still starting")))
    lines.event(event(StepEnded("failed", why="it ended with\x1b[2J status 3", cause=1)))
    assert not out.getvalue(), "a turn's lines are written at once"
    lines.caught_up()
    assert out.getvalue().splitlines() == [
        "14:20:00 1.1 Do it …",
        "14:20:00 1.1 Do it asks: Really?",
        "14:20:00 1.1 Do it: still starting",
        "14:20:00 1.1 Do it: failed: it ended with status 3",
        "14:20:00   $ do it    (status 3)",
        "14:20:00   | out",
        "14:20:00   | why",
    ]


def seen_of(plan: Plan, *bodies: tuple[str, Body]) -> list[str]:
    """The lines that such events of hosts are shown as."""
    out = io.StringIO()
    lines = PlainLines(RunView(plan), out, 0)
    for seq, (host, body) in enumerate(bodies, 1):
        lines.event(Event("r", seq, 1, START, START, "dwm", Address(host), body))
    lines.caught_up()
    return [line.removeprefix("13:20:00 ") for line in out.getvalue().splitlines()]


LOST, GOING = Disconnected("No word for 30 s."), Disconnected("gone", expected=True)
SAME, OTHER = (Connected(boot, "6.1", "web1", 0, "/run/tastyops") for boot in ("one", "two"))
CONSOLE = replace(SAME, over="console")


@pytest.mark.parametrize(
    ("bodies", "said"),
    [
        ([SAME, LOST, SAME], ["No word for 30 s.", "the link is back"]),
        ([SAME, LOST, OTHER], ["No word for 30 s.", "the link is back; the host was rebooted meanwhile"]),
        ([SAME, LOST, SAME, LOST, SAME], ["No word for 30 s.", "the link is back"] * 2),
        ([SAME, LOST, SAME, SAME], ["No word for 30 s.", "the link is back"]),
        ([SAME, LOST, LOST, SAME], ["No word for 30 s.", "No word for 30 s.", "the link is back"]),
        ([SAME, GOING, OTHER], []),
        ([SAME], []),
        ([LOST, SAME], ["No word for 30 s.", "the link is back"]),
        ([SAME, LOST, CONSOLE], ["No word for 30 s.", "no ssh; the session goes over its console"]),
        ([SAME, LOST, CONSOLE, SAME],
         ["No word for 30 s.", "no ssh; the session goes over its console", "the link is back"]),
        ([SAME, LOST, replace(SAME, skew=-5.0)],
         ["No word for 30 s.", "the link is back; its clock is 5s behind"]),
        ([replace(SAME, skew=7.0)], ["its clock is 7s ahead"]),
    ],
)  # fmt: skip
def test_a_link_that_was_lost_is_said_to_be_back(
    bodies: list[Body], said: list[str], plan: Plan
) -> None:
    assert seen_of(plan, *(("web1", body) for body in bodies)) == [f"web1: {each}" for each in said]


def test_a_link_is_back_on_the_host_that_lost_it(plan: Plan) -> None:
    bodies = [("web1", LOST), ("web2", SAME), ("web1", SAME)]
    assert seen_of(plan, *bodies) == ["web1: No word for 30 s.", "web1: the link is back"]


def test_a_refusal_shows_its_reason_and_not_what_the_guard_read(tmp_path: Path) -> None:
    steps = "[{disk.detach: {disk: WD-1}}]"
    plan = plan_of(f"{{title: T, hosts: web1, works: [{{work: W, steps: {steps}}}]}}", "web1")
    lsblk = " ".join(BLOCK_DEVICES.argv)
    host = FakeHost({lsblk: (0, '{"blockdevices": []}')})
    ran = drive(plan, tmp_path, web1=host)
    out = io.StringIO()
    lines = PlainLines(RunView(plan), out, 0)
    for each in ran.events:
        lines.event(each)
    lines.caught_up()
    (said,) = [line for line in out.getvalue().splitlines() if "WD-1" in line]
    assert said.endswith("failed: no disk is named WD-1 (there are: none known)")
    assert "lsblk" not in out.getvalue()
    assert "blockdevices" not in out.getvalue()
    assert "blockdevices" in (ran.directory / "journal.jsonl").read_text()


def test_a_listener_that_cannot_write_is_left_alone(plan: Plan) -> None:
    class Full(io.StringIO):
        tries = 0

        def write(self, _: str) -> int:
            self.tries += 1
            raise BrokenPipeError(32, "Broken pipe")

    out = Full()
    screen = Losable(PlainLines(RunView(plan), out, 0))
    for _ in range(3):
        screen.event(event(WorkStarted(1), Address()))
        screen.caught_up()
    assert (screen.lost, out.tries) == (True, 1)


# -- the keyboard ------------------------------------------------------------------------------


class Keyboard:
    """A pseudo-terminal as the standard input and error of ``people``; pytest keeps its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ours, theirs = os.openpty()
        os.set_blocking(self.ours, False)
        self._file = os.fdopen(theirs, "r+b", buffering=0)
        self.input = io.TextIOWrapper(self._file, encoding="utf-8", write_through=True)
        monkeypatch.setattr(prompts, "sys", SimpleNamespace(stdin=self.input, stderr=self.input))
        self.seen = ""

    def wait(self, text: str) -> None:
        def look() -> bool:
            with contextlib.suppress(BlockingIOError):
                self.seen += os.read(self.ours, 4096).decode("utf-8", "replace")
            return text in self.seen

        wait_for(look, f"{text!r} on the terminal")
        self.seen = self.seen.partition(text)[2]

    def type(self, text: str) -> None:
        os.write(self.ours, text.encode("utf-8", "surrogateescape"))

    def hang_up(self) -> None:
        os.close(self.ours)
        self.ours = -1

    def close(self) -> None:
        if self.ours >= 0:
            os.close(self.ours)
        with contextlib.suppress(OSError):
            self.input.close()


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Keyboard]:
    made = Keyboard(monkeypatch)
    yield made
    monkeypatch.undo()
    made.close()


def asked(question: str, text: str = "Really?", default: str | None = None) -> dict[str, object]:
    return {"question": question, "text": text, "default": default, "step": "1.1", "host": ""}


@pytest.mark.parametrize(
    ("question", "typing", "answer"),
    [
        (asked("confirm"), [("[yes/no] ", "maybe\n"), ("answer yes or no", "YES\n")], "yes"),
        (asked("confirm"), [("[yes/no] ", "done\n"), ("answer yes or no", " n \n")], "n"),
        (asked("manual", "Pull it."), [("Type done", "ok\n"), ("done or no", "done\n")], "done"),
        (asked("ask"), [("Really? ", "\n"), ("The answer is empty", "sd b\n")], "sd b"),
        (asked("ask", default="sda"), [("[sda] ", "\n")], "sda"),
        (asked("ask"), [("Really? ", "\x1b[Dx\n"), ("control character", "é\udcff\n")], "é�"),
        (asked("ask", "A\x1b[2J\nB?"), [("A B? ", "x\n")], "x"),
        (asked("confirm"), [("[yes/no] ", "\x04")], None),
    ],
)
def test_a_person_answers(
    question: dict[str, object], typing: list[tuple[str, str]], answer: str | None,
    keyboard: Keyboard,
) -> None:
    calls: list[str] = []
    person = AtTerminal("dwm", pause=lambda _: calls.append("p"), resume=lambda: calls.append("r"))
    answers: list[tuple[str, str] | None] = []
    thread = threading.Thread(
        target=lambda: answers.append(person.answer(question, over=lambda: False)), daemon=True
    )
    thread.start()
    for number, (said, reply) in enumerate(typing):
        if number:
            keyboard.wait(said)  # what was wrong with the answer; then it is asked again
        keyboard.wait("\a")  # it drops what was typed before
        if not number:
            keyboard.wait(said)
        keyboard.type(reply)
    thread.join(60)
    assert answers == [(answer, "dwm") if answer is not None else None]
    assert calls == ["p", "r"]


def test_what_was_typed_before_the_question_is_no_answer(keyboard: Keyboard) -> None:
    keyboard.type("yes\n")
    keyboard.wait("yes")  # the terminal has echoed it, so it lies there to be read
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(typed("Now? ")), daemon=True)
    thread.start()
    keyboard.wait("Now? ")
    keyboard.type("no\n")
    thread.join(60)
    assert answers == ["no"]


BY_HAND = {
    "question": "typed", "text": "At box type this:\n\nls  -l 'a  b'\n\nThen tell.\x1b[2J",
    "line": "ls  -l 'a  b'", "shown": "ls  -l 'a  b'", "step": "1.1", "host": "box",
}  # fmt: skip
HOW, SEEN = "How did it end? ", "a single dot:"


@pytest.mark.parametrize(
    ("typing", "answer"),
    [
        ([(HOW, "0\n"), (SEEN, "one\n  two\n\n.\n")], "0\none\n  two\n\n"),
        ([(HOW, "127\n"), (SEEN, ".\n")], "127\n"),
        ([(HOW, "0\n"), (SEEN, "..\n...\n.\n")], "0\n.\n...\n"),
        ([(HOW, "0\n"), (SEEN, "one\n\x04")], "0\none\n"),
        ([(HOW, "0\n"), (SEEN, "\x04")], "0\n"),
        ([(HOW, "0\n"), (SEEN, "é\udcff\n.\n")], "0\né\udcff\n"),
        ([(HOW, "Not  typed\n")], "Not  typed"),
        ([(HOW, "256\n"), ("from 0 to 255", ""), (HOW, "cannot tell\n")], "cannot tell"),
        ([(HOW, "0\n"), (SEEN, f"{'x' * 4100}\n.\n"), ("in pieces", ""), (HOW, "leave\n")], "leave"),
        ([(HOW, "\x04")], None),
    ],
)
def test_what_is_seen_at_a_host_is_typed_back(
    typing: list[tuple[str, str]], answer: str | None, keyboard: Keyboard
) -> None:
    answers: list[tuple[str, str] | None] = []
    person = AtTerminal("dwm")
    thread = threading.Thread(
        target=lambda: answers.append(person.answer(BY_HAND, over=lambda: False)), daemon=True
    )
    thread.start()
    keyboard.wait("\r\nls  -l 'a  b'\r\n")  # as it is to be typed
    for said, reply in typing:
        keyboard.wait(said)
        keyboard.type(reply)
    thread.join(60)
    assert answers == [(answer, "dwm") if answer is not None else None]


@pytest.mark.parametrize("typing", [[], ["0\n"], ["0\n", "half of it\n"]])
def test_a_question_that_is_over_is_left_whatever_was_typed(
    typing: list[str], keyboard: Keyboard
) -> None:
    answers: list[tuple[str, str] | None] = []
    over = threading.Event()
    thread = threading.Thread(
        target=lambda: answers.append(AtTerminal("dwm").answer(BY_HAND, over=over.is_set)),
        daemon=True,
    )
    thread.start()
    for said, reply in zip((HOW, SEEN), typing, strict=False):
        keyboard.wait(said)
        keyboard.type(reply)
    over.set()
    thread.join(60)
    assert answers == [None]


def test_a_terminal_that_went_away_ends_no_output(keyboard: Keyboard) -> None:
    """Its end of input is not the person's: half of what was seen must not pass for all of it."""
    answers: list[tuple[str, str] | None] = []
    thread = threading.Thread(
        target=lambda: answers.append(AtTerminal("dwm").answer(BY_HAND, over=lambda: False)),
        daemon=True,
    )
    thread.start()
    keyboard.wait(HOW)
    keyboard.type("0\n")
    keyboard.wait(SEEN)
    keyboard.type("half of it\n")
    keyboard.wait("half of it")
    keyboard.hang_up()
    thread.join(60)
    assert answers == [None]


def test_yes_answers_confirmations_only() -> None:
    person = Unattended("dwm", yes=True, answers={"1.1": "sdb"})
    assert person.answer(asked("confirm"), over=lambda: False) == ("yes", "dwm")
    assert person.answer({**asked("confirm"), "by": "another operator"}, over=lambda: False) is None
    assert person.answer(asked("manual"), over=lambda: False) is None
    assert person.answer(asked("ask"), over=lambda: False) == ("sdb", "dwm")
    assert Unattended("dwm", yes=True, answers={}).answer(asked("ask", default="sda"), over=lambda: False) == ("sda", "dwm")
    assert Unattended("dwm", yes=False, answers={}).answer(asked("confirm"), over=lambda: False) is None
