"""`prune` and `backup` on the command line."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from tastyops.records.runs import JOURNAL
from tests.cli.conftest import Run
from tests.cli.project import Project

OLD = ("--keep", "0s")


@pytest.fixture
def two_runs(run: Run, project: Project) -> list[str]:
    """The ids of two completed practice runs."""
    project.runbook("run: echo one")
    for _ in range(2):
        assert run("run", "book.yml", "--yes").code == 0
    return [path.name for path in project.runs()]


def test_prune_shows_asks_and_removes(run: Run, project: Project, two_runs: list[str]) -> None:
    assert run("prune").out == "No run to remove: none that ended over 90 days ago.\n"
    alone = run("prune", *OLD)
    assert alone.code == 2
    assert "Nobody is here to confirm that 2 runs (" in alone.err
    assert alone.out.count("goes: 2") == 2
    assert "[2026/" in alone.out
    assert "] A test (" in alone.out
    assert run("prune", *OLD, dry=True).code == 0
    assert len(project.runs()) == 2
    one = run("prune", *OLD, "--keep-last", "1", "--yes")
    assert one.code == 0
    assert f"Removed {two_runs[0]}, " in one.out
    assert [path.name for path in project.runs()] == two_runs[1:]
    assert run("prune", *OLD, "--yes").code == 0
    assert project.runs() == []
    assert len(project.pages()) == 2
    shown = run("show", project.pages()[0].parent.name + "/001")
    assert (shown.code, "Completed at" in shown.out) == (0, True)


def test_prune_keeps_what_has_not_ended_and_says_why(
    run: Run, project: Project, two_runs: list[str]
) -> None:
    journal = project.runs()[0] / JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]))
    found = run("prune", *OLD, "--yes")
    assert found.code == 0
    assert "stays: " in found.out
    assert "it has not ended" in found.out
    assert [path.name for path in project.runs()] == two_runs[:1]


@pytest.mark.parametrize("word", ["soon", "-1d", "5x", "1000000d"])
def test_a_span_prune_does_not_understand(run: Run, word: str) -> None:
    assert run("prune", f"--keep={word}").code == 2
    assert run("prune", "--keep-last", "many").code == 2


@pytest.mark.parametrize("word", ["90d", "400d", "12h"])
def test_spans_prune_understands(run: Run, word: str) -> None:
    assert run("prune", "--keep", word).code == 0


def test_backup_holds_everything_and_verifies_after_a_restore(
    run: Run, project: Project, two_runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("backup", "b.tar.gz", dry=True).out == "Would write b.tar.gz.\n"
    made = run("backup", "b.tar.gz")
    assert made.code == 0, made.err
    assert made.out.startswith("b.tar.gz: 2 logs, 2 runs, ")
    elsewhere = project.path / "elsewhere"
    with tarfile.open("b.tar.gz") as tar:
        tar.extractall(elsewhere, filter="data")
    (elsewhere / "inventory.yml").write_bytes((project.path / "inventory.yml").read_bytes())
    monkeypatch.chdir(elsewhere)
    for name in two_runs:
        assert run("verify", name).code == 0
    manifest = json.loads(Path("tastyops-backup.json").read_bytes())
    assert sorted(manifest["runs"]) == two_runs


def test_backup_says_what_is_wrong_with_what_it_holds(
    run: Run, project: Project, two_runs: list[str]
) -> None:
    journal = project.runs()[0] / JOURNAL
    journal.write_bytes(journal.read_bytes().replace(b"echo one", b"echo two", 1))
    made = run("backup", "b.tar")
    assert made.code == 1
    assert "this event was altered after it was written" in made.err
    assert "the archive holds the records as they are" in made.err
    assert Path("b.tar").exists()


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("b.zip", "b.zip is neither .tar nor .tar.gz."),
        ("inventory.tar", "inventory.tar is there already"),
        ("practice/runs/b.tar", "lies among the records"),
        ("practice/logs/2026/b.tar.gz", "lies among the records"),
        ("no/such/b.tar", "cannot be written: No such file or directory"),
    ],
)
def test_where_no_backup_is_written(run: Run, project: Project, file: str, said: str) -> None:
    project.write("inventory.tar", b"")
    found = run("backup", file)
    assert found.code in (1, 2)
    assert said in found.err
