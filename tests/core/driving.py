"""Drives a runbook against fake hosts with a real journal on disk."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tastyops.app.registry import registry
from tastyops.engine.drive import Drive
from tastyops.engine.out_of_band import NoOutOfBand
from tastyops.engine.preview import Preview, preview
from tastyops.engine.run_context import RunContext
from tastyops.errors import WaitsForPerson
from tastyops.journal.envelope import Event
from tastyops.journal.events import Address, RunOpened
from tastyops.journal.state import RunState
from tastyops.model.inventory import Host
from tastyops.plan.plan import Plan, make_plan
from tastyops.ports import Operator, OutOfBand
from tastyops.records.blobs import OutputCapture
from tastyops.records.logs import LogBook, LogFile, LogHead, LogKeeper
from tastyops.records.runs import RunJournal, read_events
from tastyops.redact import Masker
from tastyops.runbook.validation import validate
from tastyops.ui.prompts import Unattended
from tests.core.fake import FakeClock, FakeDialer, FakeHost
from tests.schemas import refused


def plan_of(
    text: str, *hosts: str, inputs: dict[str, Any] | None = None, start_at: str = ""
) -> Plan:
    names = dict.fromkeys(hosts)
    assert not refused(textwrap.dedent(text)), "the schema refuses a runbook of the tests"
    runbook = validate(textwrap.dedent(text).encode(), "test.yml", registry(), names, frozenset())
    values = {name: wanted.default for name, wanted in runbook.inputs.items()} | (inputs or {})
    return make_plan(runbook, [Host(name) for name in hosts], values, registry(), start_at=start_at)


@dataclass
class Ran:
    """What a drive left behind."""

    state: RunState
    events: list[Event]
    log: LogFile
    clock: FakeClock
    directory: Path
    heard: list[Event] = field(default_factory=list)

    @property
    def transcript(self) -> list[str]:
        """The log's entries, oldest first."""
        return [line.text for line in reversed(self.log.document().transcript)]

    @property
    def works(self) -> list[str]:
        return [work.note for work in self.log.document().works]

    def bodies(self, kind: str) -> list[Any]:
        return [event.body for event in self.events if event.kind == kind]


class Hearing:
    def __init__(self) -> None:
        self.heard: list[Event] = []

    def event(self, event: Event) -> None:
        self.heard.append(event)

    def caught_up(self) -> None:
        pass

    def running(self, at: Address, out: bytes, err: bytes) -> None:
        pass


def drive(
    plan: Plan,
    tmp_path: Path,
    *,
    operators: Sequence[Operator] = (),
    secrets: Sequence[str] = (),
    before: Any = None,
    take_over: bool = False,
    ways: OutOfBand | None = None,
    in_doubt: bool = False,
    run: str = "r1",
    **hosts: FakeHost,
) -> Ran:
    """``in_doubt``: the run is left open, since nobody is there to say what became of a change."""
    clock = FakeClock()
    masker = Masker(secrets)
    journal = RunJournal.create(tmp_path / "runs", run, plan.runbook.source, masker)
    book = LogBook(tmp_path / "logs", say=lambda _: None)
    head = LogHead(
        plan.runbook.kind,
        plan.title,
        "UTC",
        False,
        plan.summary,
        list(plan.work_titles.values()),
        ["dwm"],
    )
    log = book.open(head, clock.now(), masker)
    hearing, keeper = Hearing(), LogKeeper(log)
    context = RunContext(
        run=run,
        journal=journal,
        dialer=FakeDialer(**hosts),
        clock=clock,
        who="dwm",
        operators=operators or (Unattended("dwm", yes=True, answers={}),),
        listeners=(keeper, hearing),
        take_over=take_over,
        out_of_band=ways or NoOutOfBand(),
    )
    driving = Drive(plan, RunState(), context)
    driving.append(
        RunOpened(plan.title, "", "", plan.digest, [h.name for h in plan.hosts], {}, ["dwm"])
    )
    if before:
        before(driving, journal)
    try:
        with pytest.raises(WaitsForPerson) if in_doubt else contextlib.nullcontext():
            driving.run()
    finally:
        keeper.flush()
        journal.close()
    state = driving.state
    assert not in_doubt or (state.closed is None and state.in_doubt)
    return Ran(
        state, list(read_events(journal.directory)), log, clock, journal.directory, hearing.heard
    )


def dry(plan: Plan, ways: OutOfBand | None = None, **hosts: FakeHost) -> Preview:
    return preview(plan, FakeDialer(**hosts), FakeClock(), OutputCapture, ways)
