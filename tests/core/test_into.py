"""Runs that write into an existing log: an incident, and a second attempt."""

from __future__ import annotations

from pathlib import Path

from tastyops.engine.drive import Drive
from tastyops.engine.run_context import RunContext
from tastyops.journal.events import RunOpened
from tastyops.journal.public_events import Closed, WorkAdded, WorkStatus
from tastyops.journal.state import RunState
from tastyops.plan.plan import Plan
from tastyops.records.document.build import Document
from tastyops.records.logs import LogBook, LogFile, LogHead, LogKeeper
from tastyops.records.runs import RunJournal
from tastyops.records.verify import verify_run
from tastyops.redact import Masker
from tastyops.ui.prompts import Unattended
from tests.core.driving import plan_of
from tests.core.fake import FakeClock, FakeDialer, FakeHost

BOOK = """
title: Check the filesystems
hosts: web1
works:
  - work: Check them
    steps: [{run: fsck, log: Checked.}]
  - work: Tidy up
    steps: [{run: tidy, log: Tidied.}]
"""


def head(plan: Plan, **changes: object) -> LogHead:
    values = {
        "kind": "incident", "title": "T", "zone": "UTC", "practice": False, "summary": [],
        "works": list(plan.work_titles.values()), "attending": ["dwm"],
    }
    return LogHead(**{**values, **changes})  # type: ignore[arg-type]


def carry_out(plan: Plan, tmp_path: Path, book: LogBook, run: str, clock: FakeClock, host: FakeHost) -> int:
    """Runs the plan into log 2026/001 as ``run --into`` does; gives its first work's number."""
    journal = RunJournal.create(tmp_path / "runs", run, plan.runbook.source, Masker())
    log, first = book.join("2026/001", head(plan), run, clock.now(), Masker())
    context = RunContext(
        run=run, journal=journal, dialer=FakeDialer(web1=host), clock=clock, who="dwm",
        operators=(Unattended("dwm", yes=True, answers={}),), listeners=(LogKeeper(log),),
    )
    drive = Drive(plan, RunState(), context)
    drive.append(RunOpened(plan.title, "", "", plan.digest, ["web1"], {}, ["dwm"], log="2026/001"))
    drive.run()
    journal.close()
    return first


def page(book: LogBook) -> tuple[LogFile, Document]:
    log = book.find("2026/001")
    assert log is not None
    return log, log.document()


def test_an_incident_takes_a_failed_attempt_and_then_a_good_one(tmp_path: Path) -> None:
    plan, clock = plan_of(BOOK, "web1"), FakeClock()
    book = LogBook(tmp_path / "logs", say=lambda _: None)
    opened = book.open(head(plan, works=[], by_hand=True), clock.now(), Masker())
    opened.append(WorkAdded("Call the colo"), clock.now())

    failing = FakeHost({"fsck": (8, ""), "tidy": (0, "")})
    assert carry_out(plan, tmp_path, book, "r1", clock, failing) == 2
    assert [(w.title, w.status) for w in page(book)[1].works] == [
        ("Call the colo", ""), ("Check them", "Not completed"), ("Tidy up", "Cancelled"),
    ]
    assert page(book)[1].status == "In progress"

    good = FakeHost({"fsck": (0, ""), "tidy": (0, "")})
    assert carry_out(plan, tmp_path, book, "r2", clock, good) == 4
    log, document = page(book)
    assert [(w.title, w.status, w.run) for w in document.works[3:]] == [
        ("Check them", "Completed", "r2"), ("Tidy up", "Completed", "r2"),
    ]
    assert document.works[1].status == "Not completed"
    assert document.runs == ["r1", "r2"]
    assert [line.text for line in document.transcript] == [
        "Tidied.", "Checked.", "Step 1.1 (run) failed.",
    ]
    assert document.status == "In progress"
    for number in (1, 2, 3):
        log.append(WorkStatus(number, "Completed", "in the end", by_hand=True), clock.now())
    log.append(Closed("Completed"), clock.now())
    assert page(book)[1].status.startswith("Completed at ")
    for run in ("r1", "r2"):
        assert verify_run(tmp_path / "runs" / run, log)[2] == []
