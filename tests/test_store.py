"""Runs and logs on disk."""

from __future__ import annotations

import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tastyops.errors import JournalDamaged, JournalUnwritable, UsageError
from tastyops.journal.events import Address, Noted, RunClosed
from tastyops.journal.public_events import Closed, Entry, RunAttached, WorkStatus
from tastyops.ports import HandedIn
from tastyops.records.logs import LogBook, LogFile, LogHead
from tastyops.records.runs import (
    JOURNAL,
    RunJournal,
    find_run,
    hand_in,
    new_run_id,
    read_events,
    read_state,
)
from tastyops.records.verify import verify_run
from tastyops.redact import Masker

NOW = datetime(2026, 2, 11, 13, 20, tzinfo=UTC)


def make_journal(tmp_path: Path, masker: Masker | None = None) -> RunJournal:
    return RunJournal.create(
        tmp_path / "runs", "20260211T132000-abcdef", b"title: x\n", masker or Masker()
    )


def note(journal: RunJournal, text: str) -> None:
    journal.append(Noted(text), Address(), who="dwm", happened=NOW)


def head(**changes: object) -> LogHead:
    values = {
        "kind": "at risk",
        "title": "Emergency kernel upgrade",
        "zone": "Europe/London",
        "practice": False,
        "summary": [],
        "works": ["One"],
        "attending": ["dwm"],
    }
    return LogHead(**{**values, **changes})  # type: ignore[arg-type]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def book(tmp_path: Path, said: list[str]) -> LogBook:
    return LogBook(tmp_path / "logs", say=said.append)


# -- the run's journal -------------------------------------------------------------------------


def test_a_run_is_a_private_directory(tmp_path: Path) -> None:
    journal = make_journal(tmp_path)
    note(journal, "hello")
    journal.close()
    directory = journal.directory
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for path in directory.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert [event.body for event in read_events(directory)] == [Noted("hello")]


def test_a_journal_that_was_closed_writes_into_no_other_file(tmp_path: Path) -> None:
    journal = RunJournal.create(tmp_path, "r1", b"", Masker())
    capture = journal.capture()
    capture.out(b"x" * 10_000)  # too much for the memory: a file of its own
    capture.finish()
    journal.close()
    with (tmp_path / "a").open("wb") as first, (tmp_path / "b").open("wb") as second:
        with pytest.raises(JournalUnwritable):
            capture.out(b"late")
        note(journal, "late")
        with pytest.raises(JournalUnwritable):
            journal.commit()
        assert os.fstat(first.fileno()).st_size == os.fstat(second.fileno()).st_size == 0


def test_events_are_durable_only_after_commit_and_in_one_write(tmp_path: Path) -> None:
    journal = make_journal(tmp_path)
    note(journal, "one")
    note(journal, "two")
    assert list(read_events(journal.directory)) == []
    journal.commit()
    assert [event.seq for event in read_events(journal.directory)] == [1, 2]
    journal.close()


def test_small_output_stands_in_the_journal_and_large_output_is_a_file(tmp_path: Path) -> None:
    journal = make_journal(tmp_path)
    capture = journal.capture()
    capture.out(b"small")
    for _ in range(1000):
        capture.err(b"x" * 1000)
    out, err = capture.finish()
    assert out.read() == b"small"
    assert err.size == 1_000_000
    assert len(err.head) <= 4096
    assert err.read() == b"x" * 1_000_000
    (blob,) = (journal.directory / "blobs").iterdir()
    assert blob.name == err.sha256
    blob.write_bytes(b"altered")
    with pytest.raises(JournalDamaged, match="altered"):
        err.read()
    journal.close()


def test_no_log_keeps_the_size_only(tmp_path: Path) -> None:
    journal = make_journal(tmp_path)
    capture = journal.capture(no_log=True)
    capture.out(b"secret" * 10_000)
    out, _ = capture.finish()
    assert b"secret" not in out.read()
    assert list((journal.directory / "blobs").iterdir()) == []
    journal.close()


