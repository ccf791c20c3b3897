"""Random runs, random accidents: the journal is true, and the run continues or ends."""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tastyops.engine import drive as drive_module
from tastyops.engine import links as links_module
from tastyops.engine.run_context import RunContext
from tastyops.errors import TastyopsError
from tastyops.journal.events import (
    Answered,
    Asked,
    Body,
    CancelAsked,
    Decided,
    Noted,
    Reported,
    Resumed,
    RunOpened,
    StepEnded,
    StopAsked,
)
from tastyops.journal.state import RunState
from tastyops.records.document.text import render_text
from tastyops.records.logs import LogBook, LogFile, LogHead, LogKeeper
from tastyops.records.runs import hand_in, read_events, waiting
from tastyops.records.verify import verify_run
from tastyops.redact import Masker
from tests.core.driving import plan_of
from tests.core.fake import FakeClock
from tests.machine import truths
from tests.machine.books import Book, books
from tests.machine.rough import RoughDialer, RoughHost
from tests.machine.stepped import DyingJournal, Killed, Pool, Stepped
from tests.properties.mutations import SCALE, TRIED

NEVER = 10_000.0
FAULTS = st.sampled_from(["", "", "", "before", "after", "meanwhile"])
AWAY = st.sampled_from(["", "", "reboot", "wipe"])
ENOUGH = 400
"""Turns within which any of these runs ends once nothing is in its way."""


