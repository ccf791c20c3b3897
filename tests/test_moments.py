"""Clock times as people write them, against clocks that go forward, back, and over midnight."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tastyops.errors import UsageError
from tastyops.model.clock_time import read_said, readings
from tastyops.records.document.moments import choices, moments, with_offset

LONDON = "Europe/London"
ZONES = (
    "UTC", LONDON, "America/New_York", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata",
    "America/Sao_Paulo", "America/Havana", "Pacific/Apia", "Africa/Casablanca",
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def meant(text: str, now: str, zone: str = LONDON, since: str = "") -> list[str]:
    found = moments(read_said(text), zone, utc(now), utc(since) if since else None)
    return [f"{moment:%Y-%m-%dT%H:%M:%S}" for moment in found]


@pytest.mark.parametrize(
    ("text", "now", "expected"),
    [
        ("0900", "2026-11-23T12:00", "2026-11-23T09:00:00"),
        ("09:00", "2026-11-23T12:00", "2026-11-23T09:00:00"),
        ("9:00", "2026-11-23T12:00", "2026-11-23T09:00:00"),
        ("09:00:02", "2026-11-23T12:00", "2026-11-23T09:00:02"),
        ("1200", "2026-11-23T12:00", "2026-11-23T12:00:00"),  # this very minute has begun
        ("1201", "2026-11-23T12:00", "2026-11-22T12:01:00"),  # the latest past one is yesterday's
        ("0000", "2026-11-23T00:00", "2026-11-23T00:00:00"),
        ("2359", "2026-11-23T00:00", "2026-11-22T23:59:00"),
        ("0900", "2026-07-14T12:00", "2026-07-14T08:00:00"),  # summer time
        ("0030", "2026-07-13T23:45", "2026-07-13T23:30:00"),  # the zone's day, not UTC's
        ("2026-11-22 09:00", "2026-11-23T12:00", "2026-11-22T09:00:00"),
        ("2026-11-22T0900", "2026-11-23T12:00", "2026-11-22T09:00:00"),
        ("2026-11-22 09:00Z", "2026-11-23T12:00", "2026-11-22T09:00:00"),
        ("2026-07-14 09:00+05:30", "2026-11-23T12:00", "2026-07-14T03:30:00"),
        ("0900-0330", "2026-11-23T12:00", "2026-11-22T12:30:00"),
        ("  0900 ", "2026-11-23T12:00", "2026-11-23T09:00:00"),
    ],
)
def test_a_time_is_the_latest_past_moment_of_it(text: str, now: str, expected: str) -> None:
    assert meant(text, now) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "", "9", "900", "2400", "24:00", "12:60", "09:00:61", "noon", "09.00", "2026-11-22",
        "2026-13-01 09:00", "2026-02-29 09:00", "22-11-2026 09:00", "0900+25:00", "0900+01:99",
        "-0900", "09:00 BST", "0900\n1000", "٠٩٠٠", "0001-01-01 09:00", "9999-12-31 23:59-14:00",
    ],
)
def test_what_is_no_time_is_an_error_that_shows_the_form(text: str) -> None:
    with pytest.raises(UsageError) as error:
        read_said(text)
    assert "cannot be taken as a time" in error.value.what
    assert "2026-11-22 09:00" in error.value.next_step


@pytest.mark.parametrize("text", ["2026-11-23 12:01", "2026-11-24 00:00", "2030-01-01T09:00Z"])
def test_the_future_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="lies in the future; it is 12:00 on 2026-11-23 now"):
        meant(text, "2026-11-23T12:00")


def test_in_a_live_log_a_time_that_has_not_come_is_not_yesterday_s() -> None:
    assert meant("0900", "2026-11-23T12:00", since="2026-11-23T11:00") == ["2026-11-23T09:00:00"]
    with pytest.raises(UsageError, match="has not come yet today") as error:
        meant("1230", "2026-11-23T12:00", since="2026-11-23T11:00")
    assert error.value.next_step == "If another day is meant, say so: 2026-11-22 12:30."
    assert meant("2026-11-22 12:30", "2026-11-23T12:00", since="2026-11-23T11:00")


def test_a_live_log_over_midnight_has_two_days() -> None:
    now, since = "2026-11-23T00:30", "2026-11-22T23:00"
    assert meant("2345", now, since=since) == ["2026-11-22T23:45:00"]
    assert meant("0010", now, since=since) == ["2026-11-23T00:10:00"]


# -- clocks that go forward and back -----------------------------------------------------------


@pytest.mark.parametrize("text", ["0130", "2026-03-29 01:30", "01:00", "01:59"])
def test_a_time_in_the_gap_does_not_exist(text: str) -> None:
    with pytest.raises(UsageError, match="does not exist: clocks were put forward"):
        meant(text, "2026-03-29T09:00")


def test_before_the_gap_has_come_its_time_is_yesterday_s() -> None:
    assert meant("0130", "2026-03-29T00:45") == ["2026-03-28T01:30:00"]


def test_an_explicit_offset_means_a_moment_even_in_the_gap() -> None:
    assert meant("0130Z", "2026-03-29T09:00") == ["2026-03-29T01:30:00"]


def test_a_time_in_the_fold_means_two_moments_and_either_can_be_said() -> None:
    now = "2026-10-25T09:00"
    assert meant("0130", now) == ["2026-10-25T00:30:00", "2026-10-25T01:30:00"]
    said = read_said("0130")
    assert choices(said, moments(said, LONDON, utc(now)), LONDON) == [
        "2026-10-25 01:30+01:00 (00:30 UTC)", "2026-10-25 01:30+00:00 (01:30 UTC)",
    ]
    assert meant("01:30+01:00", now) == ["2026-10-25T00:30:00"]
    assert meant("01:30+00:00", now) == ["2026-10-25T01:30:00"]


def test_within_the_fold_only_the_first_has_passed() -> None:
    assert meant("0130", "2026-10-25T01:10") == ["2026-10-25T00:30:00"]


def test_a_fold_over_midnight_is_the_latest_all_the_same() -> None:
    # St John's, 2006: at 00:01 clocks went back to 23:01 of the day before
    assert meant("0000", "2006-10-29T03:10", "America/St_Johns") == ["2006-10-29T02:30:00"]


def test_a_day_that_was_left_out() -> None:
    with pytest.raises(UsageError, match="does not exist"):
        meant("2011-12-30 09:00", "2012-01-01T00:00", "Pacific/Apia")


times = st.times().map(lambda t: t.replace(microsecond=0))
nows = st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


@given(times, nows, st.sampled_from(ZONES))
@example(time(0, 0), utc("2006-10-29T03:10"), "America/St_Johns")
@example(time(1, 30), utc("2026-10-25T09:00"), LONDON)
def test_whatever_is_found_reads_as_said_and_nothing_later_does(
    clock: time, now: datetime, zone: str
) -> None:
    said = read_said(f"{clock:%H:%M:%S}")
    days = [(now + timedelta(days=n)).date() for n in (-2, -1, 0, 1)]
    if any(not readings(d, clock, ZoneInfo(zone)) for d in days):
        with suppress(UsageError):  # of a day on which that time was left out
            moments(said, zone, now)
        return
    found = moments(said, zone, now)
    assert 1 <= len(found) <= 2
    for moment in found:
        assert moment <= now
        assert moment.astimezone(ZoneInfo(zone)).time() == clock
    past = [m for d in days for m in readings(d, clock, ZoneInfo(zone)) if m <= now]
    assert max(past) == max(found)


@given(nows, st.sampled_from(ZONES))
def test_the_form_with_an_offset_means_that_moment_and_no_other(now: datetime, zone: str) -> None:
    moment = now.replace(microsecond=0)
    local = moment.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()
    assume(local.total_seconds() % 60 == 0)
    assert moments(read_said(with_offset(moment, zone)), zone, now) == [moment]


@given(st.dates(date(1990, 1, 1), date(2030, 1, 1)), times, st.sampled_from(ZONES))
def test_every_reading_shows_the_time_and_none_is_missed(d: date, clock: time, zone: str) -> None:
    found = readings(d, clock, ZoneInfo(zone))
    wanted = datetime.combine(d, clock)
    around = datetime.combine(d, clock, UTC)
    quarter = timedelta(minutes=15)
    near = {around + n * quarter for n in range(-60, 61)}
    shown = {m for m in near if m.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == wanted}
    assert shown <= set(found)
    assert all(m.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == wanted for m in found)
    assert found == sorted(found)


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_an_error_of_ours(text: str) -> None:
    with suppress(UsageError):
        moments(read_said(text), LONDON, utc("2026-11-23T12:00"))
