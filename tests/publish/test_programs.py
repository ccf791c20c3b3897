"""What programs read: Atom, iCalendar and status.json, by the bytes."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from tastyops.journal.public_events import Closed, Corrected, Entry, RunAttached, Withdrawn
from tastyops.publish.calendar import escape_text, folded
from tests.publish.test_site import EVIL
from tests.publish.writing import (
    NOON,
    contents,
    incident,
    maintenance,
    minutes,
    opening,
    page,
    site,
    window,
    write_log,
)

ATOM = "{http://www.w3.org/2005/Atom}"
BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")


def entries(folder: Path, name: str = "feed.xml") -> list[dict[str, str]]:
    """The entries of a feed that has everything RFC 4287 asks for."""
    feed = ET.fromstring(page(folder, name))
    assert feed.findtext(f"{ATOM}id", "").startswith("tag:example.org,2026:feed")
    assert feed.findtext(f"{ATOM}author/{ATOM}name")
    (own,) = [e.attrib["href"] for e in feed.iter(f"{ATOM}link") if e.get("rel") == "self"]
    assert own == f"https://status.example.org/s/{name}"
    found = []
    for entry in feed.iter(f"{ATOM}entry"):
        assert entry.findtext(f"{ATOM}published") == entry.findtext(f"{ATOM}updated")
        (link,) = [e.attrib["href"] for e in entry.iter(f"{ATOM}link")]
        assert link.startswith("https://status.example.org/s/2")
        found.append(
            {
                "id": entry.findtext(f"{ATOM}id", ""),
                "title": entry.findtext(f"{ATOM}title", ""),
                "date": entry.findtext(f"{ATOM}updated", ""),
                "html": entry.findtext(f"{ATOM}content", ""),
                "categories": " ".join(e.attrib["term"] for e in entry.iter(f"{ATOM}category")),
            }
        )
    dates = [each["date"] for each in found]
    assert dates == sorted(set(dates), reverse=True)
    assert len({each["id"] for each in found}) == len(found)
    if found:
        assert feed.findtext(f"{ATOM}updated") == dates[0]
    return found


def test_each_update_is_an_entry_with_an_id_that_stays(tmp_path: Path) -> None:
    write_log(tmp_path / "logs", "2026/001", NOON - minutes(60), maintenance("2026/001"))
    site(tmp_path)
    before = entries(tmp_path)
    assert [each["html"] for each in before] == [
        "<p>Completed.</p>",
        "<p>Restarted.</p><ul><li>mail waits</li><li>web answers</li></ul>",
        "<p>Kernel installed.</p>",
        "<p>Opened. What it is.</p>",
    ]
    assert before[-1]["id"] == "tag:example.org,2026:2026/001/1"
    assert {each["categories"] for each in before} == {"Web Mail & calendars"}
    write_log(tmp_path / "logs", "2026/002", NOON - minutes(30), incident("2026/002"))
    site(tmp_path)
    assert entries(tmp_path)[-4:] == before


def test_works_of_one_second_have_rising_dates_that_later_works_do_not_change(
    tmp_path: Path,
) -> None:
    burst = [opening("2026/001", "Burst"), *(Entry(f"Entry {i}.") for i in range(80))]
    write_log(tmp_path / "logs", "2026/001", NOON, burst)
    site(tmp_path)
    before = {each["id"]: each["date"] for each in entries(tmp_path)}
    assert len(before) == 50
    write_log(tmp_path / "logs", "2026/002", NOON + minutes(1), incident("2026/002"))
    site(tmp_path)
    after = {each["id"]: each["date"] for each in entries(tmp_path)}
    both = before.keys() & after.keys()
    assert len(both) == 48
    assert [before[each] for each in both] == [after[each] for each in both]


def test_each_service_has_a_feed_of_its_own(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    write_log(logs, "2026/001", NOON, maintenance("2026/001", hosts=["mill"]))
    write_log(logs, "2026/002", NOON, incident("2026/002", hosts=["forge"]))
    write_log(logs, "2026/003", NOON, incident("2026/003", hosts=["elsewhere"]))
    site(tmp_path)

    def logs_of(name: str) -> set[str]:
        return {each["id"].split(":")[2][:8] for each in entries(tmp_path, name)}

    assert logs_of("feed.xml") == {"2026/001", "2026/002", "2026/003"}
    assert logs_of("services/web.xml") == {"2026/001"}
    assert logs_of("services/mail-calendars.xml") == {"2026/001", "2026/002"}
    assert logs_of("services/shell.xml") == {"2026/002"}
    assert 'href="../feed.xml"' in page(tmp_path, "services/web.html")
    assert 'href="../services/web.xml"' in page(tmp_path, "services/web.html")


def test_a_withdrawn_entry_leaves_the_feed_and_a_correction_is_an_entry(tmp_path: Path) -> None:
    bodies = [
        *maintenance("2026/001"),
        (30, Corrected(3, "Kernel 6.1 installed.")),
        (31, Withdrawn(5)),
    ]
    write_log(tmp_path / "logs", "2026/001", NOON, bodies)
    site(tmp_path)
    assert [each["html"] for each in entries(tmp_path)] == [
        "<p>Corrected: Kernel 6.1 installed.</p>",
        "<p>Completed.</p>",
        "<p>Kernel 6.1 installed.</p>",
        "<p>Opened. What it is.</p>",
    ]


def test_a_feed_is_at_most_100_kilobytes(tmp_path: Path) -> None:
    long = [opening("2026/001", "Long"), *((i, Entry("<" * 990)) for i in range(60))]
    write_log(tmp_path / "logs", "2026/001", NOON, long)
    site(tmp_path)
    assert len(contents(tmp_path)["feed.xml"]) <= 100_000
    assert len(entries(tmp_path)) >= 5


def properties(folder: Path, name: str = "calendar.ics") -> list[dict[str, str]]:
    """The events of a calendar whose lines are as RFC 5545 and the readers of MAINTNOTE want them."""
    data = (folder / "site" / name).read_bytes()
    assert data.endswith(b"\r\n")
    for line in data.split(b"\r\n"):
        assert len(line) <= 75
        assert b"\n" not in line
        assert b"\r" not in line
        line.decode()  # a fold cuts no character
    unfolded = data.decode().replace("\r\n ", "").split("\r\n")
    assert unfolded[:2] == ["BEGIN:VCALENDAR", "VERSION:2.0"]
    assert "METHOD:PUBLISH" in unfolded
    assert "REFRESH-INTERVAL;VALUE=DURATION:PT1H" in unfolded
    events: list[dict[str, str]] = []
    for line in unfolded:
        key, _, value = line.partition(":")
        if line == "BEGIN:VEVENT":
            events.append({})
        elif events and not key.startswith("END"):
            events[-1][key] = value
    for event in events:
        times = [event[key] for key in ("DTSTART", "DTEND", "DTSTAMP", "LAST-MODIFIED")]
        assert all(re.fullmatch(r"\d{8}T\d{6}Z", each) for each in times)
        assert event["DTSTART"] < event["DTEND"]
        for key in ("ACCOUNT", "MAINTENANCE-ID", "PROVIDER", "IMPACT", "STATUS"):
            assert event[f"X-MAINTNOTE-{key}"]
        assert any(key.startswith("X-MAINTNOTE-OBJECT-ID") for key in event)
    return events


def announced(number: str, at: datetime, *more: object) -> list[object]:
    return [opening(number, "Power, works; all", hosts=["mill"]), window(at, 600, 700), *more]


def test_announced_works_are_an_event_with_a_permanent_uid(tmp_path: Path) -> None:
    write_log(tmp_path / "logs", "2026/001", NOON, announced("2026/001", NOON))  # type: ignore[arg-type]
    site(tmp_path, NOON + minutes(1))
    (event,) = properties(tmp_path)
    assert event["UID"] == "2026-001@example.org"
    assert event["SEQUENCE"] == "0"
    assert (event["DTSTART"], event["DTEND"]) == ("20260310T220000Z", "20260310T234000Z")
    assert event["DTSTAMP"] == "20260310T120000Z"
    assert event["SUMMARY"] == r"Power\, works\; all"
    assert event["X-MAINTNOTE-STATUS"] == "CONFIRMED"
    assert properties(tmp_path, "services/web.ics") == [event]
    assert properties(tmp_path, "services/shell.ics") == []


def test_moved_and_cancelled_works_keep_their_uid_and_raise_the_sequence(tmp_path: Path) -> None:
    moved = (5, window(NOON, 900, 960))
    write_log(tmp_path / "logs", "2026/001", NOON, announced("2026/001", NOON, moved))  # type: ignore[arg-type]
    site(tmp_path, NOON + minutes(6))
    (event,) = properties(tmp_path)
    assert (event["UID"], event["SEQUENCE"]) == ("2026-001@example.org", "1")
    assert event["DTSTAMP"] == "20260310T120500Z"
    assert event["DTSTART"] == "20260311T030000Z"
    gone = (9, Closed("Cancelled"))
    write_log(tmp_path / "logs", "2026/001", NOON, announced("2026/001", NOON, moved, gone))  # type: ignore[arg-type]
    site(tmp_path, NOON + minutes(10))
    (event,) = properties(tmp_path)
    assert (event["UID"], event["SEQUENCE"], event["STATUS"]) == (
        "2026-001@example.org",
        "2",
        "CANCELLED",
    )
    assert event["SUMMARY"].startswith("Cancelled: ")
    site(tmp_path, NOON + minutes(961))
    assert properties(tmp_path) == []


def test_works_stay_in_the_calendar_for_a_year(tmp_path: Path) -> None:
    done = announced("2026/001", NOON, (600, RunAttached("r")), (650, Closed("Completed", "r")))
    write_log(tmp_path / "logs", "2026/001", NOON, done)  # type: ignore[arg-type]
    site(tmp_path, NOON + minutes(1440 * 300))
    assert [event["X-MAINTNOTE-STATUS"] for event in properties(tmp_path)] == ["COMPLETED"]
    site(tmp_path, NOON + minutes(1440 * 368))
    assert properties(tmp_path) == []


def test_lines_are_folded_between_characters_and_values_escaped() -> None:
    line = "SUMMARY:" + "\N{PERSONAL COMPUTER}ü" * 40
    assert folded(line).decode().replace("\r\n ", "") == line + "\r\n"
    assert all(len(piece) <= 75 for piece in folded(line).split(b"\r\n"))
    assert folded("") == b"\r\n"
    assert escape_text("a\\b;c,d\ne") == r"a\\b\;c\,d\ne"


def test_status_json_keeps_its_schema(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    write_log(logs, "2026/001", NOON - minutes(500), maintenance("2026/001"))
    write_log(logs, "2026/002", NOON - minutes(120), incident("2026/002", hosts=["forge"]))
    write_log(logs, "2026/003", NOON, announced("2026/003", NOON))  # type: ignore[arg-type]
    site(tmp_path, NOON + minutes(1))
    schema = json.loads(page(tmp_path, "status.schema.json"))
    jsonschema.Draft7Validator.check_schema(schema)
    for name in ("status.json", "services/web.json", "services/shell.json"):
        jsonschema.validate(json.loads(page(tmp_path, name)), schema)
    status = json.loads(page(tmp_path, "status.json"))
    assert status["state"] == "incident"
    assert [(each["name"], each["state"]) for each in status["services"]] == [
        ("Web", "planned"), ("Mail & calendars", "incident"), ("Shell", "incident"),
    ]  # fmt: skip
    assert [(log["number"], log["state"], log["late"]) for log in status["open"]] == [
        ("2026/003", "planned", False),
        ("2026/002", "incident", True),
    ]
    assert [log["number"] for log in status["recent"]] == ["2026/001"]
    broken = {**status, "state": "fine"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)


def test_an_evil_log_is_harmless_for_programs(tmp_path: Path) -> None:
    evil = [
        opening("2026/001", EVIL + "T" * 10_000, summary=[EVIL], attending=[EVIL]),
        window(NOON, 600, 700),
        (1, Entry(f"{EVIL}\r\nEND:VEVENT\r\nBEGIN:VEVENT", [EVIL])),
        (2, Entry("M" * 1_000_000)),
    ]
    write_log(tmp_path / "logs", "2026/001", NOON, evil)
    site(tmp_path, NOON + minutes(3))
    found = entries(tmp_path)
    assert all("<script" not in each["html"] for each in found)
    assert all(len(each["title"]) < 160 for each in found)
    assert "&lt;script&gt;" in found[-1]["html"]  # escaped within the HTML, and once more in XML
    assert b"&amp;lt;script" in contents(tmp_path)["feed.xml"]
    assert len(properties(tmp_path)) == 1
    for name in ("feed.xml", "calendar.ics", "status.json"):
        data = contents(tmp_path)[name]
        assert not BIDI.search(data.decode()), name
        assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", data), name
    jsonschema.validate(
        json.loads(page(tmp_path, "status.json")), json.loads(page(tmp_path, "status.schema.json"))
    )


def test_without_an_address_there_is_nothing_for_programs(tmp_path: Path) -> None:
    from tastyops.model.publishing import Publishing

    write_log(tmp_path / "logs", "2026/001", NOON, maintenance("2026/001"))
    site(tmp_path, settings=Publishing())
    assert not [n for n in contents(tmp_path) if n.endswith((".xml", ".ics", "status.json"))]
    assert "feed.xml" not in page(tmp_path, "index.html")


@pytest.mark.long
def test_readers_of_others_understand_feed_and_calendar(tmp_path: Path) -> None:
    import feedparser
    import icalendar

    logs = tmp_path / "logs"
    write_log(logs, "2026/001", NOON, maintenance("2026/001", "Größe <b> & \N{PERSONAL COMPUTER}"))
    write_log(logs, "2026/002", NOON, announced("2026/002", NOON, (5, window(NOON, 900, 960))))  # type: ignore[arg-type]
    site(tmp_path, NOON + minutes(10))
    feed = feedparser.parse(contents(tmp_path)["feed.xml"])
    assert not feed.bozo
    assert len(feed.entries) == len(entries(tmp_path)) == 7
    calendar = icalendar.Calendar.from_ical(contents(tmp_path)["calendar.ics"])
    (event,) = calendar.walk("VEVENT")
    assert not event.errors
    assert str(event["SUMMARY"]) == "Power, works; all"
    assert event["SEQUENCE"] == 1
    assert event.decoded("DTSTART") == NOON + minutes(900)
