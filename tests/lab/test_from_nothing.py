"""What docs/lab.md promises a newcomer, with an empty cache: build, upgrade, reboot, down."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.machine import ROOT, SESSION_SECONDS, places

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(2 * SESSION_SECONDS)]


def test_the_two_commands_of_the_documentation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in places(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    commands = [
        line.split() for line in (ROOT / "docs/lab.md").read_text().splitlines()
        if line.startswith(("invoke lab.up", "invoke run"))
    ]  # fmt: skip
    assert len(commands) == 2
    try:
        for words in commands:
            told, code = said(*words)
            assert code == 0, told
        assert "Completed" in said("invoke", "list", "--inventory", "lab")[0]
        assert said("invoke", "verify", "last", "--inventory", "lab")[1] == 0
    finally:
        said("invoke", "lab.down")
    assert said("invoke", "lab.status")[1] == 1


def said(*words: str) -> tuple[str, int]:
    program = str(Path(sys.executable).with_name(words[0]))
    ended = subprocess.run(
        [program, *words[1:]], cwd=ROOT, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SESSION_SECONDS,
    )  # fmt: skip
    return ended.stdout, ended.returncode
