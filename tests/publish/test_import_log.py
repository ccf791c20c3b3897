"""`import-log`: every field of a log that was written by hand, word for word, and the review."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tastyops.cli.program import main
from tastyops.journal.public_events import Imported
from tastyops.records.document.old_log import (
    OldLog,
    OldPoint,
    OldWork,
    read_day,
    read_old_log,
    split_logs,
)
from tastyops.records.document.text import render_text
from tastyops.records.logs import LogBook

SEED = Path(__file__).resolve().parents[3] / "shared/seed/tastycake-status.txt"

BLOG = """\
Friday 5 June 2009

[AT RISK 2009/007] June 7th 2009 - New disks for the mill

Maintenance log for June 6th 2009
Attending: ada, bob
Status: completed at 14:10hrs
  • The server mill.example.net gets two new disks.
  • Services in question:
    • Web pages of ~carol, see http://example.org/why?a=1&b=<2>
    • Mail
  • Works to be carried out:
    • Put the disks in. (Complete)
    • Mount the archive read-only.
      (New in this kernel.) (Cancelled)
    • Look at the fans.
Transcript, times are in GMT+1:

Sunday June 7th
  • [1410] All is well. Acme Limited confirmed it.
  • [1320] Filesystems checked:
    • /home: no errors,
      twice.
    • /var: one link count.
  • [1325] Entered late.
June 6th 2009
  • [0900.02] Warning sent
    by wall.

Monday 1 June 2009

[INCIDENT 2009/006] June 1st 2009 - Names not found
Incident log for June 1st 2009
Attending: ada
Status: Completed
  • [1200] Fixed.
  • [0830] Reported.
