"""The at-risk period: the two moments it stands for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tastyops.app.at_risk_window import window_of
from tastyops.domain.boot.moment import next_occurrence
from tastyops.errors import Place, ProbeFailed, Refused, UsageError
from tastyops.facts.parsers import parse
from tastyops.model.commands import Blob, Output
from tastyops.model.risk_period import Period, next_end, resolve
from tastyops.model.runbook import WindowSpec

LONDON = "Europe/London"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def spec(begins: str = "", ends: str = "", length: float | None = None) -> WindowSpec:
    return WindowSpec(begins, ends, length, Place("r.yml"))


@pytest.mark.parametrize(
    ("written", "now", "begins", "ends"),
    [
        (spec("2008-03-08 00:01", "02:00"), "2008-03-07T21:05", "2008-03-08T00:01", "2008-03-08T02:00"),
        (spec("2008-03-07 23:55", "02:00"), "2008-03-07T21:05", "2008-03-07T23:55", "2008-03-08T02:00"),
        (spec("2008-03-08 00:01", length=7200), "2008-03-07T21:05", "2008-03-08T00:01", "2008-03-08T02:01"),
        (spec("00:01", "02:00"), "2008-03-07T23:50", "2008-03-08T00:01", "2008-03-08T02:00"),
        (spec("00:01", "02:00"), "2008-03-08T00:05", "2008-03-08T00:01", "2008-03-08T02:00"),
        (spec("00:01", "02:00"), "2008-03-08T02:00", "2008-03-09T00:01", "2008-03-09T02:00"),
        (spec("23:00", "02:00"), "2008-03-08T01:00", "2008-03-07T23:00", "2008-03-08T02:00"),
        (spec("", "02:00"), "2008-03-08T01:00", None, "2008-03-08T02:00"),
        (spec("", "02:00"), "2008-03-08T02:00", None, "2008-03-09T02:00"),
        (spec("", length=5400), "2008-03-08T02:00", None, "2008-03-08T03:30"),
        # summer: the inventory's zone, one hour ahead of UTC
        (spec("2009-07-14 10:00", "12:00"), "2009-07-14T08:00", "2009-07-14T09:00", "2009-07-14T11:00"),
        (spec("2009-07-14 10:00Z", "12:00Z"), "2009-07-14T08:00", "2009-07-14T10:00", "2009-07-14T12:00"),
        # the end is on the other side of the change of clocks
        (spec("2009-10-25 00:30", "03:00"), "2009-10-24T22:00", "2009-10-24T23:30", "2009-10-25T03:00"),
    ],
)  # fmt: skip
def test_what_is_meant(written: WindowSpec, now: str, begins: str | None, ends: str) -> None:
    assert resolve(written, LONDON, utc(now)) == Period(utc(begins) if begins else None, utc(ends))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (spec("2009-03-29 01:30", "03:00"), "'2009-03-29 01:30' does not exist"),
        (spec("2009-10-25 00:30", "01:30"), "'01:30' comes twice on 2009-10-25"),
        (spec("2009-03-08 02:00", "2009-03-08 01:00"), "ends .* before it begins"),
    ],
)
def test_what_is_no_period(written: WindowSpec, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolve(written, LONDON, utc("2009-02-28T12:00"))


def test_an_end_by_the_operators_word() -> None:
    now = utc("2008-03-08T01:00")
    assert next_end("02:00", LONDON, now) == utc("2008-03-08T02:00")
    assert next_end("0030", LONDON, now) == utc("2008-03-09T00:30")
    given = window_of(spec("00:01", "02:00"), "04:00", LONDON, now)
    assert given == Period(utc("2008-03-08T00:01"), utc("2008-03-08T04:00"))
    early = window_of(spec("00:01", "02:00"), "04:00", LONDON, utc("2008-03-07T23:00"))
    assert early == Period(utc("2008-03-08T00:01"), utc("2008-03-08T04:00"))
    assert window_of(None, None, LONDON, now) is None


def test_one_that_is_over_or_far_away_is_refused() -> None:
    written = spec("2008-03-08 00:01", "02:00")
    with pytest.raises(UsageError, match="is over: from 0001hrs, March 8th 2008 until 0200hrs"):
        window_of(written, None, LONDON, utc("2008-03-08T02:00"))
    assert window_of(written, "04:00", LONDON, utc("2008-03-08T02:00")) is not None
    with pytest.raises(UsageError, match="begins in 2 days or more"):
        window_of(written, None, LONDON, utc("2008-03-05T20:00"))


NIGHTLY = spec("01:00", "03:00")


@pytest.mark.parametrize(
    ("written", "now", "begins", "ends"),
    [
        # clocks go back in the night to October 25th 2026 and forward on March 29th 2026
        (NIGHTLY, "2026-10-26T00:30", "2026-10-26T01:00", "2026-10-26T03:00"),
        (NIGHTLY, "2026-10-26T02:00", "2026-10-26T01:00", "2026-10-26T03:00"),
        (NIGHTLY, "2026-10-25T12:00", "2026-10-26T01:00", "2026-10-26T03:00"),
        (NIGHTLY, "2026-10-25T03:00", "2026-10-26T01:00", "2026-10-26T03:00"),
        (NIGHTLY, "2026-10-24T00:30", "2026-10-24T00:00", "2026-10-24T02:00"),
        (NIGHTLY, "2026-10-24T01:00", "2026-10-24T00:00", "2026-10-24T02:00"),
        (NIGHTLY, "2026-03-28T02:00", "2026-03-28T01:00", "2026-03-28T03:00"),
        (NIGHTLY, "2026-03-29T12:00", "2026-03-30T00:00", "2026-03-30T02:00"),
        (NIGHTLY, "2026-03-30T00:30", "2026-03-30T00:00", "2026-03-30T02:00"),
        (spec("01:30", length=3600), "2026-10-26T00:10", "2026-10-26T01:30", "2026-10-26T02:30"),
        (spec("01:30", length=3600), "2026-10-24T01:00", "2026-10-24T00:30", "2026-10-24T01:30"),
        (spec("23:00", "01:30"), "2026-10-26T00:30", "2026-10-25T23:00", "2026-10-26T01:30"),
        (spec("23:00", "01:30"), "2026-10-25T12:00", "2026-10-25T23:00", "2026-10-26T01:30"),
        (spec("23:00", "01:30"), "2026-03-29T12:00", "2026-03-29T22:00", "2026-03-30T00:30"),
        (spec("", "01:30"), "2026-10-25T12:00", None, "2026-10-26T01:30"),
        (spec("", "01:30"), "2026-03-29T02:00", None, "2026-03-30T00:30"),
        # the hour is shown for the second time: only that one is still to come
        (spec("", "01:30"), "2026-10-25T01:10", None, "2026-10-25T01:30"),
    ],
)  # fmt: skip
def test_only_the_day_that_counts_is_resolved(
    written: WindowSpec, now: str, begins: str | None, ends: str
) -> None:
    assert resolve(written, LONDON, utc(now)) == Period(utc(begins) if begins else None, utc(ends))


@pytest.mark.parametrize(
    ("written", "now", "said"),
    [
        (NIGHTLY, "2026-10-24T12:00", "'01:00' comes twice on 2026-10-25"),
        (NIGHTLY, "2026-10-25T01:30", "'01:00' comes twice on 2026-10-25"),
        (NIGHTLY, "2026-03-28T12:00", "'01:00' does not exist on 2026-03-29"),
        (NIGHTLY, "2026-03-29T00:30", "'01:00' does not exist on 2026-03-29"),
        (spec("", "01:30"), "2026-10-24T12:00", "'01:30' comes twice on 2026-10-25"),
        (spec("", "01:30"), "2026-03-28T12:00", "'01:30' does not exist on 2026-03-29"),
    ],
)
def test_the_day_that_counts_is_not_guessed_at(written: WindowSpec, now: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolve(written, LONDON, utc(now))


@pytest.mark.parametrize(
    ("text", "now", "found"),
    [
        ("01:30", "2026-03-29T12:00", "2026-03-30T00:30"),
        ("01:30", "2026-03-30T12:00", "2026-03-31T00:30"),
        ("01:30", "2026-10-25T12:00", "2026-10-26T01:30"),
    ],
)
def test_a_reboot_at_a_time_that_was_skipped_earlier_today(
    text: str, now: str, found: str
) -> None:
    assert next_occurrence(text, LONDON, utc(now).timestamp()) == utc(found).timestamp()


def test_a_reboot_at_a_time_that_will_be_skipped_is_refused() -> None:
    with pytest.raises(Refused, match="does not exist on 2026-03-29"):
        next_occurrence("01:30", LONDON, utc("2026-03-28T12:00").timestamp())


@pytest.mark.parametrize("seconds", [253_370_764_800, 253_402_300_800, 2**62, 2**64, -1])
def test_a_host_s_clock_that_shows_no_date_is_a_failed_probe(seconds: int) -> None:
    with pytest.raises(ProbeFailed, match=r"clock shows|number"):
        parse("clock", Output(0, Blob.of(f"{seconds}\n".encode())))


@pytest.mark.parametrize("micros", [2**64 - 1, 253_402_300_800 * 10**6, -1])
def test_a_shutdown_scheduled_for_no_date_is_a_failed_probe(micros: int) -> None:
    told = f'{{"type": "(st)", "data": ["reboot", {micros}]}}'
    with pytest.raises(ProbeFailed, match="no date"):
        parse("scheduled", Output(0, Blob.of(told.encode())))
