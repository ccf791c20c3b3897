"""A controller that loses its terminal or is told to end lets go of the run.

The change on the host goes on to its end, no failure path runs, the log stays In progress, and
``resume`` picks the change up. One runbook for all: its change waits for a gate, which is opened
only after the controller has ended.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.project import ROOT, isolated
from tests.durable.conftest import read_here
from tests.durable.harness import Attempt, Site, begin, opening, perform, prepare
from tests.durable.pty_process import PATIENCE, PtyProcess
from tests.sshd.server import Sshd
from tests.sshd.watching import wait_for

pytestmark = pytest.mark.sshd

IN_DOUBT = 5

GATE = "until [ -e {{ ledger }}.gate ]; do sleep 0.05; done"

RUNBOOK = f"""
title: A change that goes on
hosts: target
inputs: {{ledger: ""}}
works:
  - work: Change
    steps:
      - run: "echo begun >> {{{{ ledger }}}}; {GATE}; echo ended >> {{{{ ledger }}}}"
        on_failure: [{{run: "echo on_failure >> {{{{ ledger }}}}"}}]
        undo: {{automatic: true, steps: [{{run: "echo undo >> {{{{ ledger }}}}"}}]}}
  - work: After
    steps: [{{run: "echo after >> {{{{ ledger }}}}", log: All is done.}}]
rescue: [{{run: "echo rescue >> {{{{ ledger }}}}"}}]
"""


@pytest.fixture
def site(sshd_installed: None, tmp_path: Path) -> Iterator[Site]:
    """A real sshd on this machine."""
    ledgers = tmp_path / "ledgers"
    ledgers.mkdir()
    server = Sshd()
    try:
        server.start()
        yield Site(server.host(), read_here, str(ledgers))
    finally:
        server.stop()


def environment(attempt: Attempt) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT),
        **isolated(attempt.folder / "user"),
    }  # fmt: skip


def on_a_pty(attempt: Attempt, *words: str) -> PtyProcess:
    argv = [sys.executable, "-m", "tastyops", *words]
    return PtyProcess(argv, attempt.folder, environment(attempt))


def without_yes(attempt: Attempt) -> list[str]:
    return [word for word in opening(attempt) if word != "--yes"]


def begun(attempt: Attempt, word: str = "begun") -> None:
    """Waits until a change has written that into the ledger."""
    wait_for(lambda: word in read_here(attempt.ledger).split(), PATIENCE)


def kinds(attempt: Attempt) -> list[str]:
    return [event.kind for event in attempt.events]


def assert_let_go(attempt: Attempt) -> None:
    """The run is open and nothing says that it was stopped or that anything failed."""
    found = kinds(attempt)
    never = {"cancel-asked", "stop-asked", "step-ended", "work-ended", "run-closed", "settled"}
    assert not never & set(found), found
    assert "**Status:** In progress" in attempt.page
    assert perform(attempt, "verify", "last") == 0
    assert read_here(attempt.ledger).split() == ["begun"]


def open_the_gate(attempt: Attempt) -> None:
    Path(f"{attempt.ledger}.gate").touch()


def assert_goes_on(attempt: Attempt, *, before_resume: bool = True) -> None:
    """The change comes to its end by itself, and resume does the rest once."""
    open_the_gate(attempt)
    if before_resume:
        begun(attempt, "ended")
    assert perform(attempt, "resume", "--yes") == 0, attempt.outputs
    assert read_here(attempt.ledger).split() == ["begun", "ended", "after"]
    assert attempt.page.count("(Completed)") == 2
    assert "**Status:** Completed" in attempt.page
    assert perform(attempt, "verify", "last") == 0


# -- signals -----------------------------------------------------------------------------------


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "no terminal"])
@pytest.mark.parametrize(
    "numbers",
    [
        (signal.SIGTERM,),
        (signal.SIGHUP,),
        (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM),
    ],
    ids=lambda numbers: "+".join(each.name for each in numbers),
)
def test_a_signal(
    numbers: tuple[signal.Signals, ...], terminal: bool, site: Site, tmp_path: Path
) -> None:
    attempt = prepare(tmp_path / "run", site, RUNBOOK)
    if terminal:
        with on_a_pty(attempt, *without_yes(attempt)) as on_pty:
            begun(attempt)
            for number in numbers:
                on_pty.process.send_signal(number)
            assert on_pty.ended() == IN_DOUBT, on_pty.seen
            said = on_pty.seen
    else:
        process = begin(attempt, *opening(attempt), before=default_signals)
        begun(attempt)
        for number in numbers:
            process.send_signal(number)
        said, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == IN_DOUBT, said
    assert "was let go" in said
    assert f"invoke resume --run {attempt.run.name}" in said or "tastyops resume" in said
    assert "Traceback" not in said
    assert_let_go(attempt)
    assert_goes_on(attempt)


def default_signals() -> None:
    """A test runner may have been started with them ignored, and a child inherits that."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def test_resume_picks_up_what_still_runs(site: Site, tmp_path: Path) -> None:
    attempt = prepare(tmp_path / "run", site, RUNBOOK)
    process = begin(attempt, *opening(attempt), before=default_signals)
    begun(attempt)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=PATIENCE)
    assert_let_go(attempt)
    resumed = begin(attempt, "resume", "--yes", before=default_signals)
    wait_for(lambda: kinds(attempt).count("connected") == 2, PATIENCE)
    resumed.send_signal(signal.SIGTERM)
    resumed.communicate(timeout=PATIENCE)
    assert resumed.returncode == IN_DOUBT
    assert_let_go(attempt)
    assert_goes_on(attempt, before_resume=False)


