"""One lab machine for a whole test session, beside any the user runs: own state, shared cache."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest

from tastyops.errors import TastyopsError
from tastyops.lab import golden, lifecycle, needs, record
from tastyops.lab import inventory as known
from tastyops.lab.record import Guest, Record
from tastyops.model.inventory import Host
from tastyops.runbook.inventory_file import read_inventory
from tests.missing import missing

SESSION_SECONDS = 2400
"""Until a session's first lab test must have ended: it may have to build the machine."""

ROOT = Path(__file__).parents[2]


@dataclass
class Lab:
    """The running machine, and tastyops' own programs pointed at it."""

    folder: Path
    made: Record

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "NO_COLOR": "1", **places(self.folder)}

    @property
    def guest(self) -> Guest:
        return self.made.guest

    @property
    def inventory(self) -> Path:
        return self.folder / "config/tastyops/inventories/lab.yml"

    @property
    def host(self) -> Host:
        text = self.inventory.read_bytes()
        return read_inventory(text, str(self.inventory)).hosts["kalimdor"]

    def reset(self, *, cold: bool = False) -> None:
        """A pristine machine."""
        self.made = lifecycle.reset(_quiet, cold=cold)
        known.write(self.made, self.inventory.parent)

    def tastyops(
        self, *words: str, timeout: float = 600, program: str = "tastyops"
    ) -> subprocess.CompletedProcess[str]:
        """A verb, as an operator would say it; a program that hangs fails the test."""
        return subprocess.run(
            [str(Path(sys.executable).with_name(program)), *words], cwd=ROOT, text=True,
            env=self.environment, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL,
        )

    def run(self, runbook: Path, *words: str, timeout: float = 600) -> str:
        """Runs a runbook; gives what it said, its exit code in the last line."""
        ended = self.tastyops(
            "run", str(runbook), "--inventory", "lab", "--yes", *words, timeout=timeout
        )
        return f"{ended.stdout}{ended.stderr}\nexit {ended.returncode}"

    @contextmanager
    def on_a_terminal(self, screen: Path, *words: str) -> Iterator[pexpect.spawn[str]]:
        """A verb of tastyops on a terminal of its own; all it shows is kept in ``screen``."""
        with screen.open("w") as shown:
            child = pexpect.spawn(
                str(Path(sys.executable).with_name("tastyops")), list(words), cwd=str(ROOT),
                env=self.environment, timeout=600, encoding="utf-8", dimensions=(50, 200),
            )  # fmt: skip
            child.logfile_read = shown
            try:
                yield child
            finally:
                if child.isalive():
                    child.kill(signal.SIGKILL)
                child.close()

    def record(self) -> Record:
        found = record.read()
        assert found
        return found


def _quiet(_: str) -> None:
    """Nobody reads along."""


def places(folder: Path) -> dict[str, str]:
    return {
        "XDG_STATE_HOME": str(folder / "state"), "XDG_CONFIG_HOME": str(folder / "config")
    }


@functools.cache
def shared(folder: Path) -> Lab:
    """The session's machine. pytest gives each conftest a fixture of its own; this is one."""
    os.environ.update(places(folder))
    try:
        install = os.environ.get("CI") == "true"
        building = not golden.expected().complete
        needs.ensure_installed(_quiet, record.writable() / "needs.log", building=building, install=install)
        made = lifecycle.up(_quiet)
    except TastyopsError as error:
        why = "\n".join(error.lines())
        missing(f"the lab cannot run here: {why}")
    lab = Lab(folder, made)
    known.write(made, lab.inventory.parent)
    return lab


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The session's lab; it is ended with the session."""
    kept = {name: os.environ.get(name) for name in places(Path())}
    yield shared(tmp_path_factory.getbasetemp() / "lab")
    found = record.read()
    if found is not None:
        lifecycle.down(_quiet)
    for name, value in kept.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


def read_along(screen: pexpect.spawn[str]) -> bool:
    """Reads what a program shows, so that it can go on; True, for use in a condition."""
    screen.expect([pexpect.TIMEOUT, pexpect.EOF], timeout=0.1)
    return True


def until(so: Callable[[], bool], seconds: float, what: str) -> None:
    """Waits until something is so."""
    due = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < due, f"not within {seconds:g} seconds: {what}"
        time.sleep(0.5)
