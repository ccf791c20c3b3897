"""Every verb that continues or extends a record refuses one that is older than its log."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tastyops.cli.program import main
from tastyops.journal.chain import GENESIS, seal, unseal
from tests.cli.project import isolated
from tests.compatibility.records import put_back

VERBS: dict[str, list[str]] = {
    "resume": ["resume", "--run", "RUN"],
    "resume by number": ["resume", "--run", "2026/001"],
    "resume by default": ["resume"],
    "cancel": ["cancel", "RUN"],
    "run --into": ["run", "book.yml", "--yes", "--into", "2026/001"],
    "note": ["note", "Later."],
    "note --run": ["note", "Later.", "--run", "2026/001"],
    "note --private": ["note", "Later.", "--private", "--run", "2026/001"],
    "summary": ["summary", "2026/001", "More."],
    "retitle": ["retitle", "2026/001", "Another title"],
    "work add": ["work", "add", "2026/001", "More work"],
    "work complete": ["work", "complete", "2026/001", "1"],
    "correct": ["correct", "2026/001", "3", "Otherwise."],
    "withdraw": ["withdraw", "2026/001", "3"],
    "warnings": ["warnings", "2026/001", "warnings.jsonl"],
    "close": ["close", "2026/001", "--because", "enough"],
    "attend": ["attend", "2026/001"],
}
CLOSED_ONLY = {"resume by default", "run --into", "attend", "close", "work add", "work complete"}
"""What a closed log takes no more, whatever its record is."""


class Records:
    """A project with the records of one run and its log."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path, self._capsys = path, capsys

    @property
    def run(self) -> Path:
        (run,) = self.path.glob("private/[0-9]*")
        return run

    @property
    def journal(self) -> Path:
        return self.run / "journal.jsonl"

    @property
    def log(self) -> Path:
        (log,) = self.path.glob("public/*/*.jsonl")
        return log

    def contents(self) -> dict[str, str]:
        """Every file that is a record, by name and digest."""
        return {
            str(path.relative_to(self.path)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in self.path.rglob("*")
            if path.is_file() and path.suffix != ".lock"
        }

    def verb(self, *words: str) -> tuple[int, str]:
        named = [self.run.name if word == "RUN" else word for word in words]
        self._capsys.readouterr()
        code = main(named)
        out, err = self._capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out + err

    def lines(self) -> list[bytes]:
        return self.journal.read_bytes().splitlines(keepends=True)


@pytest.fixture
def records(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Records:
    for variable, value in isolated(tmp_path / "user").items():
        monkeypatch.setenv(variable, value)
    monkeypatch.delenv("INVOKE_RUN_DRY", raising=False)
    place = tmp_path / "project"
    put_back(request.param, place)
    # nothing listens there: a verb that is not refused ends as unreachable, and changes the records
    (place / "inventory.yml").write_text(
        "practice: true\nlogs: public\nruns: private\n"
        "hosts: {target: {address: 127.0.0.1, port: 1}, kalimdor: {address: 127.0.0.1, port: 1}}\n"
    )
    (place / "book.yml").write_text(
        "title: More\nhosts: target\nworks: [{work: More, steps: [{run: 'true'}]}]\n"
    )
    warning = {"time": "2026-11-30T22:00:00Z", "text": "Load is high."}
    (place / "warnings.jsonl").write_text(json.dumps(warning) + "\n")
    monkeypatch.chdir(place)
    return Records(place, capsys)


def refused(records: Records, verb: str) -> str:
    """Has a verb refused with nothing written, and gives what was said."""
    before = records.contents()
    code, said = records.verb(*VERBS[verb])
    assert code == 1, said
    assert "Nothing was written and no host was touched." in said
    assert "Put " in said
    assert records.contents() == before
    return said


OPEN, CLOSED = "unfinished/work-ended", "finished/kernel-upgrade"


@pytest.mark.parametrize("records", [OPEN], indirect=True)
@pytest.mark.parametrize("verb", VERBS)
def test_an_unfinished_run_restored_from_an_older_copy_is_refused(
    records: Records, verb: str
) -> None:
    records.journal.write_bytes(b"".join(records.lines()[:8]))
    assert "is older than the log 2026/001: it ends at event 8" in refused(records, verb)


@pytest.mark.parametrize("records", [CLOSED], indirect=True)
@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in CLOSED_ONLY])
def test_a_finished_run_cut_to_its_first_lines_is_refused(records: Records, verb: str) -> None:
    records.journal.write_bytes(b"".join(records.lines()[:8]))
    assert "is older than the log 2026/001: it ends at event 8" in refused(records, verb)


def cut_by_one(records: Records) -> None:
    records.journal.write_bytes(b"".join(records.lines()[:-1]))


def torn(records: Records) -> None:
    records.journal.write_bytes(records.journal.read_bytes()[:-40])


def empty(records: Records) -> None:
    records.journal.write_bytes(b"")


def gone(records: Records) -> None:
    records.journal.unlink()


def another(records: Records) -> None:
    """An older copy that was gone on with elsewhere: as long, and a sound chain."""
    before, sealed = GENESIS, []
    for line in unseal(io.BytesIO(records.journal.read_bytes())):
        data = dict(line.data or {})
        del data["hash"]
        if line.number > 8:
            data["happened_at"] = data["happened_at"].replace("2026-11", "2026-12")
        data["prev"] = before
        raw, before = seal(data)
        sealed.append(raw)
    records.journal.write_bytes(b"".join(sealed))


