"""Runs that were closed in doubt: shown, settled beside their journal, and their hosts released."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tastyops.cli import terminal
from tastyops.cli.program import main
from tastyops.records.runs import JOURNAL, read_state, run_directories
from tastyops.records.settlement import SETTLEMENT
from tests.sshd.server import Sshd
from tests.sshd.test_runs import page, wait_for, write_inventory, write_runbook
from tests.sshd.test_runs import project as project  # a fixture

pytestmark = pytest.mark.sshd

TEXT = """
title: T
hosts: target
works:
  - work: W
    steps:
      - run: echo three errors were found; kill -9 $PPID
"""


@pytest.fixture(autouse=True)
def free(sshd: Sshd) -> Iterator[None]:
    yield
    (sshd.locks / "tastyops.lock").unlink(missing_ok=True)


@pytest.fixture
def closed(project: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A run that ended in doubt, and still holds its host."""
    assert main(["run", write_runbook(project, TEXT), "--yes"]) == 5
    (run,) = run_directories(project / "runs")
    assert main(["cancel", run.name]) == 5
    assert read_state(run).closed is not None
    assert f"resume --run {run.name}` settles that and lets it go" in capsys.readouterr().out
    return run


def says(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """A person at the keyboard who answers so."""
    answers = iter(words)
    monkeypatch.setattr(terminal, "keyboard", lambda **_: terminal.Keyboard())
    monkeypatch.setattr(terminal, "typed", lambda *_: next(answers))


def lines(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / SETTLEMENT).read_text().splitlines()]


def test_it_is_shown_with_what_is_known(
    closed: Path, capsys: pytest.CaptureFixture[str], sshd: Sshd
) -> None:
    assert main(["status"]) == 0
    out = capsys.readouterr().out
    assert f"resume --run {closed.name}` settles it" in out
    assert "three errors were found" in out
    assert "its lock stays on target" in out
    assert main(["status", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["runs"]
    assert told["in_doubt"][0]["step"] == "1.1"
    assert main(["resume"]) == 5  # nobody is here to say
    assert (sshd.locks / "tastyops.lock").exists()
    assert not (closed / SETTLEMENT).exists()
    assert main(["prune", "--keep", "0d", "--yes"]) == 0
    assert closed.exists()
    assert f"resume --run {closed.name}" in capsys.readouterr().out


def test_the_refusal_for_its_host_names_a_verb_that_works(
    closed: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = "title: T\nhosts: target\nworks: [{work: W, steps: [{run: echo hi}]}]\n"
    assert main(["run", write_runbook(project, other), "--yes"]) == 6
    assert f"resume --run {closed.name}` goes on with it, or settles" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("done", "Step 1.1 (run) was done, as an operator found after the run."),
        ("not-done", "Step 1.1 (run) was not done, as an operator found after the run."),
    ],
)
def test_a_persons_word_settles_it_and_frees_the_host(
    closed: Path, project: Path, sshd: Sshd, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], word: str, said: str,
) -> None:  # fmt: skip
    before = (closed / JOURNAL).read_bytes()
    says(monkeypatch, "what?", word)
    assert main(["resume"]) == 0
    out, err = capsys.readouterr()
    assert "three errors were found" in err
    assert "target is let go" in out
    assert (closed / JOURNAL).read_bytes() == before
    assert not (sshd.locks / "tastyops.lock").exists()
    assert [line["kind"] for line in lines(closed)] == ["doubt-settled", "host-freed"]
    assert lines(closed)[0]["prev"] == read_state(closed).head
    assert said in page(project)
    assert main(["verify", closed.name]) == 0
    assert main(["status"]) == 0
    assert "nothing is unfinished" in capsys.readouterr().out
    assert main(["resume", "--run", closed.name]) == 0  # over, and nothing more is asked
    assert main(["run", write_runbook(project, TEXT.replace("kill -9 $PPID", "true")), "--yes"]) == 0
    assert main(["prune", "--keep", "0d", "--yes"]) == 0
    assert not closed.exists()


