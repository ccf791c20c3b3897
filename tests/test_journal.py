"""Events, their chain and the state they fold to."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastyops.journal.chain import GENESIS, seal, unseal
from tastyops.journal.envelope import KINDS, Event, event_from_json, event_to_json
from tastyops.journal.events import Address, Body, Noted, Settled, StepEnded, Unrecognised

NOW = datetime(2026, 2, 11, 13, 20, 1, 250, tzinfo=UTC)


def chain(count: int) -> list[bytes]:
    lines, head = [], GENESIS
    for seq in range(1, count + 1):
        event = Event(
            "r1",
            seq,
            1,
            NOW,
            NOW,
            "dwm",
            Address("kalimdor", "1.1", 1, seq),
            Noted(f"n{seq}"),
            head,
        )
        line, head = seal(event_to_json(event))
        lines.append(line)
    return lines


def faults(lines: list[bytes]) -> list[int]:
    return [fault.line for line in unseal(lines) for fault in line.faults]


def test_an_event_reads_back() -> None:
    event = Event(
        "r1",
        7,
        2,
        NOW,
        NOW,
        "dwm",
        Address("kalimdor", "1.1", 1, 2),
        StepEnded("done", {"version": "6.1"}, "Done.", "", ""),
        "p" * 32,
    )
    assert event_from_json(json.loads(json.dumps(event_to_json(event)))) == event


def test_an_unknown_kind_is_kept_as_it_is() -> None:
    data = event_to_json(Event("r", 1, 1, NOW, NOW, "", Address(), Noted("x"), GENESIS))
    data |= {"kind": "of-the-future", "body": {"a": [1]}}
    event = event_from_json(data)
    assert event.body == Unrecognised("of-the-future", {"a": [1]})
    assert event_to_json(event)["kind"] == "of-the-future"
    assert event_to_json(event)["body"] == {"a": [1]}


def test_every_kind_there_is_is_known_to_the_envelope() -> None:
    assert set(KINDS.values()) == {*Body.__subclasses__()} - {Unrecognised}


def test_a_sound_chain_has_no_faults() -> None:
    assert faults(chain(20)) == []


@given(st.data())
def test_any_flipped_byte_is_found_and_its_event_named(data: st.DataObject) -> None:
    lines = chain(5)
    number = data.draw(st.integers(0, 4))
    at = data.draw(st.integers(0, len(lines[number]) - 2))
    flip = data.draw(st.integers(1, 255))
    line = bytearray(lines[number])
    line[at] ^= flip
    if bytes([line[at]]) == b"\n":  # then it is two lines: found all the same, at the first
        lines[number : number + 1] = bytes(line).split(b"\n", 1)
        lines[number] += b"\n"
    else:
        lines[number] = bytes(line)
    assert number + 1 in faults(lines)


@given(st.integers(0, 3))
def test_a_removed_event_is_found(number: int) -> None:
    lines = chain(5)
    del lines[number]
    assert number + 1 in faults(lines)


def test_two_events_changed_round_are_found() -> None:
    lines = chain(5)
    lines[1], lines[2] = lines[2], lines[1]
    assert 2 in faults(lines)


def test_a_torn_last_line_is_reported_not_dropped() -> None:
    lines = chain(3)
    lines[2] = lines[2][:40]
    assert faults(lines) == [3]


@given(st.lists(st.binary(max_size=80), max_size=5))
def test_any_bytes_give_faults_not_exceptions(lines: list[bytes]) -> None:
    read = list(unseal(lines))
    assert len(read) == len(lines)
    assert all(line.faults for line in read)


@given(st.binary(max_size=200))
def test_output_of_any_bytes_survives_the_journal(data: bytes) -> None:
    from tastyops.model.commands import Blob, blob_from_json, blob_to_json

    back = blob_from_json(json.loads(json.dumps(blob_to_json(Blob.of(data)))))
    assert back.read() == data


@pytest.mark.parametrize("bad", [{}, {"run": 1}, {"run": "r", "seq": "x", "kind": "noted"}])
def test_a_line_that_is_no_event_is_an_error_of_ours(bad: dict[str, object]) -> None:
    from tastyops.errors import JournalDamaged

    with pytest.raises(JournalDamaged):
        event_from_json(bad)


def test_settled_without_fields_keeps_its_defaults() -> None:
    assert Settled("d", "slept").to_json() == {
        "digest": "d",
        "how": "slept",
        "result": {},
        "command": {},
    }