def test_secrets_are_masked_in_events_and_outputs(tmp_path: Path) -> None:
    journal = make_journal(tmp_path, Masker(["hunter2hunter2"]))
    capture = journal.capture()
    capture.out(b"the password is hunter2hun")
    capture.out(b"ter2, yes\n" * 2)
    note(journal, "it is hunter2hunter2")
    journal.commit()
    out, _ = capture.finish()
    assert b"hunter2hunter2" not in out.read()
    assert b"hunter2hunter2" not in (journal.directory / JOURNAL).read_bytes()
    journal.close()


def test_other_processes_hand_events_in_through_the_spool(tmp_path: Path) -> None:
    journal = make_journal(tmp_path)
    hand_in(journal.directory, "ncm", Noted("seen"), NOW)
    (journal.directory / "spool" / "0.json").write_text("not json")
    assert list(journal.spooled()) == [HandedIn("ncm", Noted("seen"))]
    assert list(journal.spooled()) == []
    assert len(list((journal.directory / "spool").glob("*.json"))) == 1  # until it is durable
    journal.commit()
    assert [p.name for p in (journal.directory / "spool").iterdir()] == ["0.rejected"]
    journal.close()


def test_what_is_handed_in_stays_in_the_spool_until_it_is_in_the_journal(tmp_path: Path) -> None:
    """Also where what came before it is made durable at once, as a cancel is."""
    journal = make_journal(tmp_path)
    for text in ("first", "second"):
        hand_in(journal.directory, "ncm", Noted(text), NOW)
    left = []
    for handed in journal.spooled():
        journal.append(handed.body, Address(), who=handed.who, happened=NOW)
        journal.commit()
        left.append(len(list((journal.directory / "spool").glob("*.json"))))
    assert left == [2, 1]
    journal.commit()
    assert list((journal.directory / "spool").iterdir()) == []
    journal.close()


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """As a full disk: writing beyond ``size`` fails."""
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)


def test_a_full_disk_stops_the_run_and_says_so(tmp_path: Path) -> None:
    journal = make_journal(tmp_path)
    with file_size_limit(2000):
        with pytest.raises(JournalUnwritable, match="cannot be written: File too large"):
            for _ in range(100):
                note(journal, "x" * 100)
                journal.commit()
        capture = journal.capture()
        with pytest.raises(JournalUnwritable):
            capture.out(b"x" * 10_000)
    journal.close()


def test_runs_are_found_by_the_beginning_of_their_id(tmp_path: Path) -> None:
    journal = make_journal(tmp_path)
    journal.close()
    runs = tmp_path / "runs"
    assert find_run(runs, "20260211") == journal.directory
    assert find_run(runs, "last") == journal.directory
    assert find_run(runs, "2025") is None
    RunJournal.create(runs, new_run_id(NOW), b"", Masker()).close()
    with pytest.raises(UsageError, match="fits 2 runs"):
        find_run(runs, "2026")


# -- verify ------------------------------------------------------------------------------------


def closed_run(tmp_path: Path, book: LogBook) -> tuple[Path, LogFile]:
    journal = make_journal(tmp_path)
    for number in range(5):
        note(journal, f"note {number}")
    event = journal.append(RunClosed("Completed", 0), Address(), who="dwm", happened=NOW)
    journal.close()
    log = book.open(head(), NOW, Masker())
    log.append(RunAttached(event.run), NOW)
    log.append(Closed("Completed", event.run, event.seq, event.hash), NOW)
    return journal.directory, log


def test_verify_names_the_event_after_one_byte_is_flipped(tmp_path: Path, book: LogBook) -> None:
    directory, log = closed_run(tmp_path, book)
    assert verify_run(directory, log)[2] == []
    path = directory / JOURNAL
    data = bytearray(path.read_bytes())
    at = data.index(b"note 3") + 5
    data[at] ^= 1
    path.write_bytes(bytes(data))
    wrong = verify_run(directory, log)[2]
    assert len(wrong) == 1
    assert "journal.jsonl:4: event 4 (noted): this event was altered" in wrong[0]


