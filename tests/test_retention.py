"""Which runs may be removed, and an archive in which every journal is whole."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import tarfile
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tastyops.errors import BackupFailed, JournalUnwritable
from tastyops.journal.events import Address, Noted, RunClosed, RunOpened
from tastyops.records import archive
from tastyops.records.archive import MANIFEST, Contents, write_archive
from tastyops.records.logs import Copied, LogBook, LogFile, LogHead
from tastyops.records.retention import bytes_in, examine_runs, remove_run, sweep
from tastyops.records.runs import JOURNAL, RunJournal, find_run, hand_in, run_directories
from tastyops.records.verify import verify_run
from tastyops.redact import Masker
from tests.core.driving import drive, plan_of
from tests.core.fake import FakeHost

NOW = datetime(2026, 2, 11, 13, 20, tzinfo=UTC)
PLAN = """
title: Disk check
hosts: web1
works: [{work: W, steps: [{run: one}, {run: big}]}]
"""


def completed(place: Path) -> tuple[Path, LogBook]:
    """A real run that completed, with an output in a file, and its log."""
    host = FakeHost({"one": (0, "1\n"), "big": (0, "x" * 10_000)})
    ran = drive(plan_of(PLAN, "web1"), place, web1=host)
    return ran.directory, LogBook(place / "logs", say=lambda _: None)


def written(place: Path, run: str, *bodies: object, log: str = "2026/001") -> Path:
    journal = RunJournal.create(place / "runs", run, b"title: x\n", Masker())
    opened = RunOpened("T", "", "", "", [], {}, log=log)
    for body in (opened, *bodies):
        journal.append(body, Address(), who="dwm", happened=NOW)  # type: ignore[arg-type]
    journal.close()
    return journal.directory


def opened_log(place: Path) -> LogFile:
    head = LogHead("at risk", "T", "UTC", False, [], [], ["dwm"])
    return LogBook(place / "logs", say=lambda _: None).open(head, NOW, Masker())


def kept(place: Path) -> str:
    """Why the only run there is kept."""
    (found,) = examine_runs(place / "runs", LogBook(place / "logs", say=lambda _: None))
    return found.kept


# -- what may go -------------------------------------------------------------------------------


def test_a_completed_run_may_go_and_is_gone_whole(tmp_path: Path) -> None:
    directory, book = completed(tmp_path)
    # the drive's RunOpened names no log, so the log that names the run is not found by it
    (found,) = examine_runs(directory.parent, book)
    assert found.kept == "its log  is not there, so it is the only record"
    assert found.size == bytes_in(directory) > 10_000
    remove_run(directory)
    assert list(directory.parent.iterdir()) == []


def test_a_closed_run_with_a_closed_log_may_go(tmp_path: Path) -> None:
    from tastyops.journal.public_events import Closed, RunAttached

    log = opened_log(tmp_path)
    log.append(RunAttached("r1"), NOW)
    written(tmp_path, "r1", RunClosed("Completed", 0))
    assert kept(tmp_path) == "its log 2026/001 is In progress"
    log.append(Closed("Completed", "r1", 2, "x"), NOW)
    assert kept(tmp_path) == ""


@pytest.mark.parametrize(
    ("bodies", "why"),
    [
        ([Noted("x")], "it has not ended"),
        ([RunClosed("Ended without completion", 5)], "it is in doubt; `invoke resume --run r1` settles that"),
    ],
)
def test_an_unfinished_run_stays(bodies: list[object], why: str, tmp_path: Path) -> None:
    opened_log(tmp_path)
    written(tmp_path, "r1", *bodies)
    assert kept(tmp_path) == why


def test_a_run_with_a_note_nobody_took_stays(tmp_path: Path) -> None:
    directory = written(tmp_path, "r1", RunClosed("Completed", 0))
    hand_in(directory, "dwm", Noted("look"), NOW)
    assert kept(tmp_path) == "something handed in to it was not taken yet"


def test_a_damaged_run_and_one_that_is_a_link_stay(tmp_path: Path) -> None:
    directory = written(tmp_path, "r1", RunClosed("Completed", 0))
    data = (directory / JOURNAL).read_bytes()
    (directory / JOURNAL).write_bytes(data[:-10])
    assert kept(tmp_path).startswith("its journal is damaged (")
    elsewhere = directory.rename(tmp_path / "elsewhere")
    directory.symlink_to(elsewhere)
    assert kept(tmp_path) == "it is a link to somewhere else"


def test_a_removal_that_was_interrupted_leaves_no_run_and_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = written(tmp_path, "r1", RunClosed("Completed", 0))

    def broken(_: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", broken)
        with pytest.raises(JournalUnwritable, match="cannot be removed: Input/output error"):
            remove_run(directory)
    assert run_directories(tmp_path / "runs") == []
    assert find_run(tmp_path / "runs", "last") is None
    assert (sweep(tmp_path / "runs"), sweep(tmp_path / "runs"), sweep(tmp_path / "no")) == (1, 0, 0)
    assert list((tmp_path / "runs").iterdir()) == []


# -- the archive -------------------------------------------------------------------------------


def back_up(place: Path, name: str = "b.tar.gz") -> Contents:
    return write_archive(place / name, [(place / "logs", place / "runs")], place, NOW)


def restored(place: Path, name: str = "b.tar.gz") -> Path:
    """As docs/records.md says it is done."""
    (place / "restored").mkdir()
    subprocess.run(["tar", "-xpf", place / name, "-C", place / "restored"], check=True)
    return place / "restored"


def tree(place: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(place)): (
            stat.S_IMODE(path.stat().st_mode), b"" if path.is_dir() else path.read_bytes(),
        )
        for top in ("logs", "runs") for path in (place / top).rglob("*")
        if not path.name.endswith(".lock")
    }  # fmt: skip


@pytest.mark.parametrize("name", ["b.tar", "b.tar.gz"])
def test_what_is_restored_is_what_was_there(name: str, tmp_path: Path) -> None:
    directory, _ = completed(tmp_path)
    (tmp_path / "logs" / "2026" / "001-disk-check.md.edited-1").write_text("by hand")
    contents = back_up(tmp_path, name)
    assert (contents.faults, contents.going_on, contents.logs) == ([], [], 1)
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    back = restored(tmp_path, name)
    assert tree(back) == tree(tmp_path)
    book = LogBook(back / "logs", say=lambda _: None)
    count, head, wrong = verify_run(back / "runs" / directory.name, book.find("2026/001"))
    assert wrong == []
    manifest = json.loads((back / MANIFEST).read_bytes())
    assert manifest["runs"] == {directory.name: {"events": count, "head": head, "faults": 0}}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_journal_in_the_middle_of_a_write_is_copied_up_to_its_last_whole_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer goes on while the backup looks: never a torn line, never a fault."""
    directory = written(tmp_path, "r1", *(Noted(f"n{n}" * 50) for n in range(200)))
    journal = directory / JOURNAL
    whole = journal.read_bytes()
    half = len(whole) - 100
    journal.write_bytes(whole[:half])

    def write_on(_: float) -> None:
        journal.write_bytes(whole[: half + 50])

    monkeypatch.setattr(archive.time, "sleep", write_on)
    contents = back_up(tmp_path)
    assert contents.faults == []
    assert contents.going_on == ["r1"]
    copy = (restored(tmp_path) / "runs" / "r1" / JOURNAL).read_bytes()
    assert copy == whole[: whole.rindex(b"\n", 0, half) + 1]


