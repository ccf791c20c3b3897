"""Python beside a runbook: run only for a runbook that is valid and names an action of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tastyops.cli.program import main

ACTION = """
from dataclasses import dataclass
from pathlib import Path
from tastyops.actions import action, param
from tastyops.model.commands import Steps
from tastyops.model.action import Facts

with open({ran!r}, "a") as file:
    file.write("x")

@dataclass(frozen=True, kw_only=True)
class Greet:
    whom: str = param("text", "Who")

@action("greet", scalar="whom", hostless=True)
def greet(params: Greet, facts: Facts) -> Steps:
    "Greet somebody."
    return {{}}
    yield
"""

BOOK = """
title: {title}
hosts: {hosts}
works:
  - work: Greetings
    steps:
      - {step}
"""


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that grows whenever the Python beside the runbooks is run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "inventory.yml").write_text("hosts: {web1: {connection: practice}}\n")
    (tmp_path / "books" / "actions").mkdir(parents=True)
    marker = tmp_path / "ran"
    (tmp_path / "books" / "actions" / "greet.py").write_text(ACTION.format(ran=str(marker)))
    return marker


def write(step: str = "greet: bob", title: str = "t", hosts: str = "none") -> str:
    path = Path("books/r.yml")
    path.write_text(BOOK.format(step=step, title=title, hosts=hosts))
    return str(path)


def times(ran: Path) -> int:
    return len(ran.read_text()) if ran.exists() else 0


def test_a_valid_runbook_that_names_it_has_it_run_once(ran: Path) -> None:
    assert main(["check", write()]) == 0
    assert times(ran) == 1
    assert main(["run", write(), "--yes"]) == 0
    assert times(ran) == 1


@pytest.mark.parametrize("wrong", [
    {"title": ""}, {"title": "'{{ nobody }}'"}, {"hosts": "web2"},
    {"step": "{greet: bob, when: nobody}"}, {"step": "{greet: bob, whe: true}"},
    {"step": "{greet: bob, run: echo, log: a}"}, {"step": "{greet: bob, timeout: -1}"},
    {"step": "{greet: bob, id: A B}"}, {"step": "{gret: bob}"}, {"step": "{greet: bob, log: no}"},
    {"step": "{greet: bob, greet: bob}"}, {"step": "[greet"}, {"step": "{greet: &a bob, log: *b}"},
])  # fmt: skip
@pytest.mark.parametrize("verb", ["check", "run", "list"])
def test_a_refused_runbook_runs_nothing(
    wrong: dict[str, str], verb: str, ran: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(**wrong)
    code = main(["list"] if verb == "list" else [verb, path])
    assert code == (0 if verb == "list" else 2), capsys.readouterr().err
    assert times(ran) == 0


def test_a_runbook_that_names_none_of_it_runs_nothing(ran: Path) -> None:
    assert main(["check", write("confirm: Go on?")]) == 0
    assert main(["run", write("confirm: Go on?"), "--yes"]) == 0
    assert times(ran) == 0


def test_a_list_of_runbooks_runs_nothing(ran: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(title="Say hello")
    assert main(["check", "books"]) == 0
    before = times(ran)
    Path("runbooks").symlink_to("books")
    assert main(["list"]) == 0
    assert "Say hello" in capsys.readouterr().out
    assert times(ran) == before


@pytest.mark.parametrize("verb", ["check", "run"])
def test_no_plugins_runs_nothing_and_says_whose_the_action_is(
    verb: str, ran: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb, write(), "--no-plugins"]) == 2
    told = capsys.readouterr().err
    assert "books/r.yml:7:9: 'greet' is neither an action nor a key of a step" in told
    assert "books/actions/greet.py declares it, and --no-plugins leaves that aside" in told
    assert times(ran) == 0


def test_its_parameters_are_checked_once_the_rest_is_right(
    ran: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", write("greet: {who: bob}")]) == 2
    assert "'who' is not a key of 'greet'" in capsys.readouterr().err
    assert times(ran) == 1


@pytest.mark.parametrize("text", ["def (", "import nothing_of_that_name\n@action('greet')", "\0"])
def test_python_that_cannot_be_read_ends_in_a_sentence(
    text: str, ran: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("books/actions/other.py").write_text(text)
    assert main(["check", write()]) == 2
    told = capsys.readouterr().err
    assert "The actions in books/actions/other.py cannot be loaded" in told
    assert "Traceback" not in told