"""


def logs(text: str = BLOG) -> list[OldLog]:
    return [read_old_log(lines, posted) for _, posted, lines in split_logs(text)]


def test_every_field_is_kept_word_for_word() -> None:
    log, other = logs()
    assert (log.number, log.incident, log.date, log.title) == (
        "2009/007", False, "June 7th 2009", "New disks for the mill",
    )  # fmt: skip
    assert log.posted == "Friday 5 June 2009"
    assert log.subtitle == "Maintenance log for June 6th 2009"
    assert log.attending == "ada, bob"
    assert log.status == "completed at 14:10hrs"
    assert (log.zone, log.offset) == ("GMT+1", 60)
    assert log.points == [
        OldPoint("The server mill.example.net gets two new disks."),
        OldPoint(
            "Services in question:",
            ("Web pages of ~carol, see http://example.org/why?a=1&b=<2>", "Mail"),
        ),
    ]
    assert log.works == [
        OldWork("Put the disks in.", "Complete"),
        OldWork("Mount the archive read-only. (New in this kernel.)", "Cancelled"),
        OldWork("Look at the fans."),
    ]
    assert [(line.day, line.minute, line.text, line.points) for line in log.transcript] == [
        ("Sunday June 7th", "1410", "All is well. Acme Limited confirmed it.", ()),
        (
            "Sunday June 7th",
            "1320",
            "Filesystems checked:",
            ("/home: no errors, twice.", "/var: one link count."),
        ),
        ("Sunday June 7th", "1325", "Entered late.", ()),
        ("June 6th 2009", "0900.02", "Warning sent by wall.", ()),
    ]
    assert log.transcript[0].at == datetime(2009, 6, 7, 13, 10, tzinfo=UTC)
    assert (other.number, other.incident, other.posted) == ("2009/006", True, "Monday 1 June 2009")
    assert [line.minute for line in other.transcript] == ["1200", "0830"]


def test_oddities_are_listed() -> None:
    first, second = logs()
    assert first.oddities == [
        "two dates: June 7th 2009 and June 6th 2009",
        "a time with seconds: • [0900.02] Warning sent",
        "a day without a year: Sunday June 7th",
        "[1320] stands above [1325], which is later",
    ]
    assert second.oddities == [
        "no line 'Transcript, times are in …'",
        "a status without a time: Completed",
    ]


@pytest.mark.parametrize(
    ("line", "kept", "oddity"),
    [
        ("A note without a bullet", "points", "a line of no known kind: A note without a bullet"),
        ("Transcript:\nand then nothing", "transcript", "a transcript line without a time: and then nothing"),
        ("Transcript:\n  • no time at all", "transcript", "a transcript entry without a time: no time at all"),
        ("Transcript:\n  • [2599] late", "transcript", "[2599] is at no known moment"),
        ("Transcript, times are in Martian time:\n  • [1200] x", "transcript", "no time zone that is known; the inventory's is used"),
    ],
)  # fmt: skip
def test_nothing_is_dropped(line: str, kept: str, oddity: str) -> None:
    (log,) = logs(f"[AT RISK 2009/001] June 7th 2009 - X\n{line}\n")
    assert getattr(log, kept)
    assert oddity in log.oddities
    words = set(re.findall(r"\w+", line)) - {
        "Transcript",
        "times",
        "are",
        "in",
        "Martian",
        "time",
        "no",
    }
    assert words <= set(re.findall(r"\w+", repr(log.points) + repr(log.transcript)))


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("July 14th 2009", "2009-07-14"), ("Tuesday 14 July 2009", "2009-07-14"),
        ("Sunday Nov 18th", "2001-11-18"), ("1st March", "2001-03-01"), ("Feb 30th 2009", ""),
        ("Once upon a time", ""), ("Marble 3rd 2009", "2009-03-03"),
    ],
)  # fmt: skip
def test_days(text: str, day: str) -> None:
    found = read_day(text, 2001)
    assert (found.isoformat() if found else "") == day


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "inventory.yml").write_text(
        "timezone: Europe/London\nservices: {Web: mill}\nhosts: {mill: {address: 192.0.2.1}}\n"
    )
    (tmp_path / "blog.txt").write_text(BLOG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_import_is_public_only_after_its_review(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import-log", "blog.txt", "--host", "mill"]) == 0
    output = capsys.readouterr()
    assert "2 log(s) of 2 imported, 6 transcript entries in the file." in output.out
    assert "two dates: June 7th 2009 and June 6th 2009" in output.err
    assert not (project / "logs").exists()
    assert (project / "runs").stat().st_mode & 0o777 == 0o700
    drafts = list((project / "runs").rglob("*.json"))
    assert len(drafts) == 2
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in drafts)
    main(["publish"])
    assert not [p for p in (project / "site").rglob("*.html") if "mill" in p.read_text()]

    capsys.readouterr()
    assert main(["import-log", "--review"]) == 0
    named = capsys.readouterr().out
    for wanted in (
        "attending: bob",
        "account: ~carol",
        "host or domain: mill.example.net",
        "person or company: Acme Limited",
    ):
        assert wanted in named

    assert main(["import-log", "--reviewed", "2009/007"]) == 0
    assert [log.number for log in LogBook(Path("logs"), say=print).all()] == ["2009/007"]
    assert len(list((project / "runs").rglob("*.json"))) == 1
    assert main(["import-log", "--reviewed", "2009/007"]) == 2
    assert "No import 2009/007 waits for a review." in capsys.readouterr().err


def test_what_is_imported_renders_and_can_be_read_again(project: Path) -> None:
    main(["import-log", "blog.txt", "--host", "mill"])
    main(["import-log", "--reviewed", "all"])
    main(["publish"])
    text = (project / "site/2009/007.html").read_text()
    for wanted in (
        "<h1>New disks for the mill</h1>", "Friday 5 June 2009", "Maintenance log for June 6th 2009",
        "<dd>ada, bob</dd>", "completed at 14:10hrs", "<li>/var: one link count.</li>",
        '<time datetime="2009-06-07T13:10:00Z">14:10', "Cancelled", "Sunday June 7th",
    ):  # fmt: skip
        assert wanted in text, wanted
    assert "2009/007.html" in (project / "site/archive/2009-06.html").read_text()
    assert "2009/007.html" in (project / "site/services/web.html").read_text()
    assert "All is well" in (project / "site/index.html").read_text()
    book = LogBook(Path("logs"), say=print)
    for before in logs():
        log = book.find(before.number)
        assert log is not None
        (kept,) = [e.body for e in log.events if isinstance(e.body, Imported)]
        assert tuple(kept.lines) == before.lines
        (again,) = logs(f"{before.posted}\n\n{render_text(log.document())}")
        for name in (
            "number",
            "incident",
            "date",
            "title",
            "posted",
            "subtitle",
            "attending",
            "works",
        ):
            assert getattr(again, name) == getattr(before, name)
        assert again.status.rstrip(".") == before.status.rstrip(".")
        assert [(x.minute, x.text, x.points) for x in again.transcript] == [
            (x.minute, x.text, x.points) for x in before.transcript
        ]


def test_a_number_that_is_a_log_already_is_not_imported(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["import-log", "blog.txt"])
    main(["import-log", "--reviewed", "all"])
    before = {path: path.read_bytes() for path in (project / "logs").rglob("*.*")}
    capsys.readouterr()
    assert main(["import-log", "blog.txt"]) == 1
    assert "2009/007 is a log already; it was not imported." in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (project / "logs").rglob("*.*")} == before


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"nothing here", "has no heading such as"),
        (b"\n\xff\xfe", "blog.txt:2: this is not UTF-8."),
        (b"[INCIDENT 2009/001] A - B\n[INCIDENT 2009/001] A - B\n", "blog.txt:2:1: the log 2009/001 is in the file twice"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_imported(
    project: Path, capsys: pytest.CaptureFixture[str], data: bytes, fault: str
) -> None:
    (project / "blog.txt").write_bytes(data)
    assert main(["import-log", "blog.txt"]) == 2
    assert fault in capsys.readouterr().err
    assert main(["import-log", "missing.txt"]) == 2
    assert main(["import-log"]) == 2
    assert main(["import-log", "blog.txt", "--review"]) == 2
    assert not (project / "runs").exists()


def test_a_dry_run_stores_nothing(project: Path) -> None:
    assert main(["import-log", "blog.txt"], dry=True) == 0
    assert not (project / "runs").exists()


if SEED.exists():

    def test_the_first_logs_of_all_are_read_field_by_field() -> None:
        found = logs(SEED.read_text())
        assert [(log.number, len(log.points), len(log.works), len(log.transcript)) for log in found] == [
            ("2009/001", 1, 0, 7), ("2008/004", 2, 4, 6), ("2008/003", 3, 5, 36), ("2008/002", 3, 3, 13),
            ("2008/001", 2, 8, 30), ("2007/005", 4, 0, 5), ("2007/004", 0, 0, 4),
        ]  # fmt: skip
        assert sum(len(log.transcript) for log in found) == 101
        assert all(log.posted and log.subtitle and log.attending and log.status for log in found)
        words = re.findall(r"\S+", SEED.read_text())
        kept = re.findall(r"\S+", " ".join(" ".join([log.posted, *log.lines]) for log in found))
        assert words == kept