def longer(records: Records) -> None:
    """One event more than the log was closed with."""
    lines = records.lines()
    last = json.loads(lines[-1])
    data = {key: value for key, value in last.items() if key != "hash"}
    raw, _ = seal({**data, "seq": last["seq"] + 1, "prev": last["hash"]})
    records.journal.write_bytes(b"".join(lines) + raw)


def of_another_run(records: Records) -> None:
    records.journal.write_bytes(
        b"".join(line.replace(b"target", b"tarqet") for line in records.lines()[:20])
    )


DAMAGES = [cut_by_one, torn, empty, another, longer, of_another_run]


@pytest.mark.parametrize("records", [CLOSED], indirect=True)
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda each: each.__name__)
@pytest.mark.parametrize("verb", ["resume", "note --run", "note --private", "summary"])
def test_a_journal_that_is_not_the_logs_own_is_refused(
    records: Records, verb: str, damage: Callable[[Records], None]
) -> None:
    damage(records)
    refused(records, verb)
    assert records.verb("verify", "2026/001")[0] == 1


@pytest.mark.parametrize("records", [CLOSED, OPEN], indirect=True)
@pytest.mark.parametrize("verb", ["resume by number", "note --run", "summary", "retitle"])
def test_a_missing_journal_is_named(records: Records, verb: str) -> None:
    run = records.run.name
    gone(records)
    assert run in refused(records, verb)


@pytest.mark.parametrize("records", [OPEN], indirect=True)
@pytest.mark.parametrize("damage", [empty, another, of_another_run], ids=lambda each: each.__name__)
@pytest.mark.parametrize("verb", ["resume", "cancel", "note --run", "run --into", "close"])
def test_an_open_logs_run_that_is_another_is_refused(
    records: Records, verb: str, damage: Callable[[Records], None]
) -> None:
    damage(records)
    refused(records, verb)


@pytest.mark.parametrize("records", [OPEN], indirect=True)
def test_status_says_that_the_record_is_older(records: Records) -> None:
    records.journal.write_bytes(b"".join(records.lines()[:8]))
    code, said = records.verb("status")
    assert code == 0
    assert "is older than the log 2026/001" in said
    assert "goes on with it" not in said


@pytest.mark.parametrize("records", [OPEN, CLOSED], indirect=True)
def test_with_the_older_record_moved_away_the_log_can_be_noted_in(records: Records) -> None:
    records.journal.write_bytes(b"".join(records.lines()[:8]))
    records.run.rename(records.path / "older")
    assert records.verb("note", "The record is lost.", "--run", "2026/001")[0] == 0
    code, said = records.verb("resume", "--run", "2026/001")
    assert code == 1
    assert "is not in" in said


@pytest.mark.parametrize("records", [OPEN], indirect=True)
def test_the_log_of_a_lost_record_is_closed_by_hand(records: Records) -> None:
    records.run.rename(records.path / "older")
    code, said = records.verb("close", "2026/001", "--because", "its record is lost")
    assert code == 0, said


def cut_log(records: Records, lines: int) -> None:
    """The log as an older backup had it."""
    kept = records.log.read_bytes().splitlines(keepends=True)[:lines]
    records.log.write_bytes(b"".join(kept))
    records.log.with_suffix(".md").unlink()


@pytest.mark.parametrize("records", [CLOSED], indirect=True)
def test_a_log_that_is_older_than_its_finished_run_is_completed(records: Records) -> None:
    page = records.log.with_suffix(".md").read_text()
    cut_log(records, 4)
    code, said = records.verb("verify", "last")
    assert code == 1
    assert "does not know that the run" in said
    code, said = records.verb("resume", "--run", "RUN")
    assert code == 0, said
    assert "lacked" in said
    assert "is over: Completed" in said
    assert records.log.with_suffix(".md").read_text() == page
    code, said = records.verb("verify", "2026/001")
    assert code == 0, said


@pytest.mark.parametrize("records", [OPEN], indirect=True)
def test_a_run_whose_log_is_not_there_says_which_it_is(records: Records) -> None:
    records.log.with_suffix(".md").unlink()
    records.log.unlink()
    code, said = records.verb("resume")
    assert code == 1
    assert "The log 2026/001" in said
    assert "--logs DIR" in said


@pytest.mark.parametrize("records", ["finished/incident"], indirect=True)
@pytest.mark.parametrize("number", [0, 1])
def test_private_notes_cut_short_are_not_added_to(records: Records, number: int) -> None:
    log, run = sorted(records.path.glob("private/*/notes.jsonl"), reverse=True)
    (log, run)[number].write_bytes(b"")
    before = records.contents()
    code, said = records.verb("note", "One more.", "--private", "--run", "2026/001")
    assert code == 1, said
    assert records.contents() == before


@pytest.mark.parametrize("records", [OPEN, CLOSED, "finished/incident"], indirect=True)
def test_records_that_agree_take_a_note(records: Records) -> None:
    code, said = records.verb("note", "All is well.", "--run", "2026/001")
    assert code == 0, said
    code, said = records.verb("note", "Really.", "--run", "2026/001", "--private")
    assert code == 0, said
