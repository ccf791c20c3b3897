"""A change on a real machine whose cable is pulled, or whose power is cut, in the middle."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tastyops.lab import lifecycle
from tastyops.lab.qmp import Qmp
from tests.lab.machine import ROOT, SESSION_SECONDS, Lab, until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(SESSION_SECONDS)]

CHANGE = "echo once >>/home/ops/begun; sync; until [ -e /home/ops/go ]; do sleep 1; done; echo done"
RUNBOOK = f"""\
title: Cut in the middle
kind: at risk
hosts: kalimdor
works: [{{work: Change something, steps: [{{run: "{CHANGE}", sudo: false}}]}}]
"""


@contextmanager
def begun(lab: Lab, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A run whose one change has begun on the host and waits there for ``go``."""
    (folder / "cut.yml").write_text(RUNBOOK)
    run = subprocess.Popen(
        [str(Path(sys.executable).with_name("tastyops")), "run", str(folder / "cut.yml"),
         "--inventory", "lab", "--yes"],
        cwd=ROOT, env=lab.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        until(lambda: there(lab, "/home/ops/begun"), 120, "the change has begun")
        yield run
    finally:
        run.kill()
        run.wait()


def there(lab: Lab, path: str) -> bool:
    return lab.guest.run(f"test -e {path} && echo so || true") == "so\n"


def ends(run: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = run.communicate(timeout=600)
    assert "Traceback" not in said
    return run.returncode, said


def journal(lab: Lab) -> str:
    newest = max((lab.folder / "state/tastyops/lab/runs").glob("*/journal.jsonl"))
    return newest.read_text()


def test_a_pulled_cable_that_is_put_back(pristine: Lab, tmp_path: Path) -> None:
    """Noticed, come back from, and the outcome picked up: the change is not sent again."""
    with begun(pristine, tmp_path) as run:
        assert pristine.tastyops("lab.break", "network").returncode == 0
        until(lambda: '"kind":"disconnected"' in journal(pristine), 120, "the cut is noticed")
        with Qmp(pristine.made.machine.qmp) as qmp:
            qmp.ask("set_link", name="net0", up=True)
        pristine.guest.wait(120)
        pristine.guest.run("touch /home/ops/go")
        code, said = ends(run)
    assert code == 0, said
    assert pristine.guest.run("cat /home/ops/begun") == "once\n"


@pytest.mark.long
def test_a_power_cut(pristine: Lab, tmp_path: Path) -> None:
    """Nobody can say what became of the change; so it is in doubt, and not sent again."""
    assert pristine.host.power
    with begun(pristine, tmp_path) as run:
        assert pristine.tastyops("lab.break", "power").returncode == 0
        subprocess.run(pristine.host.power.commands["on"], check=True, timeout=120)
        pristine.guest.wait(lifecycle.BOOT_SECONDS)
        code, said = ends(run)
    assert code == 5, said
    assert pristine.guest.run("cat /home/ops/begun") == "once\n"
