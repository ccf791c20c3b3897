"""``invoke --list``: in this project, and beside a ``tasks.py`` with an empty collection."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.commands import ROOT, usual_environment
from benchmarks.figures import Spread, Startup

_EMPTY = "from invoke import Collection\n\nns = Collection()\n"


def measure(folder: Path, times: int) -> Startup:
    """So many of each, in turn, after one of each that is not counted."""
    folder.mkdir()
    (folder / "tasks.py").write_text(_EMPTY)
    here, empty = [], []
    for _ in range(times + 1):
        here.append(_milliseconds(ROOT))
        empty.append(_milliseconds(folder))
    return Startup(Spread(tuple(here[1:])), Spread(tuple(empty[1:])))


def _milliseconds(folder: Path) -> float:
    began = time.perf_counter()
    # An empty collection ends with 1: there is nothing to list.
    subprocess.run(
        [sys.executable, "-m", "invoke", "--list"],
        cwd=folder,
        env=usual_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return (time.perf_counter() - began) * 1000
