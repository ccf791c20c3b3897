"""What people add to a log: corrections, work items, a second run; and the resulting page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tastyops.errors import UsageError
from tastyops.journal.envelope import Event, stamp
from tastyops.journal.events import Address, Noted, RunClosed, RunOpened, WorkEnded
from tastyops.journal.public_events import (
    Attends,
    Closed,
    Corrected,
    Entry,
    LogOpened,
    PublicBody,
    PublicEvent,
    Retitled,
    RunAttached,
    SummaryAdded,
    Withdrawn,
    WorkAdded,
    WorkStatus,
)
from tastyops.records.document.build import Document, build
from tastyops.records.document.text import render_text
from tastyops.records.logs import LogBook, LogFile, LogHead, LogKeeper
from tastyops.redact import Masker

AT = datetime(2008, 2, 16, 20, 57, tzinfo=UTC)


def built(*bodies: PublicBody, **head: object) -> Document:
    opened = LogOpened(
        "2008/003", "incident", "Disk trouble", "February 16th 2008", 0, **head  # type: ignore[arg-type]
    )
    return build(
        PublicEvent(n, AT, AT + timedelta(minutes=n), body)
        for n, body in enumerate([opened, *bodies], 1)
    )


def texts(document: Document) -> list[str]:
    return [line.text for line in document.transcript]


# -- the page ----------------------------------------------------------------------------------


def test_a_correction_shows_the_new_words_in_the_old_place() -> None:
    document = built(Entry("one", ["a point"]), Entry("twoo"), Entry("three"), Corrected(3, "two"))
    assert texts(document) == ["three", "two", "one"]
    again = built(Entry("one", ["a point"]), Corrected(2, "oen"), Corrected(2, "first"))
    assert [(line.text, line.points) for line in again.transcript] == [("first", ("a point",))]


def test_a_withdrawn_entry_is_on_no_page_and_the_others_keep_their_numbers() -> None:
    document = built(Entry("one"), Entry("no"), Withdrawn(3), Entry("three"), Corrected(3, "nope"))
    assert [(line.number, line.text) for line in document.transcript] == [(5, "three"), (2, "one")]
    assert [line.number for line in document.withdrawn] == [3]
    assert "no" not in render_text(document).split()


def test_withdrawing_reorders_nothing_after_a_clock_that_stepped_back() -> None:
    events = [(0, Entry("a")), (30, Entry("late")), (10, Entry("b")), (20, Entry("remark", [], True))]
    lines = [PublicEvent(n, AT, AT + timedelta(minutes=m), e) for n, (m, e) in enumerate(events, 1)]
    gone = PublicEvent(5, AT, AT, Withdrawn(2))
    assert texts(build(lines)) == ["b", "late", "remark", "a"]
    assert texts(build([*lines, gone])) == ["b", "remark", "a"]


def test_what_a_head_says_may_grow_and_be_renamed() -> None:
    document = built(SummaryAdded("Some are slow."), Retitled("Disk channel"), summary=["x"])
    assert document.summary == ["x", "Some are slow."]
    assert document.heading == "[INCIDENT 2008/003] February 16th 2008 - Disk channel"


def test_an_incident_is_in_progress_from_its_opening() -> None:
    assert built().status == "In progress"


def test_a_work_a_person_decided_reads_as_any_other() -> None:
    document = built(
        WorkAdded("Reboot"), WorkAdded("Check"), WorkAdded("Restore"),
        WorkStatus(1, "Completed", by_hand=True),
        WorkStatus(2, "Completed", "by the colo", by_hand=True),
        WorkStatus(3, "Cancelled", "nothing was lost", by_hand=True),
    )
    assert [work.note for work in document.works] == [
        "(Completed)", "(Completed: by the colo)", "(Cancelled: nothing was lost)",
    ]
    assert not any(work.open for work in document.works)


def test_a_status_of_a_work_that_this_version_does_not_know_of_is_no_crash() -> None:
    assert built(WorkStatus(7, "Completed")).works == []


def closed(document: Document) -> tuple[str, bool]:
    return document.status.partition(" at ")[0], document.closed


def test_the_end_of_a_run_does_not_end_a_log_a_person_opened() -> None:
    run = [WorkAdded("A"), RunAttached("r1"), WorkStatus(1, "Completed"), Closed("Completed", "r1", 9, "h")]
    assert closed(built(*run, by_hand=True)) == ("In progress", False)
    assert closed(built(*run)) == ("Completed", True)
    assert closed(built(*run, Closed("Completed"), by_hand=True)) == ("Completed", True)
    assert built(*run, by_hand=True).records == ["run r1, 9 events, head h"]


def test_a_second_attempt_puts_the_log_back_in_progress_and_adds_its_works() -> None:
    first = [
        WorkAdded("A"), WorkAdded("B"), RunAttached("r1"), WorkStatus(1, "Not completed", "x"),
        WorkStatus(2, "Cancelled", "x"), Closed("Ended without completion", "r1", 9, "h1"),
    ]
    assert closed(built(*first)) == ("Ended without completion", False)
    second = [*first, WorkAdded("A"), WorkAdded("B"), RunAttached("r2", 2)]
    assert closed(built(*second)) == ("In progress", False)
    done = [*second, WorkStatus(3, "Completed"), WorkStatus(4, "Completed"), Closed("Completed", "r2", 7, "h2")]
    # not Completed: works of the first attempt are open, and nobody has said what became of them
    assert closed(built(*done)) == ("Ended without completion", False)
    assert [work.open for work in built(*done).works] == [True, True, False, False]
    assert built(*done).records == ["run r1, 9 events, head h1", "run r2, 7 events, head h2"]
    decided = [*done, WorkStatus(1, "Completed", by_hand=True), WorkStatus(2, "Completed", by_hand=True)]
    assert closed(built(*decided, Closed("Completed"))) == ("Completed", True)


def test_a_log_with_two_runs_is_in_progress_until_both_are_over() -> None:
    both = [WorkAdded("A"), RunAttached("r1"), WorkAdded("B"), RunAttached("r2", 1)]
    one = [*both, WorkStatus(2, "Completed"), Closed("Completed", "r2", 5, "h")]
    assert closed(built(*one)) == ("In progress", False)
    two = [*one, WorkStatus(1, "Completed"), Closed("Completed", "r1", 5, "h")]
    assert closed(built(*two)) == ("Completed", True)


def test_a_work_that_a_person_added_and_did_not_do_keeps_the_log_open() -> None:
    run = [WorkAdded("A"), RunAttached("r1"), WorkAdded("By hand"), WorkStatus(1, "Completed")]
    assert closed(built(*run, Closed("Completed", "r1", 5, "h"))) == ("In progress", False)


def test_a_run_that_ends_after_a_person_closed_the_log_does_not_reopen_it() -> None:
    run = [WorkAdded("A"), RunAttached("r1"), Closed("Ended without completion")]
    document = built(*run, Closed("Completed", "r1", 5, "h"))
    assert closed(document) == ("Ended without completion", True)


# -- joining -----------------------------------------------------------------------------------


@pytest.fixture
def book(tmp_path: Path) -> LogBook:
    return LogBook(tmp_path / "logs", say=lambda _: None)


def head(**changes: object) -> LogHead:
    values = {
        "kind": "at risk", "title": "Check", "zone": "UTC", "practice": False,
        "summary": ["It reboots."], "works": ["One", "Two"], "attending": ["dwm"],
    }
    return LogHead(**{**values, **changes})  # type: ignore[arg-type]


def incident(book: LogBook) -> LogFile:
    return book.open(head(kind="incident", summary=[], works=[], by_hand=True), AT, Masker(), "dwm")


def event(seq: int, body: object, run: str = "r2") -> Event:
    return Event(run, seq, 1, AT, AT + timedelta(minutes=seq), "ncm", Address(), body)  # type: ignore[arg-type]


OPENED = RunOpened("Check", "", "", "", [], {})


def test_a_run_joins_an_open_log_with_works_of_its_own(book: LogBook) -> None:
    log = incident(book)
    log.extend([])  # nothing is no line
    log.append(WorkAdded("By hand"), AT)
    joined, first = book.join("2008/001", head(attending=["ncm"]), "r2", AT, Masker())
    assert first == 2
    keeper = LogKeeper(joined)
    for each in [
        event(1, OPENED), event(2, WorkEnded(1, "Completed")), event(3, WorkEnded(2, "Completed")),
        event(4, RunClosed("Completed", 0)),
    ]:
        keeper.event(each)
    keeper.caught_up()
    document = joined.document()
    assert [(work.title, work.note) for work in document.works] == [
        ("By hand", ""), ("One", "(Completed)"), ("Two", "(Completed)"),
    ]
    assert document.runs == ["r2"]  # attached once, though its first event says so too
    assert (document.attending, document.summary) == (["dwm", "ncm"], ["It reboots."])
    assert document.status == "In progress"


def test_a_keeper_of_a_resumed_run_finds_its_place_in_the_log(book: LogBook) -> None:
    incident(book).append(WorkAdded("By hand"), AT)
    book.join("2008/001", head(), "r2", AT, Masker())
    log = book.find("2008/001")
    assert log is not None
    keeper = LogKeeper(log)
    for each in (event(1, OPENED), event(2, WorkEnded(2, "Completed")), event(3, RunClosed("Completed", 0))):
        keeper.event(each)
    keeper.caught_up()
    assert [work.note for work in log.document().works] == ["", "", "(Completed)"]


def test_the_same_runbook_may_join_again(book: LogBook) -> None:
    incident(book)
    assert [book.join("2008/001", head(), f"r{n}", AT, Masker())[1] for n in (1, 2)] == [1, 3]
    log = book.find("2008/001")
    assert log is not None
    assert log.document().summary == ["It reboots."]
    assert [(work.title, work.run) for work in log.document().works] == [
        ("One", "r1"), ("Two", "r1"), ("One", "r2"), ("Two", "r2"),
    ]


@pytest.mark.parametrize(
    ("number", "changes", "said"),
    [
        ("2008/009", {}, "There is no log 2008/009"),
        ("2008/001", {"practice": True}, "This run is practice, and the log 2008/001 is not."),
    ],
)
def test_a_run_joins_no_log_it_does_not_fit(
    book: LogBook, number: str, changes: dict[str, object], said: str
) -> None:
    log = incident(book)
    before = log.journal.read_bytes()
    with pytest.raises(UsageError, match=said):
        book.join(number, head(**changes), "r2", AT, Masker())
    assert log.journal.read_bytes() == before


def test_a_closed_log_takes_no_run(book: LogBook) -> None:
    incident(book).append(Closed("Completed"), AT)
    with pytest.raises(UsageError, match="is closed"):
        book.join("2008/001", head(), "r2", AT, Masker())


# -- notes on their way from a run into its log ------------------------------------------------


def test_a_note_stands_at_the_moment_it_speaks_of_with_who_wrote_it(book: LogBook) -> None:
    log = incident(book)
    keeper = LogKeeper(log)
    earlier = AT - timedelta(hours=10)
    for each in (
        event(1, OPENED), event(2, Noted("seen", True, stamp(earlier))), event(3, Noted("said")),
        event(4, Noted("secret", public=False)), event(5, Noted("odd", True, "not a time")),
    ):
        keeper.event(each)
    keeper.caught_up()
    entries = [(e.body.text, e.happened_at, e.who) for e in log.events if isinstance(e.body, Entry)]
    assert entries == [
        ("seen", earlier, "ncm"), ("said", AT + timedelta(minutes=3), "ncm"),
        ("odd", AT + timedelta(minutes=5), "ncm"),
    ]
    assert texts(log.document()) == ["odd", "said", "seen"]
    assert [e.who for e in log.events if isinstance(e.body, Attends | LogOpened | RunAttached)] == [
        "dwm", "",
    ]
