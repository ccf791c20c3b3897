"""A controller killed while the real machine reboots: another shell resumes, with one true log."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.machine import ROOT, SESSION_SECONDS, Lab, until

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(SESSION_SECONDS)]

RUNBOOK = """\
title: Reboot with a dying controller
kind: at risk
hosts: kalimdor
works:
  - work: Before
    steps: [{run: "echo before >>/root/ledger; sync", sudo: true}]
  - work: Reboot
    steps: [{reboot: {grace: 10s}}]
  - work: After
    steps: [{run: "echo after >>/root/ledger; sync", sudo: true}]
"""


def journals(lab: Lab) -> str:
    """Every journal there is; none before the first run."""
    runs = (lab.folder / "state/tastyops/lab/runs").glob("*/journal.jsonl")
    return "".join(path.read_text() for path in sorted(runs))


def test_a_controller_killed_while_the_machine_is_down(pristine: Lab, tmp_path: Path) -> None:
    (tmp_path / "reboot.yml").write_text(RUNBOOK)
    program = str(Path(sys.executable).with_name("tastyops"))
    boot_id = pristine.guest.run("cat /proc/sys/kernel/random/boot_id")
    run = subprocess.Popen(
        [program, "run", str(tmp_path / "reboot.yml"), "--inventory", "lab", "--yes"],
        cwd=ROOT, env=pristine.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: '"how":"offline"' in journals(pristine), 300, "the machine is down")
    finally:
        run.kill()
        run.wait()
    resumed = subprocess.run(
        [program, "resume", "--inventory", "lab", "--yes"],
        cwd=ROOT, env=pristine.environment, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=900, check=False,
    )  # fmt: skip
    said = resumed.stdout + resumed.stderr
    assert "Traceback" not in said
    assert resumed.returncode == 0, said
    assert pristine.guest.run("cat /proc/sys/kernel/random/boot_id") != boot_id
    assert pristine.guest.run("sudo cat /root/ledger") == "before\nafter\n"
    pages = (pristine.folder / "state/tastyops/lab/logs").glob("*/*-dying-controller.md")
    (page,) = [page.read_text() for page in pages]
    assert "**Status:** Completed at" in page
    assert page.count("Reboot ordered; the machine goes down in") == 1
    assert page.count("Machine rebooted successfully") == 1