def test_a_tail_cut_off_is_found_by_the_closed_log(tmp_path: Path, book: LogBook) -> None:
    directory, log = closed_run(tmp_path, book)
    path = directory / JOURNAL
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))
    (wrong,) = verify_run(directory, log)[2]
    assert "ends at event 4, and the log knows event 6" in wrong


def test_a_damaged_journal_is_not_folded(tmp_path: Path, book: LogBook) -> None:
    directory, _ = closed_run(tmp_path, book)
    path = directory / JOURNAL
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(JournalDamaged, match=r"journal.jsonl:6: the line is torn"):
        read_state(directory)


# -- logs --------------------------------------------------------------------------------------


def test_numbers_are_taken_in_order_and_never_again(book: LogBook) -> None:
    first, second = (book.open(head(), NOW, Masker()) for _ in range(2))
    assert (first.number, second.number) == ("2026/001", "2026/002")
    assert first.page.name == "001-emergency-kernel-upgrade.md"
    second.page.unlink()
    second.journal.unlink()
    assert book.open(head(), NOW, Masker()).number == "2026/003"
    assert sorted(p.name for p in book.directory.iterdir()) == [".lock", ".sequence", "2026"]


def test_incidents_share_the_sequence(book: LogBook) -> None:
    book.open(head(), NOW, Masker())
    log = book.open(head(kind="incident"), NOW, Masker())
    assert log.document().tag == "[INCIDENT 2026/002]"


def test_a_number_already_there_is_passed_over_aloud(book: LogBook, said: list[str]) -> None:
    book.open(head(), NOW, Masker())
    (book.directory / "2026" / "004-brought-along.md").write_text("by hand")
    assert book.open(head(), NOW, Masker()).number == "2026/005"
    assert said == ["Log numbers up to 004 are taken; this one is 005."]
    assert (book.directory / "2026" / "004-brought-along.md").read_text() == "by hand"


def test_the_year_is_the_days_own_in_the_logs_zone(book: LogBook) -> None:
    late = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    assert book.open(head(zone="Europe/Berlin"), late, Masker()).number == "2027/001"


def test_practice_logs_and_public_logs_are_kept_apart(tmp_path: Path, said: list[str]) -> None:
    public, practice = (LogBook(tmp_path / name, say=said.append) for name in ("a", "b"))
    public.open(head(), NOW, Masker())
    practice.open(head(practice=True), NOW, Masker())
    with pytest.raises(UsageError, match="public logs"):
        public.open(head(practice=True), NOW, Masker())
    with pytest.raises(UsageError, match="practice logs"):
        practice.open(head(), NOW, Masker())


def test_a_page_edited_by_hand_is_kept_and_spoken_of(book: LogBook, said: list[str]) -> None:
    log = book.open(head(), NOW, Masker())
    log.append(Entry("one"), NOW)
    assert said == []
    log.page.write_text("edited by hand")
    assert log.edited()
    log.append(Entry("two"), NOW)
    assert "edited by hand" in said[0]
    assert (log.page.parent / f"{log.page.name}.edited-1").read_text() == "edited by hand"
    assert "two" in log.page.read_text()
    assert not log.edited()


def test_a_log_reads_back_and_goes_on(book: LogBook) -> None:
    log = book.open(head(), NOW, Masker())
    log.append(Entry("one"), NOW, "r#1")
    again = book.find("2026/001")
    assert again is not None
    again.append(Entry("two"), NOW, "r#2")
    texts = [line.text for line in again.document().transcript]
    assert texts == ["two", "one"]
    assert book.find("2026/1") is not None
    assert book.find("2026/002") is None


def test_a_secret_that_is_a_word_of_ours_does_not_break_the_log(tmp_path: Path) -> None:
    head = LogHead("at risk", "T", "UTC", False, [], ["One"], ["d"])
    log = LogBook(tmp_path, say=print).open(head, NOW, Masker(["status", "number"]))
    log.append(WorkStatus(1, "Completed"), NOW)
    log.append(Entry("the status is fine"), NOW)
    assert "(Completed)" in log.page.read_text()
    assert "the status is fine" not in log.page.read_text() + log.journal.read_text()
