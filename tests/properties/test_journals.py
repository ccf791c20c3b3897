"""Whatever happened to a journal, its readers give events or an error, and ``verify`` finds it."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastyops.errors import JournalDamaged
from tastyops.journal.chain import GENESIS, seal, unseal
from tastyops.journal.envelope import Event, event_from_json
from tastyops.journal.public_events import PublicEvent, public_from_json
from tastyops.journal.state import RunState
from tastyops.ports import OperatorKind
from tastyops.records.logs import LogFile
from tastyops.records.runs import JOURNAL, read_events, read_state
from tastyops.records.verify import verify_run
from tastyops.redact import Masker
from tests.core.driving import Ran, drive, plan_of
from tests.core.fake import FakeHost
from tests.properties.mutations import JSON, TRIED, anything, changed, examples, mutated

PLAN = """
title: Disk check
hosts: [web1, web2]
summary: [It is checked.]
works:
  - work: Look
    steps:
      - {run: look, reads: true, register: seen}
      - {ask: {question: Which?, default: sda}, register: which}
  - work: Change
    steps:
      - {run: big, log: Done., until: result.rc == 0, retries: 1, delay: 0s}
      - {manual: Pull it}
      - {run: bad}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A real run with most kinds of events: questions, a retry, large output, a failure."""
    place = tmp_path_factory.mktemp("real")
    hosts = {
        name: FakeHost({
            "look": (0, "ok\n"), "big": [(1, "once\n"), (0, "x" * size)], "bad": (3, "", "no\n"),
        })
        for name, size in (("web1", 5000), ("web2", 50))
    }  # fmt: skip

    class Everybody:
        kind = OperatorKind.PERSON

        def answer(self, question: Any, **_: object) -> tuple[str, str]:
            return ("sda", "dwm") if question["question"] == "ask" else ("done", "dwm")

    found = drive(plan_of(PLAN, *hosts), place, operators=[Everybody()], **hosts)
    assert len({event.kind for event in found.events}) >= 10
    assert verify_run(found.directory, found.log)[2] == []
    return found


@pytest.fixture(scope="module")
def copy(ran: Ran, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the run, whose journal the tests write anew."""
    place = tmp_path_factory.mktemp("copy") / ran.directory.name
    shutil.copytree(ran.directory, place)
    return place


def lines_of(ran: Ran) -> list[bytes]:
    return (ran.directory / JOURNAL).read_bytes().splitlines(keepends=True)


def faults(lines: list[bytes]) -> bool:
    return any(line.faults for line in unseal(lines))


# -- verify finds it ---------------------------------------------------------------------------


def test_every_byte_of_a_real_journal_changed_in_turn_is_found(ran: Ran) -> None:
    """Each byte once, by another amount each time; a line after it is read too, the rest is as it was."""
    lines = lines_of(ran)
    offset = 0
    for number, line in enumerate(lines):
        before = json.loads(lines[number - 1])["hash"] if number else GENESIS
        assert before == json.loads(line).get("prev")
        for at in range(len(line)):
            offset += 1
            wrong = bytearray(line)
            wrong[at] ^= offset * 37 % 255 + 1
            TRIED["bytes changed, each found"] += 1
            around = b"".join([bytes(wrong), *lines[number + 1 : number + 2]])
            assert faults(_as_read(around)), (number, at, bytes(wrong))


def _as_read(data: bytes) -> list[bytes]:
    """Lines as iterating over a file gives them: only a newline ends one."""
    pieces = data.split(b"\n")
    lines = [piece + b"\n" for piece in pieces[:-1]]
    return [*lines, pieces[-1]] if pieces[-1] else lines


def test_every_event_missing_or_doubled_is_found(ran: Ran, copy: Path) -> None:
    """Those at the end too: the closed log has the journal's length and its head."""
    lines = lines_of(ran)
    for number, line in enumerate(lines):
        without = [*lines[:number], *lines[number + 1 :]]
        for wrong in (without, lines[:number], [*lines[:number], line, *lines[number:]]):
            TRIED["events missing or doubled, each found"] += 1
            (copy / JOURNAL).write_bytes(b"".join(wrong))
            assert verify_run(copy, ran.log)[2], number