@pytest.mark.parametrize("answer", ["leave", None])
def test_a_doubt_that_is_left_stays(
    closed: Path, sshd: Sshd, monkeypatch: pytest.MonkeyPatch, answer: str | None
) -> None:
    says(monkeypatch, *([answer] if answer else []))
    if answer is None:

        def gone(*_: object) -> str:
            raise EOFError

        monkeypatch.setattr(terminal, "typed", gone)
    assert main(["resume"]) == 5
    assert (sshd.locks / "tastyops.lock").exists()
    assert not (closed / SETTLEMENT).exists()


def test_a_host_that_another_run_took_over_stays_with_that(
    closed: Path, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = sshd.locks / "tastyops.lock"
    lock.write_text("20990101T000000000-0000 1 target\nwho somebody\n")
    says(monkeypatch, "done")
    assert main(["resume"]) == 0
    assert lock.read_text().startswith("20990101T000000000-0000 1 target")
    assert main(["verify", closed.name]) == 0


def test_a_host_out_of_reach_is_freed_once_it_is_back(
    closed: Path, project: Path, sshd: Sshd, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    reachable = (project / "inventory.yml").read_text()
    (project / "inventory.yml").write_text(reachable.replace(f"port: {sshd.port}", "port: 1"))
    says(monkeypatch, "done")
    assert main(["resume"]) == 4
    assert "was not let go" in capsys.readouterr().err
    assert (sshd.locks / "tastyops.lock").exists()
    (project / "inventory.yml").write_text(reachable)
    assert main(["status"]) == 0
    assert f"resume --run {closed.name}" in capsys.readouterr().out
    assert main(["resume"]) == 0
    assert not (sshd.locks / "tastyops.lock").exists()


@pytest.mark.parametrize("harm", ["altered", "torn", "of another run", "a line less"])
def test_a_settlement_that_was_tampered_with_is_found(
    closed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], harm: str
) -> None:
    says(monkeypatch, "done")
    assert main(["resume"]) == 0
    path, data = closed / SETTLEMENT, (closed / SETTLEMENT).read_bytes()
    _, second = data.splitlines(keepends=True)
    path.write_bytes({
        "altered": data.replace(b'"word":"done"', b'"word":"not-done"'),
        "torn": data[:-20],
        "of another run": data.replace(lines(closed)[0]["prev"].encode(), b"0" * 32),
        "a line less": second,
    }[harm])  # fmt: skip
    assert main(["verify", closed.name]) == 1
    assert "settlement.jsonl" in capsys.readouterr().err
    assert main(["prune", "--keep", "0d", "--yes"]) == 0
    assert closed.exists()


@pytest.mark.parametrize("ends", [0, 3])
def test_what_the_host_kept_needs_no_person(own_sshd: Sshd, project: Path, ends: int) -> None:
    """The run was closed while its host was out of reach, and its change ended there."""
    write_inventory(project, own_sshd)
    go = project / "go"
    command = f"touch {go}1; while [ ! -e {go}2 ]; do sleep 0.05; done; echo it ended; exit {ends}"
    text = f"title: T\nhosts: target\nworks: [{{work: W, steps: [{{run: '{command}'}}]}}]\n"
    program = (
        "import sys, tastyops.engine.links as links; links.RECONNECT_PATIENCE = 0.0\n"
        "from tastyops.cli.program import main; sys.exit(main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, "run", write_runbook(project, text), "--yes"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    wait_for(lambda: Path(f"{go}1").exists())
    own_sshd.gone()
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 5, said
    (run,) = run_directories(project / "runs")
    assert main(["cancel", run.name]) == 5
    Path(f"{go}2").touch()
    own_sshd.start()
    write_inventory(project, own_sshd)
    wait_for(lambda: main(["resume", "--yes"]) == 0)
    settled = lines(run)[0]["body"]
    assert settled["word"] == "ended"
    assert settled["result"]["status"] == ends
    assert settled["result"]["out"]["head"] == "it ended\n"
    assert ("was done" if ends == 0 else "failed") + ", as its host told after the run" in page(project)
    assert main(["verify", run.name]) == 0
    if os.getuid() == 0:
        assert not list(Path("/run/tastyops").glob(f"{run.name}*"))
