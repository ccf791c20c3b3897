"""Has every contender do the same steps, in turn, several times."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.contender import CONTENDERS
from benchmarks.figures import COMMAND_CHANGE, COMMAND_PROBE, Row, Scenario, Spread
from benchmarks.order import Order, inventory, runbook
from benchmarks.site import Site

ROOT = Path(__file__).resolve().parent.parent
_COMMAND = "from tastyops.cli.program import console_script; console_script()"

Say = Callable[[str], None]


class ContenderError(Exception):
    """A contender did not do its steps; it said why on standard error."""


@dataclass(frozen=True, slots=True)
class _Ended:
    """A contender's process: what it printed, and the seconds it took."""

    printed: str
    wall: float
    cpu: float


@dataclass(slots=True)
class _Series:
    """One contender's figures, repeat by repeat."""

    found: list[dict[str, float]] = field(default_factory=list)

    def spread(self, name: str, factor: float = 1.0) -> Spread | None:
        """One figure from every repeat; None if it was not measured."""
        if any(name not in each for each in self.found):
            return None
        return Spread(tuple(each[name] * factor for each in self.found))


class Steps:
    """Runs the contenders against the site; ``disk`` is where journals and logs are written."""

    def __init__(self, site: Site, disk: Path, say: Say) -> None:
        self._site, self._disk, self._say = site, disk, say

    def warm_up(self, shell: str) -> None:
        """One step of everybody, not counted: what is compiled or cached once is so afterwards."""
        self._say("warming up")
        for name in (*CONTENDERS, COMMAND_PROBE, COMMAND_CHANGE):
            self._once(name, shell, Scenario(1, 1))

    def measure(self, shell: str, scenario: Scenario, repeats: int) -> list[Row]:
        """Every contender once in each repeat, so that all meet the same changes of the machine."""
        names = [*CONTENDERS, COMMAND_PROBE, COMMAND_CHANGE]
        series = {name: _Series() for name in names}
        for repeat in range(repeats):
            self._say(f"{scenario.title}, {shell}: {repeat + 1} of {repeats}")
            for name in names:
                series[name].found.append(self._once(name, shell, scenario))
        each = 1000 / (scenario.hosts * scenario.steps)
        return [
            Row(
                shell,
                scenario,
                name,
                one.spread("wall", each),
                one.spread("cpu", each),
                one.spread("peak"),
                _present(one.spread("whole")),
                _present(one.spread("whole_cpu")),
            )
            for name, one in series.items()
        ]

    def _once(self, contender: str, shell: str, scenario: Scenario) -> dict[str, float]:
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=self._disk))
        try:
            order = Order(
                contender,
                self._site.targets(shell, scenario.hosts),
                scenario.steps,
                str(self._site.server.folder / "known_hosts"),
                str(self._site.server.ssh_config),
                str(folder),
                str(self._site.sockets),
            )
            if contender in CONTENDERS:
                ended = _run(["-m", "benchmarks.contender", order.to_json()], folder)
                found: dict[str, float] = json.loads(ended.printed)
            else:
                ended = _run(_command(order), folder)
                found = {}
        finally:
            shutil.rmtree(folder)
        return {"whole": ended.wall, "whole_cpu": ended.cpu} | found


def _command(order: Order) -> Sequence[str]:
    """``tastyops run`` of the same steps, one more as everywhere."""
    folder = Path(order.folder)
    (folder / "inventory.yml").write_text(inventory(order))
    text = runbook(order.steps + 1, reads=order.contender == COMMAND_PROBE)
    (folder / "bench.yml").write_text(text)
    return [
        "-c",
        _COMMAND,
        "run",
        str(folder / "bench.yml"),
        "--inventory",
        str(folder / "inventory.yml"),
        "--yes",
    ]


def _run(words: Sequence[str], home: Path) -> _Ended:
    """A Python process with a home of its own, so that nobody's ssh_config or agent matters."""
    environment = usual_environment() | {"HOME": str(home), "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, *words],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        printed = child.stdout.read() if child.stdout else ""
        _, status, used = os.wait4(child.pid, 0)
    except BaseException:
        child.kill()
        child.wait()
        raise
    child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    if child.returncode:
        raise ContenderError(f"{words[1][:60]} ended with {child.returncode}. {printed}".strip())
    return _Ended(printed, wall, used.ru_utime + used.ru_stime)


def usual_environment() -> dict[str, str]:
    """This process's, without an agent, and with compiled modules kept as they usually are."""
    unusual = ("SSH_AUTH_SOCK", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if name not in unusual}


def _present(figure: Spread | None) -> Spread:
    if figure is None:
        raise ValueError("every contender is measured whole")
    return figure
