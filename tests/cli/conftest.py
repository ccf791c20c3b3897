"""A project for every test: nothing of the user's is read, and nothing outside is touched."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tastyops.cli.program import main
from tastyops.practice.clock import PracticeClock
from tastyops.practice.server import PracticeHost
from tests.cli.project import Project, isolated

FAST = (240.0,)
"""Practice seconds in a real one, in this process: four times the usual."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a verb ended and what it wrote."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The shipped inventory and runbook in an empty directory, which is the working directory."""
    made = Project.make(tmp_path / "project")
    for name, value in isolated(tmp_path).items():
        monkeypatch.setenv(name, value)
    for name in ("INVOKE_RUN_DRY", "SSH_AUTH_SOCK", "SUDO_USER", "TASTYOPS_SUDO_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(made.path)
    return made


@pytest.fixture
def run(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    """Runs a verb in this process, in fast practice time."""
    monkeypatch.setattr(PracticeClock.__init__, "__defaults__", FAST)

    def perform(*words: str, **how: Any) -> Result:
        capsys.readouterr()
        code = main(words, **how)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Result(code, out, err)

    return perform


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails the test if a host was dialled, or a practice host started."""
    touched: list[str] = []

    def refuse(*_: object, **__: object) -> NoReturn:
        touched.append("a host was touched")
        raise OSError("a host was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(PracticeHost, "start", refuse)
    yield
    assert not touched


@pytest.fixture
def practised(monkeypatch: pytest.MonkeyPatch) -> list[PracticeHost]:
    """Every practice host that a verb starts; their models can still be looked at afterwards."""
    started: list[PracticeHost] = []
    start = PracticeHost.start

    def begin(name: str, **how: Any) -> PracticeHost:
        started.append(start(name, **how))
        return started[-1]

    monkeypatch.setattr(PracticeHost, "start", begin)
    return started


@pytest.fixture(scope="session")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project whose kernel upgrade was run for real, once, by `invoke` in a process of its own."""
    place = tmp_path_factory.mktemp("upgraded")
    made = Project.make(place / "project")
    made.first = made.invoke("run", "runbooks/kernel-upgrade.yml", "--yes")
    yield made
    shutil.rmtree(place)


