"""Records of the version of November 2026 are verified, shown, listed and encoded as they were."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from tastyops.app.registry import registry
from tastyops.cli.program import main
from tastyops.journal.chain import seal, unseal
from tastyops.journal.envelope import event_from_json, event_to_json
from tastyops.journal.events import Intended, RunOpened, StepEnded
from tastyops.journal.public_events import public_from_json
from tastyops.journal.state import fold
from tastyops.model.commands import Change
from tastyops.model.inventory import Host
from tastyops.plan.advance import advance
from tastyops.plan.generator_cache import LiveLanes
from tastyops.plan.moves import Append, Perform
from tastyops.plan.plan import Plan, make_plan
from tastyops.records.blobs import read_blob
from tastyops.runbook.validation import validate
from tests.cli.project import isolated
from tests.compatibility.records import (
    DATA,
    FINISHED,
    UNFINISHED,
    events_of,
    journals,
    logs,
    named,
    put_back,
)

NOTES = sorted(DATA.glob("*/*/private/*/notes.jsonl"))
PROJECTS = [f"finished/{name}" for name in FINISHED] + [f"unfinished/{n}" for n in UNFINISHED]


def test_there_is_something_of_each_kind() -> None:
    assert len(FINISHED) == 3
    assert len(UNFINISHED) == 20
    assert len(NOTES) >= 1
    kinds = {event.kind for journal in journals() for event in events_of(journal)}
    assert len(kinds) >= 20


@pytest.mark.parametrize("journal", [*journals(), *NOTES], ids=named)
def test_each_event_of_a_run_is_encoded_to_the_same_bytes(journal: Path) -> None:
    data = journal.read_bytes()
    encoded = [
        seal(event_to_json(event_from_json(line.data or {})))[0]
        for line in unseal(io.BytesIO(data))
    ]
    assert b"".join(encoded) == data


@pytest.mark.parametrize("log", logs(), ids=named)
def test_each_line_of_a_log_is_encoded_to_the_same_bytes(log: Path) -> None:
    data, encoded = log.read_bytes(), []
    for line in data.splitlines():
        event = public_from_json(json.loads(line))
        assert event is not None
        encoded.append(seal(event.to_json())[0])
    assert b"".join(encoded) == data


@pytest.fixture(params=PROJECTS)
def project(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A project with those records and an inventory whose hosts are not there."""
    for variable, value in isolated(tmp_path / "user").items():
        monkeypatch.setenv(variable, value)
    monkeypatch.delenv("INVOKE_RUN_DRY", raising=False)
    place = tmp_path / "project"
    put_back(request.param, place)
    names = {name for journal in journals() for name in events_of(journal)[0].body.hosts}  # type: ignore[attr-defined]
    (place / "inventory.yml").write_text(
        "timezone: Europe/London\npractice: true\nlogs: public\nruns: private\nhosts:\n"
        + "".join(f"  {name}: {{address: 192.0.2.1}}\n" for name in sorted(names))
    )
    monkeypatch.chdir(place)
    return place


def test_verify_show_list_and_status_read_it(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def verb(*words: str) -> str:
        code = main(words)
        out, err = capsys.readouterr()
        assert code == 0, (words, out, err)
        return out

    page = next(iter(sorted(project.glob("public/*/*.md"))))
    title = page.read_text().partition("\n")[0].rpartition(" - ")[2]
    runs = sorted(path.name for path in project.glob("private/[0-9]*"))
    for run in runs:
        verb("verify", run)
        assert title.split()[0] in verb("show", run) or len(runs) > 1
        commands = verb("show", run, "--commands")
        for event in events_of(project / "private" / run / "journal.jsonl"):
            if isinstance(event.body, Intended):
                assert event.at.step in commands
    listed = verb("list")
    assert all(run[:8] in listed or title in listed for run in runs)
    status = verb("status")
    for run in runs:
        closed = any(
            e.kind == "run-closed" for e in events_of(project / "private" / run / "journal.jsonl")
        )
        assert (run in status) is not closed


def plan_of(journal: Path) -> Plan:
    """The plan of a run, made again from the runbook that is kept with the run."""
    opened = events_of(journal)[0].body
    assert isinstance(opened, RunOpened)
    source = (journal.parent / "runbook.yml").read_bytes()
    names = dict.fromkeys(opened.hosts)
    runbook = validate(source, opened.path, registry(), names, frozenset())
    inputs = {
        name: "not-a-real-one" if isinstance(value, dict) else value
        for name, value in opened.inputs.items()
    }
    return make_plan(
        runbook, [Host(name, practice=True) for name in opened.hosts], inputs, registry()
    )


PLANNED = [path for path in journals() if "refused" not in path.parts]
"""Those whose plan the present version can make again."""


@pytest.mark.parametrize("journal", PLANNED, ids=named)
def test_no_point_of_a_journal_sends_a_change_twice(journal: Path) -> None:
    """Whatever an action sends today: what was begun is picked up, or a person decides."""
    plan, events = plan_of(journal), events_of(journal)
    for cut in range(1, len(events) + 1):
        before = events[:cut]
        state = fold(before, lambda sha256: read_blob(journal.parent / "blobs" / sha256))
        begun = {e.at for e in before if isinstance(e.body, Intended)}
        for move in advance(plan, state, LiveLanes()):
            if isinstance(move, Perform) and isinstance(move.command, Change):
                assert move.at not in begun


OWN = [path for path in PLANNED if "kernel-upgrade" not in str(path)]


@pytest.mark.parametrize("journal", OWN, ids=named)
def test_no_point_of_a_journal_ends_in_doubt(journal: Path) -> None:
    """The actions run, ask, confirm, manual and watch still ask for what they asked for then."""
    plan, events = plan_of(journal), events_of(journal)
    for cut in range(1, len(events) + 1):
        state = fold(events[:cut], lambda sha256: read_blob(journal.parent / "blobs" / sha256))
        for move in advance(plan, state, LiveLanes()):
            if isinstance(move, Append) and isinstance(move.body, StepEnded):
                assert move.body.outcome != "in doubt", (cut, move)
