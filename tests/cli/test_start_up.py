"""What a verb loads, and by which name it tells commands.

Breaks if a verb that touches no host imports the machinery of connections, or if a hint names
another program than the one that was started.
"""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.cli.conftest import Run
from tests.cli.project import Project

HEAVY = {
    "paramiko", "invoke", "fabric", "pexpect", "pyte", "rich", "asyncio", "subprocess",
    "importlib.metadata", "tastyops.engine", "tastyops.plan", "tastyops.transport",
    "tastyops.practice", "tastyops.app.run", "tastyops.app.plugins",
}  # fmt: skip
"""Packages that a verb which only reads files has no use for."""

LOADED = """
import sys
from tastyops.cli.program import main
code = main(sys.argv[1:])
print("\\nLOADED", *sys.modules)
sys.exit(code)
"""


@pytest.mark.parametrize(
    "words", [["check", "book.yml"], ["list"], ["show", "LOG"], ["hosts"], ["status"]],
    ids=lambda words: str(words[0]),
)  # fmt: skip
def test_a_verb_that_reads_files_loads_nothing_that_connects(
    words: list[str], project: Project, run: Run
) -> None:
    project.runbook("run: echo hi", "wall: Hello")
    log = run("incident", "Nobody can log in").out.strip()
    words = [log if word == "LOG" else word for word in words]
    ended = subprocess.run(
        [sys.executable, "-c", LOADED, *words], cwd=project.path, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    loaded = set(ended.stdout.rpartition("LOADED ")[2].split())
    assert "tastyops.cli.verbs" in loaded
    assert not {name for name in loaded if HEAVY & {name, name.rpartition(".")[0]}}


COMMANDS = {
    "after a failed run": (["run", "book.yml", "--yes"], 1),
    "status": (["status"], 0),
    "list": (["list"], 0),
    "a missing run": (["show", "nothing"], 2),
    "no verb's argument": (["check"], 2),
    "no such lab": (["lab.down"], None),
}


@pytest.mark.parametrize("program", ["tastyops", "invoke"])
@pytest.mark.parametrize("name", COMMANDS)
def test_hints_name_the_program_that_was_started(
    name: str, program: str, project: Project
) -> None:
    words, code = COMMANDS[name]
    project.runbook("run: 'false'")
    project.write("runbooks/bad.yml", "works: []\n")
    start = [sys.executable, "-m", program, *words]
    ended = subprocess.run(
        start, cwd=project.path, capture_output=True, text=True, timeout=120, check=False,
        env={**project.environment, "XDG_STATE_HOME": str(project.path / "state")},
    )  # fmt: skip
    said = ended.stdout + ended.stderr
    assert code is None or ended.returncode == code, said
    hints = re.findall(r"`(invoke|tastyops) ", said)
    assert set(hints) <= {program}, said
    assert hints or name in ("status", "no such lab"), said
