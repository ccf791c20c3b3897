"""The shell that the failure menu opens, and a command that is silent for long."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tastyops.app import interventions
from tastyops.cli.program import main
from tastyops.journal.events import Body, FellSilent, Noted
from tastyops.journal.state import RunState
from tastyops.records.runs import read_events, run_directories
from tests.core.driving import plan_of
from tests.sshd.server import Sshd
from tests.sshd.test_runs import project as project  # a fixture
from tests.sshd.test_runs import write_runbook

pytestmark = pytest.mark.sshd


def test_its_ssh_reaches_the_host_as_tastyops_does(sshd: Sshd) -> None:
    words = interventions.ssh_words(sshd.host())
    assert words is not None
    ended = subprocess.run(
        [*words[:1], "-F", str(sshd.ssh_config), *words[1:], "echo there; exit 7"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (7, "there\n"), ended.stderr


def test_a_host_whose_key_is_not_known_is_not_reached(sshd: Sshd, tmp_path: Path) -> None:
    host = sshd.host(known_hosts=str(tmp_path / "none"))
    words = interventions.ssh_words(host)
    assert words is not None
    ended = subprocess.run(
        [*words[:1], "-F", str(sshd.ssh_config), *words[1:], "true"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 255
    assert "Host key verification failed" in ended.stderr


def test_that_a_shell_was_opened_is_recorded_privately(
    sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    plan = plan_of("{title: T, hosts: target, works: [{work: W, steps: [{run: it}]}]}", "target")
    plan = replace(plan, hosts=(sshd.host(),))
    told: list[Body] = []
    shells = interventions.Interventions(plan, RunState(), told.append)
    ssh = interventions.ssh_words

    def words(host: object) -> list[str]:
        found = ssh(host)  # type: ignore[arg-type]
        assert found is not None
        return [*found[:1], "-F", str(sshd.ssh_config), *found[1:], "exit 3"]

    monkeypatch.setattr(interventions, "ssh_words", words)
    assert shells.open_shell("target") == ""
    assert shells.open_shell("nobody") == "There is no host nobody."
    notes = [(n.text, n.public) for n in told if isinstance(n, Noted)]
    assert notes == [
        ("A shell was opened on target.", False),
        ("The shell on target was left (status 3).", False),
    ]


def test_a_silent_command_is_spoken_of_once_and_left_alone(project: Path) -> None:
    text = """
    title: Quiet
    hosts: target
    works:
      - work: Wait
        steps:
          - {run: "echo begun; sleep 6; echo ended", quiet: 1s}
          - {run: "for i in 1 2 3 4; do echo $i; sleep 1; done", quiet: 3s}
    """
    assert main(["run", write_runbook(project, text), "--yes"]) == 0
    (run,) = run_directories(project / "runs")
    silent = [event for event in read_events(run) if isinstance(event.body, FellSilent)]
    assert [(event.at.step, event.body) for event in silent] == [("1.1", FellSilent(1.0))]