class Engine(RuleBasedStateMachine):
    """A run of a random runbook, its controllers one after the other, and its hosts."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="tastyops-machine-"))
        self.drive: Stepped | None = None
        self.clock = FakeClock()
        self.boots = self.notes = 0
        self.over = False
        self.late: list[Any] = []
        self.wrong: list[str] = []
        """What a host saw; raised there it would be an outcome of a step."""

    def teardown(self) -> None:
        try:
            if self.folder.exists() and hasattr(self, "plan"):
                self.finish()
        finally:
            if self.drive is not None:
                self.journal.die()
            shutil.rmtree(self.folder)

    # -- one controller after the other ----------------------------------------------------------

    @initialize(book=books(), faults=st.lists(FAULTS, min_size=5, max_size=40), away=st.lists(AWAY, max_size=6))
    def open(self, book: Book, faults: list[Any], away: list[Any]) -> None:
        TRIED["runs of random runbooks"] += 1
        self.book = book
        self.plan = plan_of(book.text, *book.hosts)
        self.hosts = {
            name: RoughHost(
                {text: [(status, "") for status in ends] for text, ends in book.answers.items()},
                name=name, before_change=self.look,
            )
            for name in book.hosts
        }
        for number, host in enumerate(self.hosts.values()):
            host.faults.extend(faults[number::2])
            host.away.extend(away[number::2])
        self.directory = self.folder / "runs" / "r1"
        self.journal = DyingJournal.create(self.folder / "runs", "r1", book.text.encode(), Masker())
        plan = self.plan
        head = LogHead("at risk", "T", "UTC", False, [], list(plan.work_titles.values()), ["dwm"])
        logs = LogBook(self.folder / "logs", say=lambda _: None)
        self.log = logs.open(head, self.clock.now(), Masker())
        opened = RunOpened("T", "", "", plan.digest, list(book.hosts), {}, ["dwm"])
        self.begin(RunState(), LogKeeper(self.log), opened)
        self.turn()

    def begin(self, state: RunState, keeper: LogKeeper, *first: Body) -> None:
        self.pool = Pool()
        context = RunContext(
            run="r1", journal=self.journal, dialer=RoughDialer(self.hosts),  # type: ignore[arg-type]
            clock=self.clock, who="dwm", listeners=[keeper], epoch=self.journal.epoch,
        )  # fmt: skip
        self.drive = Stepped(self.plan, state, context)
        for body in first:
            self.drive.append(body)

    def gone(self, arrived: list[bool]) -> None:
        """The controller is no more; what it had sent may have arrived, or does so later."""
        TRIED["controllers that were killed"] += 1
        for work, now in zip(self.pool.pending, arrived, strict=False):
            if now:
                work()
            else:
                self.late.append(work)
        self.drive = None

    @precondition(lambda self: self.drive is None and not self.over)
    @rule()
    def resume(self) -> None:
        """Another process takes the run up, from what is on the disk."""
        self.journal, state, torn = DyingJournal.reopen(self.directory, Masker())  # type: ignore[assignment]
        self.journal.record = list(read_events(self.directory))
        self.log = LogFile(self.log.page.with_suffix(""), Masker(), say=lambda _: None)
        keeper = LogKeeper(self.log)
        for event in self.journal.record:
            keeper.event(event)
        if state.closed is not None:
            keeper.caught_up()
            self.journal.close()
            self.over = True
            return
        first = [torn] if torn else []
        self.begin(state, keeper, *first, Resumed(state.seq, "", self.plan.digest))

    # -- what may happen -------------------------------------------------------------------------

    @property
    def events(self) -> list[Any]:
        return self.journal.record

    @precondition(lambda self: self.drive is not None)
    @rule()
    def turn(self) -> None:
        assert self.drive is not None
        try:
            self.drive.turn(self.pool)
        except Killed:
            self.journal.die()
            self.drive = None
            return
        except TastyopsError:
            self.drive.let_go()
            self.journal.close()
            self.drive = None
            return
        if self.drive.state.closed is not None:
            self.drive.let_go()
            self.journal.close()
            self.drive, self.over = None, True

    @precondition(lambda self: self.drive is not None)
    @rule(rounds=st.integers(1, 4), well=st.booleans())
    def go_on(self, rounds: int, well: bool) -> None:
        """Some turns in which all that is under way ends, and every question is answered."""
        for _ in range(rounds):
            if self.drive is not None:
                self.round(0 if well else 1)

    @precondition(lambda self: self.drive is not None and self.pool.pending)
    @rule(which=st.integers(0, 7), turned=st.booleans())
    def work(self, which: int, turned: bool) -> None:
        """One of the commands under way comes to its end."""
        self.pool.pending.pop(which % len(self.pool.pending))()
        if turned:
            self.turn()

    @rule()
    def time_passes(self) -> None:
        self.clock.sleep(1, lambda seconds: False)

    @precondition(lambda self: self.late)
    @rule()
    def late_arrival(self) -> None:
        """What a controller sent that is no more comes to the host now."""
        self.late.pop()()

    @precondition(lambda self: self.drive is not None and self.drive.state.questions())
    @rule(data=st.data(), here=st.booleans())
    def answer(self, data: st.DataObject, here: bool) -> None:
        assert self.drive is not None
        at, asked = data.draw(st.sampled_from(self.drive.state.questions()))
        body = Answered(data.draw(st.sampled_from(answers(asked))))
        if here and self.drive.state.question(at) is not None:
            self.drive.give(at, body, "dwm")
        else:
            hand_in(self.directory, "ncm", body, datetime.now(UTC), at=at)

    @precondition(lambda self: self.drive is not None)
    @rule(times=st.integers(1, 2))
    def note(self, times: int) -> None:
        self.notes += 1
        said = Noted("A remark.", id=f"note-{self.notes}")
        for _ in range(times):
            hand_in(self.directory, "ncm", said, datetime.now(UTC))

    @precondition(lambda self: self.drive is not None)
    @rule(body=st.sampled_from([CancelAsked("enough"), StopAsked("wait"), StopAsked("wait")]))
    def stop(self, body: Body) -> None:
        hand_in(self.directory, "ncm", body, datetime.now(UTC))

    @precondition(lambda self: not self.over)
    @rule(
        which=st.integers(0, 1),
        faults=st.lists(FAULTS, min_size=1, max_size=4),
        refuse=st.sampled_from([0, 0, 0, 1]),
        away=AWAY,
    )
    def trouble(self, which: int, faults: list[Any], refuse: int, away: Any) -> None:
        """What the link to a host will do."""
        host = self.hosts[self.book.hosts[which % len(self.book.hosts)]]
        host.faults.extendleft(faults)
        host.refuse = refuse
        host.away.appendleft(away)

    @precondition(lambda self: not self.over)
    @rule(which=st.integers(0, 1))
    def reboot(self, which: int) -> None:
        self.boots += 1
        self.hosts[self.book.hosts[which % len(self.book.hosts)]].reboot(self.boots)

    @precondition(lambda self: not self.over)
    @rule(which=st.integers(0, 1))
    def vanish(self, which: int) -> None:
        """A running change's process is killed on its host by somebody else."""
        host = self.hosts[self.book.hosts[which % len(self.book.hosts)]]
        for name in [name for name, status in host.kept.items() if status is None]:
            del host.kept[name]
            host.gone.add(name)

    @precondition(lambda self: self.drive is not None)
    @rule(arrived=st.lists(st.booleans(), max_size=4), power=st.booleans())
    def kill(self, arrived: list[bool], power: bool) -> None:
        """SIGKILL, or the controller's own power: what was not yet on the disk is lost with it."""
        if power:
            self.journal.lose_power()
        else:
            self.journal.die()
        self.gone(arrived)

    @precondition(lambda self: self.drive is not None)
    @rule(written=st.integers(0, 3000))
    def kill_while_writing(self, written: int) -> None:
        """The journal's next write is cut after so many bytes."""
        self.journal.armed = written
        pending = list(self.pool.pending)
        self.turn()
        if self.drive is None:
            self.late += pending
        else:
            self.journal.armed = None

    # -- what must be true -----------------------------------------------------------------------

    def look(self, host: str, name: str, text: str) -> None:
        """Called by a host as it begins a change."""
        TRIED["changes begun"] += 1
        with open(self.directory / "journal.jsonl", "rb") as file:
            if not truths.intended_before(file.read(self.journal.synced), host, name):
                self.wrong.append(f"{host} {name}: {text!r} was sent, and its intent is not on the disk")

    @invariant()
    def nothing_was_sent_without_an_intent(self) -> None:
        assert not self.wrong

    @precondition(lambda self: self.drive is not None)
    @invariant()
    def state_is_what_the_events_say(self) -> None:
        assert self.drive is not None
        again = truths.folded(self.events, self.directory)
        assert truths.bare(again) == truths.bare(self.drive.state)

    def round(self, answer: int) -> None:
        """One turn, and all that follows from it."""
        before = len(self.events)
        self.turn()
        if self.drive is None:
            return
        pending, self.pool.pending = self.pool.pending, []
        for work in pending:
            work()
        questions = self.drive.state.questions()
        if not pending and not questions and len(self.events) == before:
            raise AssertionError(f"stuck: {[str(e.at) + e.kind for e in self.events[-5:]]}")
        for at, asked in questions if not pending else ():
            body = Answered(answers(asked)[answer])
            hand_in(self.directory, "ncm", body, datetime.now(UTC), at=at)

    def finish(self) -> None:
        """Whatever is still in its way, and then nothing any more: the run ends, or something is wrong."""
        for number in range(ENOUGH):
            if number == ENOUGH // 2:
                for host in self.hosts.values():
                    host.faults.clear()
                    host.away.clear()
                    host.refuse = 0
            if self.over:
                break
            if self.drive is None:
                self.resume()
                continue
            self.round(2 if number > 50 and number % 5 == 0 else number % 2)
        TRIED["links lost"] += sum(host.losses for host in self.hosts.values())
        assert self.over, [f"{e.at} {e.kind}" for e in self.events[-20:]]
        self.judge()

    def judge(self) -> None:
        assert not self.wrong
        events = list(read_events(self.directory))
        assert events == self.events
        truths.of_order(self.plan, events)
        truths.of_hosts(events, self.hosts)
        noted = truths.of_notes(events)
        assert len(noted) + waiting(self.directory) >= self.notes
        truths.of_the_end(self.plan, truths.folded(events, self.directory))
        log = LogFile(self.log.page.with_suffix(""), Masker(), say=lambda _: None)
        assert verify_run(self.directory, log)[2] == []
        assert render_text(log.document())
        said = [line.text for line in reversed(log.document().transcript)]
        wanted = [e.body.entry for e in events if isinstance(e.body, StepEnded | Reported | Decided) and e.body.entry]
        assert [text for text in said if text in wanted] == wanted


def answers(asked: Asked) -> list[str]:
    """What a person may say to a question; the first ones bring the run to its end."""
    match asked.question:
        case "failure":
            return ["skip", "retry", "abort", *asked.choices, "nonsense"]
        case "confirm" | "undo":
            return ["yes", "yes", "no"]
        case "manual":
            return ["done", "done", "no"]
    return ["sda", "sda", "sdb"]


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for a moment to pass, and only what must be durable is."""
    monkeypatch.setattr(drive_module, "SOON", NEVER)
    monkeypatch.setattr(links_module, "RECONNECT_PAUSE", 0.0)
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    monkeypatch.setattr(os, "fdatasync", lambda fd: None)


def profile(runs: int, steps: int) -> settings:
    return settings(
        max_examples=runs, stateful_step_count=steps, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


def test_random_runs_and_random_accidents() -> None:
    run_state_machine_as_test(Engine, settings=profile(int(100 * SCALE), 25))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_very_many_of_them() -> None:
    run_state_machine_as_test(Engine, settings=profile(int(1500 * SCALE), 50))
