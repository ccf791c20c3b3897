"""Files that are not records, however large: an error, and bounded memory."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.project import Finished, Project, finish

MEMORY = 1024**3
"""Bytes of address space these processes get; the files are three times as large."""
HUGE = 3 * 1024**3


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a run that is over."""
    made = Project.make(tmp_path_factory.mktemp("limits") / "project")
    book = made.runbook("run: echo hi", "confirm: Go on?")
    assert made.invoke("run", book, "--yes").code == 0
    return made


@pytest.fixture
def record(ended: Project) -> Iterator[Project]:
    """The same, to be harmed; it is as it was afterwards."""
    kept = ended.path.with_name("kept")
    shutil.copytree(ended.path / "practice", kept)
    yield ended
    shutil.rmtree(ended.path / "practice")
    kept.rename(ended.path / "practice")


def journal(project: Project) -> Path:
    return project.runs()[0] / "journal.jsonl"


def log(project: Project) -> Path:
    return project.pages()[0].with_suffix(".jsonl")


def one_line(path: Path) -> None:
    """A line of gigabytes, of which the disk has none."""
    with path.open("r+b") as file:
        file.truncate(HUGE)


def whole_lines(path: Path) -> None:
    """After a line that is as it was, one of gigabytes that has an end, and one more."""
    with path.open("r+b") as file:
        file.seek(HUGE)
        file.write(b"\n{}\n")


def short_lines(path: Path) -> None:
    """Very many lines, each of which is wrong."""
    with path.open("ab") as file:
        for _ in range(4):
            file.write(b"\n" * 1024 * 1024)


def says(project: Project, *words: str) -> Finished:
    return finish(project.start("tastyops", *words, before=limited))


@pytest.mark.parametrize("harm", [one_line, pytest.param(whole_lines, marks=pytest.mark.long), short_lines])
def test_a_journal_that_is_none(harm: Callable[[Path], None], record: Project) -> None:
    harm(journal(record))
    for words in (["verify", "last"], ["status"], ["resume", "--yes"], ["note", "x", "--run", "last"]):
        ended = says(record, *words)
        assert "emory" not in ended.err, (words, ended.err)
        assert ended.code in (0, 1), (words, ended)
        assert ended.code == 1 or words[0] != "verify"
        if words[0] in ("verify", "status"):
            assert "journal.jsonl:" in ended.err + ended.out, (words, ended)


@pytest.mark.parametrize("harm", [one_line, pytest.param(whole_lines, marks=pytest.mark.long)])
def test_a_log_that_is_none(harm: Callable[[Path], None], record: Project) -> None:
    harm(log(record))
    for words in (["verify", "last"], ["show", "last"], ["note", "x", "--run", "last"]):
        ended = says(record, *words)
        assert ended.code == 1, (words, ended)
        assert "is larger than any log is." in ended.err


def test_an_output_and_a_page_and_a_runbook_that_are_none(record: Project) -> None:
    run = record.runs()[0]
    for path in (record.pages()[0], run / "runbook.yml"):
        one_line(path)
    for words in (["verify", "last"], ["show", "last"], ["resume", "--run", "last"]):
        ended = says(record, *words)
        assert "emory" not in ended.err, (words, ended.err)
    assert "was edited by hand" in says(record, "verify", "last").err
