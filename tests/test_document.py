"""The log document against facts of real logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tastyops.journal.public_events import (
    Attends,
    Closed,
    Entry,
    LogOpened,
    PublicBody,
    PublicEvent,
    RunAttached,
    WorkStatus,
)
from tastyops.records.document.build import Document, Line, build
from tastyops.records.document.markdown import escape, render_markdown
from tastyops.records.document.text import render_text
from tastyops.records.document.times import closing_time, long_date, offset_minutes, offset_name

AT = datetime(2009, 3, 3, 13, 20, tzinfo=UTC)


def log(*bodies: tuple[int, PublicBody], **opened: object) -> list[PublicEvent]:
    head = LogOpened(
        "2009/012",
        "at risk",
        "a kernel for the mail server",
        "March 3rd 2009",
        0,
        **{"works": ["Install", "Reboot", "Verify"], "attending": ["dwm"], **opened},  # type: ignore[arg-type]
    )
    pairs: list[tuple[int, PublicBody]] = [(0, head), *bodies]
    return [
        PublicEvent(i, AT, AT + timedelta(minutes=m), body) for i, (m, body) in enumerate(pairs, 1)
    ]


def test_the_whole_page() -> None:
    events = log(
        (0, RunAttached("r1")),
        (0, Entry("New kernel installed; the next boot starts it.")),
        (6, Entry("Reboot ordered; the machine goes down in 1 minute.", ["a point", "another"])),
        (6, WorkStatus(1, "Completed")),
        (8, WorkStatus(2, "Not completed", "step 2.1 'Reboot' failed")),
        (8, WorkStatus(3, "Cancelled", "step 2.1 'Reboot' failed")),
        (45, Closed("Ended without completion", "r1", 31, "abc")),
    )
    assert (
        render_text(build(events))
        == """\
[AT RISK 2009/012] March 3rd 2009 - a kernel for the mail server

Maintenance log for March 3rd 2009
Attending: dwm
Status: Ended without completion at 14:05hrs, March 3rd 2009.

  • Works to be carried out:
    • Install (Completed)
    • Reboot (Not completed: step 2.1 'Reboot' failed)
    • Verify (Cancelled: step 2.1 'Reboot' failed)

Transcript, times are in GMT:
  • [1326] Reboot ordered; the machine goes down in 1 minute.
    • a point
    • another
  • [1320] New kernel installed; the next boot starts it.

