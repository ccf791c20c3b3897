"""Monitoring warnings: read whole or not at all, with every bad line reported."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastyops.errors import InvalidFile
from tastyops.records.document.monitoring import MOST_BYTES, MOST_LINES, Warned, read_warnings

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def read(*lines: object) -> list[Warned]:
    data = b"\n".join(x if isinstance(x, bytes) else json.dumps(x).encode() for x in lines)
    return read_warnings(data, "w.jsonl", NOW)


def problems(*lines: object) -> list[str]:
    with pytest.raises(InvalidFile) as error:
        read(*lines)
    assert error.value.still_true == "Nothing was written to the log."
    return [str(problem) for problem in error.value.problems]


def test_a_warning_has_a_moment_words_and_perhaps_a_source() -> None:
    first, second = read(
        {"at": "2026-11-23T06:32:00Z", "text": "Load above 20."},
        {"at": "2026-11-23T11:02:00.5+01:00", "text": "Critical:\n412\u001b[31m", "source": "nagios"},
        b"", b"  ",
    )
    assert (first.at, first.text) == (datetime(2026, 11, 23, 6, 32, tzinfo=UTC), "Load above 20.")
    assert second.at == datetime(2026, 11, 23, 10, 2, 0, 500_000, tzinfo=UTC)
    assert second.text == "nagios: Critical: 412"


def test_a_key_is_the_same_for_the_same_warning_however_it_is_written() -> None:
    one, two, three, four = read(
        {"at": "2026-11-23T06:32:00Z", "text": "a  b"},
        {"text": "a b", "at": "2026-11-23T07:32:00+01:00", "source": None},
        {"at": "2026-11-23T06:32:01Z", "text": "a b"},
        {"at": "2026-11-23T06:32:00Z", "text": "a b", "source": "x"},
    )
    assert one.key == two.key
    assert len({one.key, three.key, four.key}) == 3


def test_every_bad_line_is_named_at_once() -> None:
    assert problems(
        {"at": "2026-11-23T06:32:00Z", "text": "fine"},
        b"not json",
        {"text": "no time"},
        {"at": "2026-11-23T06:32:00", "text": "no offset"},
        {"at": "2026-11-31T06:32:00Z", "text": "no such day"},
        {"at": "2026-11-23T12:00:01Z", "text": "to come"},
        {"at": "0001-01-01T00:00:00+14:00", "text": "old"},
        {"at": "2026-11-23T06:32:00Z"},
        {"at": "2026-11-23T06:32:00Z", "text": 3},
        {"at": "2026-11-23T06:32:00Z", "text": " \u200b"},
        {"at": "2026-11-23T06:32:00Z", "text": "x" * 1001},
        {"at": "2026-11-23T06:32:00Z", "text": "x", "sorce": "y"},
        b'{"at": "a", "at": "b"}',
        [1],
        b"\xff",
        b"[" * 100_000,
    ) == [
        "w.jsonl:2:1: it is not JSON: Expecting value at column 1",
        "w.jsonl:3:1: 'at' is missing: when it was, such as 2026-11-23T03:12:00Z",
        "w.jsonl:4:1: 'at' is not a time with its offset, such as 2026-11-23T03:12:00Z or "
        "2026-11-23T03:12:00+01:00",
        "w.jsonl:5:1: 'at': there is no '2026-11-31T06:32:00Z'",
        "w.jsonl:6:1: 'at': '2026-11-23T12:00:01Z' lies in the future",
        "w.jsonl:7:1: 'at': there is no '0001-01-01T00:00:00+14:00'",
        "w.jsonl:8:1: 'text' is missing",
        "w.jsonl:9:1: 'text' is not text",
        "w.jsonl:10:1: 'text' is empty",
        "w.jsonl:11:1: 'text' is longer than 1,000 characters",
        "w.jsonl:12:1: 'sorce' is not known (did you mean 'source'?)",
        "w.jsonl:13:1: 'at' stands there twice",
        'w.jsonl:14:1: it is not an object such as {"at": "…", "text": "…"}',
        "w.jsonl:15:1: it is not UTF-8 (byte 1)",
        "w.jsonl:16:1: it is not JSON that can be read",
    ]


def test_a_file_without_bounds_is_not_read() -> None:
    assert "larger than 1,048,576 bytes" in problems(b" " * (MOST_BYTES + 1))[0]
    assert "more than 5,000 lines" in problems(*[b""] * (MOST_LINES + 2))[0]


@given(st.binary(max_size=300))
def test_any_bytes_are_warnings_or_an_error_of_ours(data: bytes) -> None:
    with suppress(InvalidFile):
        read_warnings(data, "w", NOW)


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(["at", "text", "source", "x"]), values))
def test_any_object_is_a_warning_or_an_error_of_ours(data: dict[str, object]) -> None:
    with suppress(InvalidFile):
        (found,) = read(data)
        assert "\n" not in found.text
