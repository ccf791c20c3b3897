"""A project directory, and the program in processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0
"""Seconds any of these processes may take; they take a fraction of it."""

TASKS = "from tastyops.cli.invocation import collection\n\nns = collection()\n"

_STARTERS = {
    "invoke": [sys.executable, "-m", "invoke"],
    "tastyops": [
        sys.executable, "-c",
        "from tastyops.__main__ import run; run()",
    ],
}


def isolated(home: Path) -> dict[str, str]:
    """The environment in which nothing of the user's is found."""
    places = {
        "HOME": home / "home", "XDG_CONFIG_HOME": home / "config", "XDG_RUNTIME_DIR": home / "run",
        "TMPDIR": home / "tmp",
    }
    for place in places.values():
        place.mkdir(parents=True, exist_ok=True)
    return {name: str(place) for name, place in places.items()}


def wait_for(ready: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Waits until ``ready`` gives something; fails loudly when it never does."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = ready()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"in vain for {patience:g} s: {what}")


@dataclass(frozen=True, slots=True)
class Finished:
    """A process that has ended."""

    code: int
    out: str
    err: str


@dataclass
class Project:
    """A directory with an inventory, a runbook and Invoke's tasks.py."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict)
    first: Finished | None = None

    @classmethod
    def make(cls, path: Path) -> Project:
        path.mkdir(parents=True)
        (path / "tasks.py").write_text(TASKS)
        shutil.copy(ROOT / "inventory.yml", path)
        shutil.copytree(ROOT / "runbooks", path / "runbooks")
        kept = ("PATH", "LANG", "LC_ALL", "CI")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        environment |= {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        return cls(path, environment | isolated(path.parent))

    def write(self, name: str, text: str | bytes) -> str:
        """A file; text is dedented."""
        data = text if isinstance(text, bytes) else textwrap.dedent(text).encode()
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_bytes(data)
        return name

    def runbook(self, *steps: str, name: str = "book.yml", hosts: str = "kalimdor") -> str:
        """A runbook of one work with these steps, each a line of YAML."""
        lines = "".join(f"      - {step}\n" for step in steps)
        head = f"title: A test\nhosts: {hosts}\nworks:\n  - work: The work\n    steps:\n"
        return self.write(name, (head + lines).encode())

    # -- what a run left behind -----------------------------------------------------------------

    def runs(self) -> list[Path]:
        """Every run's directory."""
        place = self.path / "practice" / "runs"
        return sorted(place.glob("[!.]*")) if place.is_dir() else []

    def events(self, run: Path | None = None) -> list[dict[str, Any]]:
        """The events of a run, the last one's unless another is given; whole lines only."""
        directory = run or self.runs()[-1]
        lines = (directory / "journal.jsonl").read_bytes().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith(b"\n")]

    def kinds(self) -> list[str]:
        """The kinds of the only run's events; none while there is no run."""
        try:
            return [event["kind"] for event in self.events()]
        except (IndexError, FileNotFoundError):
            return []

    def pages(self) -> list[Path]:
        """Every log's page."""
        return sorted((self.path / "practice" / "logs").glob("*/*.md"))

    def page(self) -> str:
        """The last log's page."""
        return self.pages()[-1].read_text("utf-8")

    def left_nothing(self) -> bool:
        """Whether there is neither a run nor a log, nor a number taken."""
        return not self.runs() and not list((self.path / "practice").rglob("*"))

    # -- processes ------------------------------------------------------------------------------

    def start(
        self, program: str, *words: str, before: Callable[[], object] | None = None,
        **environment: str,
    ) -> subprocess.Popen[str]:
        """Starts `invoke` or `tastyops` without a terminal, in a session of its own."""

        def begin() -> None:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)  # pytest may run where they are ignored
            if before is not None:
                before()

        return subprocess.Popen(
            [*_STARTERS[program], *words], cwd=self.path, env={**self.environment, **environment},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            encoding="utf-8", start_new_session=True, preexec_fn=begin,
        )

    def invoke(self, *words: str, **environment: str) -> Finished:
        """`invoke …` to its end."""
        return finish(self.start("invoke", *words, **environment))

    def tastyops(self, *words: str, **environment: str) -> Finished:
        """`tastyops …` to its end."""
        return finish(self.start("tastyops", *words, **environment))


def finish(process: subprocess.Popen[str]) -> Finished:
    """Waits for its end; one that does not end is killed, and the test fails."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"it did not end; it wrote {out!r} and {err!r}") from None
    assert "Traceback" not in out + err
    return Finished(process.returncode, out, err)


def send(process: subprocess.Popen[str], *signals: signal.Signals) -> None:
    """Signals, to that process alone."""
    for each in signals:
        process.send_signal(each)


