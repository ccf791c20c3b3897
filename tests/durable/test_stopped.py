"""A controller that is stopped in mid-step (SIGSTOP, a laptop's lid) and continues later."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tastyops.journal.events import StepEnded
from tastyops.practice.server import PracticeHost
from tests.durable.harness import Attempt, Site, begin, finish, opening, perform, prepare
from tests.durable.hasty import STOPPED
from tests.sshd.watching import wait_for

pytestmark = pytest.mark.sshd

RUNBOOK = """
title: A lid is closed
hosts: target
inputs: {ledger: ""}
works:
  - work: First
    steps:
      - run: "sleep 2; echo 1.1 >> {{ ledger }}"
      - run: "sleep LONG; echo 1.2 >> {{ ledger }}"
      - {run: "sleep 2; cat {{ ledger }}", reads: true, register: seen}
      - {run: "echo 1.4 >> {{ ledger }}", log: All is done.}
""".replace("LONG", str(STOPPED + 3))
"""The first and the third end while nobody looks, the second is still running then."""

HASTY = ("tests.durable.hasty",)


@contextmanager
def stopped(process: subprocess.Popen[str]) -> Iterator[None]:
    """It does nothing for longer than a link may be silent."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
        time.sleep(STOPPED)  # it is the time itself that is to pass
    finally:
        process.send_signal(signal.SIGCONT)


def steps(attempt: Attempt, kind: str) -> Callable[[], list[str]]:
    """The steps of which the journal has such an event so far."""

    def found() -> list[str]:
        journals = list(attempt.folder.glob("**/runs/*/journal.jsonl"))
        lines = journals[0].read_bytes().splitlines(keepends=True) if journals else []
        return [line.decode() for line in lines if f'"kind":"{kind}"'.encode() in line]

    return found


@pytest.mark.parametrize("where", ["practice_hosts", "real_sshds"])
def test_stopped_in_mid_step(where: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    site: Site = request.getfixturevalue(where)[0]
    attempt = prepare(tmp_path / "stopped", site, RUNBOOK)
    process = begin(attempt, *opening(attempt), module=HASTY)
    intended, started = steps(attempt, "intended"), steps(attempt, "step-started")
    for step in range(2):
        wait_for(lambda step=step: len(intended()) > step, 60)
        with stopped(process):
            pass
    wait_for(lambda: len(started()) > 2, 60)
    with stopped(process):
        pass
    assert finish(attempt, process) == 0, attempt.outputs
    assert site.read(attempt.ledger).split() == ["1.1", "1.2", "1.4"]
    assert [e.body.outcome for e in attempt.events if isinstance(e.body, StepEnded)] == ["done"] * 4
    assert not steps(attempt, "disconnected")(), "the host answered all the while"
    assert "First (Completed)" in attempt.page
    assert perform(attempt, "verify", "last") == 0


REBOOT = """
title: A lid is closed while the host reboots
hosts: target
inputs: {ledger: ""}
works:
  - work: Before
    steps: [{run: "echo before >> {{ ledger }}"}]
  - work: Reboot
    steps: [{reboot: {grace: 2s}}]
  - work: After
    steps: [{run: "echo after >> {{ ledger }}"}]
"""


@pytest.fixture
def rebooting() -> Iterator[tuple[PracticeHost, Site]]:
    """A practice host in real time: a clock that ran ahead would be worse than before."""
    with PracticeHost.start("target", scale=1.0) as practice:

        def read(path: str) -> str:
            return practice.machine.execute(["cat", path]).out.decode()

        yield practice, Site(practice.host, read, "/root", practice=True)


@pytest.mark.long
@pytest.mark.parametrize("end", ["goes on", "is killed"])
def test_stopped_while_the_host_reboots(
    end: str, rebooting: tuple[PracticeHost, Site], tmp_path: Path
) -> None:
    practice, site = rebooting
    attempt = prepare(tmp_path / "reboot", site, REBOOT)
    boot = practice.machine.boot.id
    process = begin(attempt, *opening(attempt), module=HASTY)
    wait_for(lambda: not practice.machine.power.up, 90)
    with stopped(process):
        wait_for(lambda: practice.machine.power.up, 90)
    if end == "goes on":
        assert finish(attempt, process) == 0, attempt.outputs
    else:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert perform(attempt, "resume", "--yes") == 0, attempt.outputs
    assert practice.machine.boot.id != boot
    assert site.read(attempt.ledger).split() == ["before", "after"]
    assert attempt.page.count("(Completed)") == 3
    assert attempt.page.count("Machine rebooted successfully") == 1
    assert perform(attempt, "verify", "last") == 0