Record: run r1, 31 events, head abc.
"""
    )


def test_equal_minutes_stand_in_recording_order_latest_on_top() -> None:
    texts = [line.text for line in build(log((1, Entry("a")), (1, Entry("b")))).transcript]
    assert texts == ["b", "a"]


def test_a_remark_may_be_older_than_its_place_but_machine_entries_never_reorder() -> None:
    events = log(
        (10, Entry("first")),
        (5, Entry("second, after the clock stepped back")),
        (7, Entry("seen at seven", remark=True)),
        (12, Entry("third")),
    )
    texts = [line.text for line in build(events).transcript]
    assert texts == ["third", "second, after the clock stepped back", "first", "seen at seven"]


def at_seconds(*lines: tuple[float, Entry, str]) -> list[str]:
    """The transcript of such lines, oldest first; each is seconds, entry, and who wrote it."""
    events = [
        PublicEvent(i, AT, AT + timedelta(seconds=seconds), entry, who=who)
        for i, (seconds, entry, who) in enumerate(lines, 2)
    ]
    return [line.text for line in reversed(build([*log(), *events]).transcript)]


def machine(seconds: float, text: str) -> tuple[float, Entry, str]:
    return seconds, Entry(text), ""


def found(seconds: float, text: str) -> tuple[float, Entry, str]:
    """What the machine finds out later, as that a shutdown was executed."""
    return seconds, Entry(text, remark=True), ""


def said(seconds: float, text: str) -> tuple[float, Entry, str]:
    return seconds, Entry(text, remark=True), "ncm"


@pytest.mark.parametrize(
    ("lines", "order"),
    [
        # a scheduled shutdown is known to have been executed once its host is seen again
        ([machine(31, "power restored"), machine(44, "switched on"), found(0, "shut down")],
         "shut down, power restored, switched on"),
        ([machine(1, "a"), found(59, "c"), machine(30, "b")], "a, b, c"),
        ([machine(1, "a"), said(0.5, "b")], "b, a"),
        ([machine(50, "a"), said(20.25, "b"), said(10.25, "c")], "c, b, a"),
        ([said(30, "b"), said(10, "a")], "a, b"),
        # equal moments go by recording
        ([machine(7, "a"), machine(7, "b"), found(7, "c")], "a, b, c"),
        # said to the minute only: after what stood there when it was said, before what came later
        ([machine(42, "a"), said(0, "b"), machine(50, "c")], "a, b, c"),
        ([machine(42, "a"), said(0, "b"), said(0, "c"), machine(43, "d")], "a, b, c, d"),
        ([machine(42, "a"), machine(70, "c"), said(0, "b")], "a, b, c"),
        ([machine(70, "a"), said(0, "b")], "b, a"),
        ([machine(119, "a"), said(60, "b"), said(0, "c")], "c, a, b"),
        # the machine's own order stands though its clock stepped back
        ([machine(50, "a"), machine(10, "b"), machine(20, "c")], "a, b, c"),
        ([machine(50, "a"), machine(10, "b"), found(30, "c")], "c, a, b"),
        ([machine(3600, "a"), machine(0, "b"), said(3630.5, "c"), machine(3610, "d")], "a, b, d, c"),
    ],
)  # fmt: skip
def test_entries_stand_by_the_moment_they_happened_and_then_by_recording(
    lines: list[tuple[float, Entry, str]], order: str
) -> None:
    assert ", ".join(at_seconds(*lines)) == order


def test_a_log_that_spans_days_has_day_headings() -> None:
    page = render_text(build(log((0, Entry("evening")), (12 * 60, Entry("morning")))))
    assert page.index("March 4th 2009\n") < page.index("morning")
    assert page.index("morning") < page.index("March 3rd 2009\n  •") < page.index("evening")


def test_practice_stands_after_the_number() -> None:
    document = build(log(practice=True))
    assert document.heading.startswith("[AT RISK 2009/012] PRACTICE - March 3rd 2009 - ")


def test_who_joins_attends_once() -> None:
    document = build(log((1, Attends("ncm")), (2, Attends("ncm")), (3, Attends("dwm"))))
    assert document.attending == ["dwm", "ncm"]


@pytest.mark.parametrize(
    ("minutes", "name"),
    [(0, "GMT"), (60, "GMT+1"), (330, "GMT+5:30"), (-210, "GMT-3:30"), (-480, "GMT-8")],
)
def test_offsets_are_named_as_people_name_them(minutes: int, name: str) -> None:
    assert offset_name(minutes) == name


def test_the_offset_is_the_zones_at_that_moment() -> None:
    assert offset_minutes("Europe/London", datetime(2009, 7, 14, tzinfo=UTC)) == 60
    assert offset_minutes("Europe/London", datetime(2008, 2, 11, tzinfo=UTC)) == 0


def test_closing_times_and_dates() -> None:
    assert closing_time(datetime(2019, 8, 22, 15, 5, tzinfo=UTC), 60) == "16:05hrs, August 22nd 2019"
    days = {
        1: "1st",
        2: "2nd",
        3: "3rd",
        4: "4th",
        11: "11th",
        12: "12th",
        13: "13th",
        21: "21st",
        22: "22nd",
        31: "31st",
    }
    for day, text in days.items():
        assert long_date(datetime(2008, 1, day)) == f"January {text} 2008"


def test_markdown_shows_text_as_it_was_written() -> None:
    assert escape("*a* _b_ snake_case [x](y) <img> `c` #1") == (
        "\\*a\\* \\_b\\_ snake_case \\[x\\](y) \\<img\\> \\`c\\` #1"
    )
    assert escape("# no heading") == "\\# no heading"
    assert escape("1. no list") == "1\\. no list"


def test_the_markdown_page_has_the_tag_as_it_is() -> None:
    page = render_markdown(build(log((1, Entry("x < y")))))
    assert page.startswith("# [AT RISK 2009/012] March 3rd 2009 - a kernel for the mail server\n")
    assert "- [1321] x \\< y\n" in page


@pytest.mark.parametrize("render", [render_text, render_markdown])
def test_a_long_transcript_is_gone_through_a_fixed_number_of_times(
    render: Callable[[Document], str],
) -> None:
    class Counted(list[Line]):
        rounds = 0

        def __iter__(self) -> Iterator[Line]:
            self.rounds += 1
            return super().__iter__()

    document = build(log(*((minute, Entry(f"Entry {minute}.")) for minute in range(0, 9000, 90))))
    document.transcript = counted = Counted(document.transcript)
    assert "Entry 8910." in render(document)
    assert counted.rounds <= 2
