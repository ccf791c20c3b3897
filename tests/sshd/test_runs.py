"""Whole runs, from the command line to the log, over a real sshd."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tastyops.cli.program import main
from tastyops.journal.events import Settled, StepEnded
from tastyops.records.runs import read_events, run_directories
from tests.sshd.server import Sshd

pytestmark = pytest.mark.sshd

RUNBOOK = """
title: Three works
hosts: target
works:
  - work: First
    steps:
      - run: echo one
        register: one
        log: The first is done.
  - work: Second
    steps:
      - run: |
          echo "output {{ one.stdout | raw }}"; echo to stderr >&2
          %s
        name: Do the second
  - work: Third
    steps:
      - run: echo three
"""


@pytest.fixture
def project(sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    write_inventory(tmp_path, sshd)
    return tmp_path


def write_inventory(folder: Path, sshd: Sshd) -> None:
    host = sshd.host()
    (folder / "ssh_config").write_text(sshd.ssh_config.read_text())
    (folder / "inventory.yml").write_text(
        f"hosts:\n  target:\n    address: {host.address}\n    port: {host.port}\n    user: {host.user}\n"
        f"    identity_file: {host.identity_file}\n    known_hosts: {host.known_hosts}\n"
        f"    connection: {host.connection}\n    ssh_config: ssh_config\n"
    )


def write_runbook(folder: Path, text: str) -> str:
    (folder / "runbook.yml").write_text(text)
    return "runbook.yml"


def page(folder: Path) -> str:
    (found,) = (folder / "logs").glob("*/*.md")
    return found.read_text()


def test_three_works_completed(project: Path) -> None:
    assert main(["run", write_runbook(project, RUNBOOK % "true"), "--yes"]) == 0
    text = page(project)
    assert text.count("(Completed)") == 3
    assert "Status:** Completed at" in text
    assert "PRACTICE" not in text
    assert main(["verify", "last"]) == 0


def test_the_second_works_step_fails(project: Path) -> None:
    assert main(["run", write_runbook(project, RUNBOOK % "exit 7"), "--yes"]) == 1
    text = page(project)
    assert "First (Completed)" in text
    assert "Second (Not completed: step 2.1 'Do the second' failed)" in text
    assert "Third (Cancelled: step 2.1 'Do the second' failed)" in text
    assert "Ended without completion at" in text
    assert "output" not in text
    assert "stderr" not in text
    (run,) = run_directories(project / "runs")
    bodies = [event.body for event in read_events(run)]
    failed = [body for body in bodies if isinstance(body, Settled)][-1]
    assert failed.result["status"] == 7
    assert failed.result["out"]["head"] == "output one\n"
    assert failed.result["err"]["head"] == "to stderr\n"
    assert [b.outcome for b in bodies if isinstance(b, StepEnded)] == ["done", "failed"]
    assert main(["verify", "last"]) == 0


def test_a_dry_run_changes_nothing_and_takes_no_number(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mark = project / "mark"
    text = f"""
title: T
hosts: target
works:
  - work: W
    steps:
      - run: touch {mark}
      - run: cat /etc/hostname
        reads: true
"""
    assert main(["run", write_runbook(project, text), "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "1.1 run: would run" in out
    assert f"touch {mark}" in out
    assert "1.2 run: would read" in out
    assert not mark.exists()
    assert not (project / "logs").exists()
    assert not (project / "runs").exists()


def test_nothing_of_a_run_is_left_on_the_host(project: Path) -> None:
    assert main(["run", write_runbook(project, RUNBOOK % "true"), "--yes"]) == 0
    (run,) = (project / "runs").iterdir()
    if os.getuid() == 0:  # by its name: others may be at work on this machine
        assert not list(Path("/run/tastyops").glob(f"*{run.name}*"))


def test_the_controllers_death_leaves_the_change_to_end_and_the_log_in_progress(
    own_sshd: Sshd,
    project: Path,
) -> None:
    write_inventory(project, own_sshd)  # whose lock it keeps
    done, go = project / "done", project / "go"
    runbook = write_runbook(
        project,
        'title: T\nhosts: target\nworks: [{work: W, steps: [{run: "'
        f'touch {go}; while [ ! -e {go}2 ]; do sleep 0.05; done; touch {done}"}}]}}]\n',
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "tastyops", "run", runbook, "--yes"],
        cwd=project,
        stdout=subprocess.DEVNULL,
    )
    wait_for(go.exists)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(60)
    Path(f"{go}2").touch()
    wait_for(done.exists)
    assert "**Status:** In progress." in page(project)
    (run,) = run_directories(project / "runs")
    assert list(read_events(run))[-1].kind == "intended"


def test_a_cut_link_is_mended_and_the_outcome_picked_up(own_sshd: Sshd, project: Path) -> None:
    write_inventory(project, own_sshd)
    go, count = project / "go", project / "count"
    runbook = write_runbook(
        project,
        'title: T\nhosts: target\nworks: [{work: W, steps: [{run: "'
        f'echo x >>{count}; echo begun; touch {go}; while [ ! -e {go}2 ]; do sleep 0.05; done; echo ended"}}]}}]\n',
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "tastyops", "run", runbook, "--yes"],
        cwd=project,
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_for(go.exists)
    for pid in own_sshd.connections():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: bool(own_sshd.connections()))
    Path(f"{go}2").touch()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    assert count.read_text() == "x\n"
    assert page(project).count("(Completed)") == 1
    (run,) = run_directories(project / "runs")
    kinds = [event.kind for event in read_events(run)]
    assert "disconnected" in kinds
    settled = [e.body for e in read_events(run) if isinstance(e.body, Settled)]
    assert settled[-1].result["out"]["head"] == "begun\nended\n"


def wait_for(condition: object, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)
