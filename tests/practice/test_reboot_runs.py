"""Ways a reboot can go that only the practice host's own server can show, as whole runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tastyops.cli.program import main
from tastyops.practice.clock import PracticeClock
from tests.cli.project import Project, isolated

FAST = 240.0
"""Practice seconds in a real one: four times the usual."""

RUNBOOK = """\
title: A reboot
kind: at risk
hosts: kalimdor
works: [{work: Reboot, steps: [{reboot: {grace: 60s}}]}]
"""

WAYS = {
    "other_host_key_after_boot: true": (4, "offered another key than the one on record"),
    "only_link_cut: true": (1, "the link was cut, but the host did not go down"),
    "restarts_while_starting: 9": (1, "not back: a boot loop; it restarted"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_way_it_can_go(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = Project.make(tmp_path / "project")
    for variable, value in isolated(tmp_path).items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(project.path)
    monkeypatch.setattr(PracticeClock.__init__, "__defaults__", (FAST,))
    inventory = project.path / "inventory.yml"
    text = inventory.read_text("utf-8")
    plain = "kalimdor: {connection: practice}"
    assert plain in text
    faulty = f"kalimdor: {{connection: practice, vars: {{practice: {{{way}}}}}}}"
    inventory.write_text(text.replace(plain, faulty), "utf-8")
    (project.path / "reboot.yml").write_text(RUNBOOK, "utf-8")
    code = main(["run", "reboot.yml", "--yes"])
    out, err = capsys.readouterr()
    expected, said = WAYS[way]
    assert said in " ".join((out + err).split()), out + err
    assert code == expected
    assert "Machine rebooted successfully" not in project.page()
    assert "Ended without completion" in project.page()
