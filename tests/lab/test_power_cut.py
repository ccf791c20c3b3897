"""A power cut in the middle of a run: noticed, reported, switched on over IPMI, resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from datetime import datetime
from pathlib import Path

import pexpect
import pytest

from tastyops.lab import faults, lifecycle
from tests.lab.machine import SESSION_SECONDS, Lab, read_along, until

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(SESSION_SECONDS)]

NOTICED_SECONDS = 30.0
"""What is promised (docs/promises.md), and not a guess of how long it takes."""

RUNBOOK = """\
title: Kernel installation with a power cut
kind: at risk
hosts: kalimdor
works:
  - work: Before
    steps: [{run: "echo before >>/home/ops/ledger; sync", sudo: false}]
  - work: Install the kernel
    steps: [{kernel.install: linux-image-amd64}]
  - work: After
    steps: [{run: "echo after >>/home/ops/ledger; sync", sudo: false}, {services.verify: }]
"""
RAMDISK = "ls -d /var/tmp/mkinitramfs_* >/dev/null 2>&1 && echo so || true"
"""Whether the new kernel's initial ramdisk is being made: in the middle of its installation."""


def cut_power(lab: Lab) -> float:
    """Cuts the power as the mains do: nobody says goodbye. Gives the moment.

    Ended at once, QEMU would have the controller's connection closed; so it is stopped first,
    and ended when the silence was noticed.
    """
    machine = lab.record().qemu
    assert machine is not None
    os.kill(machine.pid, signal.SIGSTOP)
    return time.time()


def events(lab: Lab, kind: str) -> list[dict[str, object]]:
    newest = max((lab.folder / "state/tastyops/lab/runs").glob("*/journal.jsonl"))
    lines = [json.loads(line) for line in newest.read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def test_noticed_within_30_seconds_said_so_and_recovered(pristine: Lab, tmp_path: Path) -> None:
    """In the middle of a kernel's installation; the operator tries again, and nothing is twice."""
    newest = pristine.made.golden.kernels["newest"]
    assert pristine.host.power
    (tmp_path / "cut.yml").write_text(RUNBOOK)
    words = ("run", str(tmp_path / "cut.yml"), "--inventory", "lab")
    with pristine.on_a_terminal(tmp_path / "screen.txt", *words) as screen:
        screen.expect("Install the kernel")
        until(
            lambda: read_along(screen) and pristine.guest.run(RAMDISK) == "so\n",
            600, "the ramdisk is being made",
        )  # fmt: skip
        at = cut_power(pristine)
        until(
            lambda: read_along(screen) and events(pristine, "disconnected") != [],
            120, "the cut is noticed",
        )  # fmt: skip
        faults.inject(pristine.record(), "power")
        screen.expect("Step 2.1 .kernel.install. is in doubt")
        screen.expect("What now")
        subprocess.run(pristine.host.power.commands["on"], check=True, timeout=120)
        pristine.guest.wait(lifecycle.BOOT_SECONDS)
        screen.sendline("n")
        screen.expect("Note for the log")
        screen.sendline("The power had failed, and was switched on again over IPMI.")
        screen.expect("What now")
        screen.sendline("r")
        assert screen.expect([pexpect.EOF, "What now"], timeout=1500) == 0, screen.before
        screen.wait()
    assert screen.exitstatus == 0, (tmp_path / "screen.txt").read_text()
    noticed = datetime.fromisoformat(str(events(pristine, "disconnected")[0]["happened_at"]))
    assert 0 < noticed.timestamp() - at <= NOTICED_SECONDS
    assert pristine.guest.run("cat /home/ops/ledger") == "before\nafter\n"
    status = f"dpkg-query --show --showformat='${{Status}}' linux-image-{newest}"
    assert pristine.guest.run(status) == "install ok installed"
    pages = (pristine.folder / "state/tastyops/lab/logs").glob("*/*-power-cut.md")
    (page,) = [page.read_text() for page in pages]
    entries = (
        "is in doubt: what became of it is not known.",
        "The power had failed, and was switched on again over IPMI.",
        "Step 2.1 (kernel.install) is tried again.",
        f"Kernel {newest} installed; the next boot starts it.",
        "Services verified as running normally.",
    )
    assert [page.count(entry) for entry in entries] == [1] * len(entries), page
    assert "**Status:** Completed at" in page
