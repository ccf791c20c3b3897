"""After an end without completion the last line is a command for the remaining steps."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.durable.conftest import read_here
from tests.durable.harness import Attempt, Site, opening, perform, prepare
from tests.durable.test_letting_go import HEAD
from tests.durable.test_letting_go import site as site  # a fixture

pytestmark = pytest.mark.sshd

WORDS = """
      - {run: "echo one >> {{ ledger }}; echo one", register: first}
      - {run: "[ -e {{ ledger }}.gate ] && echo two >> {{ ledger }}"}
"""
PLAIN = '      - {run: "echo three >> {{ ledger }}"}\n'
USES = '      - {run: "echo {{ first.stdout }} >> {{ ledger }}"}\n'


def hint(attempt: Attempt) -> list[str]:
    """The words of the command that the last process told; empty if it told none."""
    found = re.search(r"^To do the steps that are left: `(.*)`", attempt.outputs[-1], re.M)
    return shlex.split(found[1])[1:] if found else []


def log_of(attempt: Attempt) -> str:
    (page,) = attempt.folder.glob("**/logs/*/*.md")
    return f"{page.parent.name}/{page.name[:3]}"


@pytest.mark.parametrize(
    ("tail", "start", "ledger"),
    [(PLAIN, "1.2", ["one", "two", "three"]), (USES, "1.1", ["one", "one", "two", "one"])],
    ids=["the step that failed", "an earlier step that registers"],
)
def test_the_command_that_is_told_does_the_rest(
    tail: str, start: str, ledger: list[str], site: Site, tmp_path: Path
) -> None:
    attempt = prepare(tmp_path / "run", site, f"{HEAD.rstrip()}{WORDS}{tail}")
    assert perform(attempt, *opening(attempt), "--host", "target") == 1
    told = hint(attempt)
    assert told == [
        "run", "book.yml", "--start-at", start, "--into", log_of(attempt),
        "--var", f"ledger={attempt.ledger}", "--host", "target", "--yes",
    ]  # fmt: skip
    Path(f"{attempt.ledger}.gate").touch()
    assert perform(attempt, *told) == 0, attempt.outputs
    assert read_here(attempt.ledger).split() == ledger
    assert hint(attempt) == [], "nothing is left"


def test_into_a_log_that_is_still_open(site: Site, tmp_path: Path) -> None:
    attempt = prepare(tmp_path / "run", site, f"{HEAD.rstrip()}{WORDS}{PLAIN}")
    assert perform(attempt, "incident", "A disk failed") == 0, attempt.outputs
    number = log_of(attempt)
    assert perform(attempt, *opening(attempt), "--into", number) == 1
    told = hint(attempt)
    assert told[:6] == ["run", "book.yml", "--start-at", "1.2", "--into", number]
    Path(f"{attempt.ledger}.gate").touch()
    assert perform(attempt, *told) == 0, attempt.outputs
    assert read_here(attempt.ledger).split() == ["one", "two", "three"]


def test_as_json_there_are_events_alone(site: Site, tmp_path: Path) -> None:
    attempt = prepare(tmp_path / "run", site, f"{HEAD.rstrip()}{WORDS}{PLAIN}")
    assert perform(attempt, *opening(attempt), "--json") == 1
    assert "To do the steps" not in attempt.outputs[-1]