def test_cancel_is_what_stops_a_run_from_elsewhere(site: Site, tmp_path: Path) -> None:
    attempt = prepare(tmp_path / "run", site, RUNBOOK)
    process = begin(attempt, *opening(attempt), before=default_signals)
    begun(attempt)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=PATIENCE)
    assert_let_go(attempt)
    assert perform(attempt, "cancel", "last") == 0
    open_the_gate(attempt)
    assert "ended" not in read_here(attempt.ledger).split()
    assert "rescue" in read_here(attempt.ledger).split()
    assert "**Status:** Ended without completion" in attempt.page


# -- terminals that go away ----------------------------------------------------------------------


@pytest.mark.parametrize("yes", [True, False], ids=["--yes", "attended"])
def test_a_closed_terminal(yes: bool, site: Site, tmp_path: Path) -> None:
    attempt = prepare(tmp_path / "run", site, RUNBOOK)
    words = opening(attempt) if yes else without_yes(attempt)
    with on_a_pty(attempt, *words) as terminal:
        begun(attempt)
        terminal.close()
        assert terminal.ended() == IN_DOUBT
    assert_let_go(attempt)
    assert_goes_on(attempt)


def test_a_terminal_closed_above_its_shell(site: Site, tmp_path: Path) -> None:
    """The kernel hangs up the shell and its foreground job, and the shell hangs up its jobs."""
    attempt = prepare(tmp_path / "run", site, RUNBOOK)
    pid = tmp_path / "pid"
    script = " ".join([sys.executable, "-m", "tastyops", *without_yes(attempt)])
    with PtyProcess(
        ["bash", "--norc", "--noprofile", "-i"], attempt.folder, environment(attempt)
    ) as shell:
        shell.type(f"(echo $BASHPID > {pid}; exec {script})\n")
        begun(attempt)
        shell.close()
        shell.ended()
    gone(int(pid.read_text()))
    assert_let_go(attempt)
    assert_goes_on(attempt)


def gone(pid: int) -> None:
    """Waits until the process has ended: no child of ours, and not to be waited for."""

    def look() -> bool:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True
        return stat.rpartition(")")[2].split()[0] == "Z"

    wait_for(look, PATIENCE)