def test_every_two_events_swapped_are_found(ran: Ran) -> None:
    lines = lines_of(ran)
    for one in range(len(lines)):
        for other in range(one + 1, len(lines)):
            TRIED["events swapped, each found"] += 1
            wrong = list(lines)
            wrong[one], wrong[other] = lines[other], lines[one]
            assert faults(wrong[: other + 2]), (one, other)


@examples(200)
@given(st.data())
def test_any_other_bytes_are_found(ran: Ran, copy: Path, data: st.DataObject) -> None:
    whole = b"".join(lines_of(ran))
    wrong = data.draw(mutated([whole]))
    TRIED["journals mutated"] += 1
    (copy / JOURNAL).write_bytes(wrong)
    _, _, said = verify_run(copy, ran.log)
    assert bool(said) == (wrong != whole)
    try:
        assert isinstance(read_state(copy), RunState)
    except JournalDamaged:
        assert wrong != whole


def test_an_altered_or_missing_output_is_found(ran: Ran, copy: Path) -> None:
    shutil.copy(ran.directory / JOURNAL, copy / JOURNAL)
    for blob in sorted((copy / "blobs").iterdir()):
        data = blob.read_bytes()
        for at in range(0, len(data), 97):
            TRIED["outputs altered"] += 1
            blob.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            assert verify_run(copy, ran.log)[2]
        blob.unlink()
        assert verify_run(copy, ran.log)[2]
        blob.write_bytes(data)
    assert verify_run(copy, ran.log)[2] == []


# -- the readers -------------------------------------------------------------------------------


@examples(200)
@given(anything())
def test_bytes_of_any_kind_as_a_journal(ran: Ran, copy: Path, data: bytes) -> None:
    TRIED["bytes as a journal"] += 1
    (copy / JOURNAL).write_bytes(data)
    assert verify_run(copy, ran.log)[2]
    try:
        list(read_events(copy))
        assert not data
    except JournalDamaged:
        pass


def sealed(objects: list[Any]) -> bytes:
    """The objects as a chain that is sound as far as hashes go."""
    head, found = GENESIS, []
    for each in objects:
        body = {k: v for k, v in each.items() if k != "hash"} if isinstance(each, dict) else {"x": each}
        line, head = seal({**body, "prev": head})
        found.append(line)
    return b"".join(found)


@examples(200)
@given(st.data())
def test_a_journal_sealed_anew_around_nonsense(ran: Ran, copy: Path, data: st.DataObject) -> None:
    """Hashes that fit prove nothing about the sense of what they seal."""
    objects = [json.loads(line) for line in lines_of(ran)]
    at = data.draw(st.integers(0, len(objects) - 1))
    objects[at] = changed(data.draw, objects[at])
    TRIED["journals sealed anew"] += 1
    (copy / JOURNAL).write_bytes(sealed(objects))
    verify_run(copy, ran.log)
    with contextlib.suppress(JournalDamaged):
        assert isinstance(read_state(copy), RunState)


@examples(200)
@given(st.dictionaries(st.sampled_from(["run", "seq", "kind", "body", "who", "n", "recorded_at", "x"]), JSON))
def test_an_event_from_any_json(data: dict[str, Any]) -> None:
    TRIED["JSON as an event"] += 1
    for read in (event_from_json, public_from_json):
        with contextlib.suppress(JournalDamaged):
            assert isinstance(read(data), (Event, PublicEvent, type(None)))


@examples(150)
@given(st.data())
def test_a_log_sealed_anew_around_nonsense(ran: Ran, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    objects = [json.loads(line) for line in ran.log.journal.read_bytes().splitlines()]
    at = data.draw(st.integers(0, len(objects) - 1))
    objects[at] = changed(data.draw, objects[at])
    TRIED["logs sealed anew"] += 1
    read_log(tmp_path_factory.getbasetemp() / "log", sealed(objects))


@examples(150)
@given(st.data())
def test_a_log_with_other_bytes(ran: Ran, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    wrong = data.draw(anything() | mutated([ran.log.journal.read_bytes()]))
    TRIED["logs mutated"] += 1
    read_log(tmp_path_factory.getbasetemp() / "log", wrong)



def read_log(stem: Path, data: bytes) -> None:
    stem.with_name("log.jsonl").write_bytes(data)
    with contextlib.suppress(JournalDamaged):
        LogFile(stem, Masker(), say=lambda _: None).document()