def test_a_line_that_stays_torn_is_copied_as_it_is_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive.time, "sleep", lambda _: None)
    directory = written(tmp_path, "r1", Noted("x"), RunClosed("Completed", 0))
    data = (directory / JOURNAL).read_bytes()
    (directory / JOURNAL).write_bytes(data[:-20])
    (fault,) = back_up(tmp_path).faults
    assert "the line is torn" in fault
    assert (restored(tmp_path) / "runs" / "r1" / JOURNAL).read_bytes() == data[:-20]


def test_backups_beside_a_writer_are_all_sound(tmp_path: Path) -> None:
    """A run and its log written as fast as they can be; every archive verifies, log against run."""
    log = opened_log(tmp_path)
    over = threading.Event()

    def write() -> None:
        from tastyops.journal.public_events import Entry, RunAttached

        journal = RunJournal.create(tmp_path / "runs", "r1", b"", Masker())
        journal.append(RunOpened("T", "", "", "", [], {}, log="2026/001"), Address(), who="d", happened=NOW)
        log.append(RunAttached("r1"), NOW)
        number = 0
        while not over.is_set():
            number += 1
            capture = journal.capture()
            capture.out(f"{number:06}".encode() * 1000)
            blob, _ = capture.finish()
            result = {"status": 0, "out": {"sha256": blob.sha256, "size": blob.size}}
            from tastyops.journal.events import Settled

            event = journal.append(
                Settled("d", "output", result), Address("h", "1.1", 1, number), who="d", happened=NOW
            )
            journal.commit(durable=False)
            if number % 5 == 0:
                log.extend([Copied(Entry(f"e{number}"), NOW, f"r1#{event.seq}")])
        journal.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while not (tmp_path / "runs" / "r1" / JOURNAL).exists():
            assert writer.is_alive()
        found = [back_up(tmp_path, f"b{n}.tar") for n in range(5)]
    finally:
        over.set()
        writer.join()
    assert [contents.faults for contents in found] == [[]] * 5
    for number in range(5):
        with tarfile.open(tmp_path / f"b{number}.tar") as tar:
            tar.extractall(tmp_path / f"r{number}", filter="data")
        book = LogBook(tmp_path / f"r{number}" / "logs", say=lambda _: None)
        copy = book.find("2026/001")
        assert copy
        assert not copy.edited()
        count, _, wrong = verify_run(tmp_path / f"r{number}" / "runs" / "r1", copy)
        assert wrong == []
        sources = [int(event.source.split("#")[1]) for event in copy.events if event.source]
        assert max(sources, default=0) <= count  # the log knows of nothing the run does not


def test_a_missing_output_is_reported(tmp_path: Path) -> None:
    directory, _ = completed(tmp_path)
    (blob,) = (directory / "blobs").iterdir()
    blob.unlink()
    (fault,) = back_up(tmp_path).faults
    assert "is missing" in fault


def test_what_is_no_plain_file_is_left_out_and_said(tmp_path: Path) -> None:
    directory, _ = completed(tmp_path)
    os.mkfifo(directory / "pipe")
    (directory / "link").symlink_to("/etc/passwd")
    faults = back_up(tmp_path).faults
    assert [fault.partition(" is ")[0] for fault in faults] == [
        str(directory / "link"), str(directory / "pipe"),
    ]  # fmt: skip
    with tarfile.open(tmp_path / "b.tar.gz") as tar:
        assert all(member.isreg() or member.isdir() for member in tar)


def test_an_archive_is_whole_or_not_there_and_overwrites_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    completed(tmp_path)
    (tmp_path / "b.tar.gz").write_text("mine")
    with pytest.raises(BackupFailed, match="cannot be written: File exists"):
        back_up(tmp_path)
    assert (tmp_path / "b.tar.gz").read_text() == "mine"

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive.os, "fsync", full)
    with pytest.raises(BackupFailed, match="No space left") as caught:
        back_up(tmp_path, "c.tar")
    assert "nothing of the archive was kept" in caught.value.still_true
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.tar.gz", "logs", "runs"]


