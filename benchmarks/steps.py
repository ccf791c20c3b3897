"""Has every contender do the same steps, in turn, several times."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.commands import ROOT, ContenderError, usual_environment
from benchmarks.contender import CONTENDERS
from benchmarks.figures import Row, Scenario, Spread
from benchmarks.order import Order
from benchmarks.site import Site

Say = Callable[[str], None]


@dataclass(slots=True)
class _Series:
    """One contender's figures, repeat by repeat."""

    found: list[dict[str, float]] = field(default_factory=list)

    def spread(self, name: str, factor: float = 1.0) -> Spread:
        """One figure from every repeat."""
        return Spread(tuple(each[name] * factor for each in self.found))


class Steps:
    """Runs the contenders against the site; ``disk`` is where journals and logs are written."""

    def __init__(self, site: Site, disk: Path, say: Say) -> None:
        self._site, self._disk, self._say = site, disk, say

    def warm_up(self, shell: str) -> None:
        """One step of everybody, not counted: what is compiled or cached once is so afterwards."""
        self._say("warming up")
        for name in CONTENDERS:
            self._once(name, shell, Scenario(1, 1))

    def measure(self, shell: str, scenario: Scenario, repeats: int) -> list[Row]:
        """Every contender once in each repeat, so that all meet the same changes of the machine."""
        series = {name: _Series() for name in CONTENDERS}
        for repeat in range(repeats):
            self._say(f"{scenario.title}, {shell}: {repeat + 1} of {repeats}")
            for name in CONTENDERS:
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
            printed = _run(["-m", "benchmarks.contender", order.to_json()], folder)
        finally:
            shutil.rmtree(folder)
        found: dict[str, float] = json.loads(printed)
        return found


def _run(words: Sequence[str], home: Path) -> str:
    """What a Python process prints; its home is its own: no ssh_config and no agent matters."""
    ended = subprocess.run(
        [sys.executable, *words],
        cwd=home,
        env=usual_environment() | {"HOME": str(home), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if ended.returncode:
        said = f"{words[1][:60]} ended with {ended.returncode}. {ended.stdout}"
        raise ContenderError(said.strip())
    return ended.stdout
