"""A controller that loses its terminal or is told to end lets go of the run.

The change on the host goes on to its end, no failure path runs, the log stays In progress, and
``resume`` picks the change up. One runbook for all: its change waits for a gate, which is opened
only after the controller has ended.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tastyops.journal.events import Settled
from tests.cli.project import ROOT, isolated
from tests.cli.test_real_terminal import NO_TMUX
from tests.durable.conftest import read_here
from tests.durable.harness import Attempt, Site, begin, opening, perform, prepare
from tests.durable.pty_process import PATIENCE, PtyProcess
from tests.durable.test_stopped import REBOOT
from tests.missing import missing
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
        for ledger in list(ledgers.iterdir()):  # whatever became of the test, its change ends
            Path(f"{ledger}.gate").touch()


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


@pytest.mark.parametrize("asks", [False, True], ids=["in mid-change", "at a question"])
def test_disowned_before_its_terminal_goes(asks: bool, site: Site, tmp_path: Path) -> None:
    """No signal comes: the run goes on, and lets go at the first question it cannot ask."""
    runbook = RUNBOOK.replace("steps: [{run: \"echo after", "steps: [{confirm: Go on?}, {run: \"echo after")
    attempt = prepare(tmp_path / "run", site, runbook if asks else RUNBOOK)
    pid = tmp_path / "pid"
    script = " ".join([sys.executable, "-m", "tastyops", *without_yes(attempt)])
    with PtyProcess(
        ["bash", "--norc", "--noprofile", "-i"], attempt.folder, environment(attempt)
    ) as shell:
        shell.type(f"{script} & echo $! > {pid}; disown\n")
        begun(attempt)
        shell.type("exit\n")
        shell.ended()
        shell.close()
    assert not kinds(attempt).count("run-closed")
    assert Path(f"/proc/{pid.read_text().strip()}").exists(), "no signal came, so it goes on"
    open_the_gate(attempt)
    gone(int(pid.read_text()))
    if asks:
        assert kinds(attempt)[-1] == "asked"
        assert "**Status:** In progress" in attempt.page
        assert perform(attempt, "resume", "--yes") == 0, attempt.outputs
    assert read_here(attempt.ledger).split() == ["begun", "ended", "after"]
    assert "**Status:** Completed" in attempt.page


def test_suspended_before_its_terminal_goes(site: Site, tmp_path: Path) -> None:
    """Stopped by Ctrl-Z: the kernel sends SIGHUP and SIGCONT to a stopped group left alone."""
    attempt = prepare(tmp_path / "run", site, RUNBOOK)
    pid = tmp_path / "pid"
    script = " ".join([sys.executable, "-m", "tastyops", *without_yes(attempt)])
    with PtyProcess(
        ["bash", "--norc", "--noprofile", "-i"], attempt.folder, environment(attempt)
    ) as shell:
        shell.type(f"(echo $BASHPID > {pid}; exec {script})\n")
        begun(attempt)
        shell.type("\x1a")
        state = Path(f"/proc/{pid.read_text().strip()}/stat")
        wait_for(lambda: state.read_text().rpartition(")")[2].split()[0] == "T", PATIENCE)
        shell.close()
        shell.ended()
    gone(int(pid.read_text()))
    assert_let_go(attempt)
    assert_goes_on(attempt)


def test_a_terminal_whose_output_was_stopped(site: Site, tmp_path: Path) -> None:
    """Ctrl-S blocks each write to the terminal, so the run cannot let go: it ends all the same."""
    attempt = prepare(tmp_path / "run", site, RUNBOOK)
    program = ("import sys; from tastyops.app import signals; from tastyops.cli import program; signals.LONGEST_RELEASE = 2.0; "
               "sys.exit(program.main(sys.argv[1:]))")  # fmt: skip
    argv = [sys.executable, "-c", program, *without_yes(attempt)]
    with PtyProcess(argv, attempt.folder, environment(attempt)) as terminal:
        begun(attempt)
        terminal.type("\x13")
        terminal.process.terminate()
        assert terminal.ended() == IN_DOUBT, terminal.seen
    assert_let_go(attempt)
    assert_goes_on(attempt)


def test_while_it_waits_for_its_at_risk_period(site: Site, tmp_path: Path) -> None:
    hour = datetime.now(UTC) + timedelta(hours=2)
    window = f'window: {{from: "{hour:%H:%M}", for: 1h}}\n'
    attempt = prepare(tmp_path / "run", site, window + RUNBOOK)
    process = begin(attempt, *opening(attempt), before=default_signals)
    wait_for(lambda: "window-set" in _kinds(attempt), PATIENCE)
    process.send_signal(signal.SIGHUP)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == IN_DOUBT, said
    assert set(kinds(attempt)) == {"run-opened", "window-set"}
    assert "**Status:** In progress" in attempt.page


def test_a_killed_tmux_server(site: Site, tmp_path: Path) -> None:
    if shutil.which("tmux") is None:
        missing(NO_TMUX)
    attempt = prepare(tmp_path / "run", site, RUNBOOK)
    pid = tmp_path / "pid"
    script = " ".join([sys.executable, "-m", "tastyops", *without_yes(attempt)])
    tmux = ["tmux", "-S", str(tmp_path / "t"), "-f", "/dev/null"]
    shell = ["env", "-i", *(f"{k}={v}" for k, v in environment(attempt).items()), "TERM=screen"]
    subprocess.run(
        [*tmux, "new-session", "-d", "-x", "90", "-y", "24", "-c", str(attempt.folder), *shell,
         "bash", "--norc", "--noprofile", "-c", f"echo $$ > {pid}; exec {script}"],
        check=True, timeout=PATIENCE, env={**environment(attempt), "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    begun(attempt)
    subprocess.run([*tmux, "kill-server"], check=True, timeout=PATIENCE)
    gone(int(pid.read_text()))
    assert_let_go(attempt)
    assert_goes_on(attempt)


def test_the_sshd_above_the_controller_dies(site: Site, tmp_path: Path) -> None:
    """The controller is the child of a login by ssh, whose sshd is killed by its pid."""
    attempt = prepare(tmp_path / "run", site, RUNBOOK)
    pid = tmp_path / "pid"
    above = Sshd()
    try:
        above.start()
        words = [f"{k}={shlex.quote(v)}" for k, v in environment(attempt).items()]
        script = (f"cd {attempt.folder} && echo $$ > {pid} && exec env {' '.join(words)} TERM=xterm "
                  f"{sys.executable} -m tastyops {' '.join(without_yes(attempt))}")  # fmt: skip
        with PtyProcess(
            ["ssh", "-tt", "-F", str(above.ssh_config), "-p", str(above.port), "-i", str(above.key),
             "-o", f"UserKnownHostsFile={above.folder}/known_hosts", "127.0.0.1", script],
            attempt.folder, environment(attempt),
        ) as login:  # fmt: skip
            begun(attempt)
            controller = int(pid.read_text())
            above.cut()
            gone(controller)
            login.ended()
        assert_let_go(attempt)
        assert_goes_on(attempt)
    finally:
        above.stop()


# -- each moment of a run --------------------------------------------------------------------------

HEAD = """
title: Let go at one moment
hosts: target
inputs: {ledger: ""}
works:
  - work: The work
    steps:
"""

MOMENTS = {
    "a reading": (
        ['{run: "echo begun >> L.seen; GATE", reads: true}', '{run: "echo after >> L"}'],
        ["after"],
    ),
    "a watch": (
        ['{watch: {command: "echo begun >> L.seen; [ -e L.gate ] && echo 100% || echo 10%", '
         'every: 1s, what: Sync}}', '{run: "echo after >> L"}'],
        ["after"],
    ),
    "a pause between tries": (
        ['{run: "echo begun >> L.seen; [ -e L.gate ]", until: result.rc == 0, retries: 3, '
         'delay: 15s}', '{run: "echo after >> L"}'],
        ["after"],
    ),
    "a background step": (
        ['{id: beside, run: "echo begun >> L; GATE; echo ended >> L", background: true}',
         '{run: "echo first >> L"}', "{join: beside}", '{run: "echo after >> L"}'],
        ["after", "begun", "ended", "first"],
    ),
    "a background step beside a reading": (
        ['{id: beside, run: "echo begun >> L; GATE; echo ended >> L", background: true}',
         '{run: "GATE", reads: true}', "{join: beside}", '{run: "echo after >> L"}'],
        ["begun", "ended", "after"],
    ),
    "a change with a limit": (
        ['{run: "echo begun >> L; GATE; echo ended >> L", timeout: 10m}', '{run: "echo after >> L"}'],
        ["begun", "ended", "after"],
    ),
    "a change with its output left out": (
        ['{run: "echo begun >> L; GATE; echo ended | tee -a L", no_log: true}',
         '{run: "echo after >> L"}'],
        ["begun", "ended", "after"],
    ),
}  # fmt: skip


def at_a_moment(steps: list[str]) -> str:
    gate = "until [ -e L.gate ]; do sleep 0.05; done"
    lines = "".join(f"      - {step.replace('GATE', gate)}\n" for step in steps)
    return HEAD + lines.replace("L.", "{{ ledger }}.").replace(">> L", ">> {{ ledger }}").replace(
        "-a L", "-a {{ ledger }}"
    )


@pytest.mark.parametrize("moment", MOMENTS)
def test_each_moment_of_a_run(moment: str, site: Site, tmp_path: Path) -> None:
    steps, wanted = MOMENTS[moment]
    attempt = prepare(tmp_path / "run", site, at_a_moment(steps))
    ledger, seen = attempt.ledger, f"{attempt.ledger}.seen"
    with on_a_pty(attempt, *without_yes(attempt)) as terminal:
        wait_for(lambda: "begun" in read_here(ledger) + read_here(seen), PATIENCE)
        if "pause" in moment:
            wait_for(lambda: "attempt-ended" in kinds(attempt), PATIENCE)
        terminal.close()
        assert terminal.ended() == IN_DOUBT, terminal.seen
    ended = {"cancel-asked", "stop-asked", "work-ended", "run-closed", "disconnected"}
    assert not ended & set(kinds(attempt)), kinds(attempt)
    assert [e.body.how for e in attempt.events if isinstance(e.body, Settled)].count("slept") == 0
    assert "**Status:** In progress" in attempt.page
    open_the_gate(attempt)
    assert perform(attempt, "resume", "--yes") == 0, attempt.outputs
    found = read_here(ledger).split()
    assert (sorted(found) if "first" in wanted else found) == wanted
    assert "**Status:** Completed" in attempt.page
    assert perform(attempt, "verify", "last") == 0


QUESTIONS = {
    "a confirmation": ("{confirm: Go on?}", r"\[yes/no\] ", "yes"),
    "a value": ("{ask: {question: Which disk?}, register: disk}", r"Which disk\? ", "sdb"),
    "work by hand": ("{manual: Pull the disk.}", "Type done", "done"),
    "a failure": ('{run: "[ -e {{ ledger }}.gate ]"}', r"What now\? ", "retry"),
}


@pytest.mark.parametrize(
    ("question", "how"),
    [
        *((question, "closed") for question in QUESTIONS),
        ("a confirmation", "Ctrl-D"),
        ("a failure", "SIGTERM"),
        *(
            pytest.param(question, how, marks=pytest.mark.long)
            for question in QUESTIONS for how in ("Ctrl-D", "SIGTERM")
            if (question, how) not in (("a confirmation", "Ctrl-D"), ("a failure", "SIGTERM"))
        ),
    ],
)
def test_at_a_question(question: str, how: str, site: Site, tmp_path: Path) -> None:
    """The question stays open, and a terminal that resumes the run is asked again."""
    step, prompt, answer = QUESTIONS[question]
    attempt = prepare(tmp_path / "run", site, f"{HEAD}      - {step}\n"
                      '      - {run: "echo after >> {{ ledger }}"}\n')  # fmt: skip
    with on_a_pty(attempt, *without_yes(attempt)) as terminal:
        terminal.wait(prompt)
        if how == "closed":
            terminal.close()
        elif how == "Ctrl-D":
            terminal.type("\x04")
        else:
            terminal.process.terminate()
        assert terminal.ended() == IN_DOUBT, terminal.seen
        assert how == "closed" or "was let go" in terminal.seen
        assert "Traceback" not in terminal.seen
    assert kinds(attempt)[-1] in ("asked", "connected"), kinds(attempt)
    assert "**Status:** In progress" in attempt.page
    open_the_gate(attempt)
    with on_a_pty(attempt, "resume") as terminal:
        terminal.wait(prompt)
        terminal.type(f"{answer}\n")
        assert terminal.ended() == 0, terminal.seen
    assert read_here(attempt.ledger).split() == ["after"]
    assert "**Status:** Completed" in attempt.page


def test_while_it_connects(site: Site, tmp_path: Path) -> None:
    """A host that takes the connection and says nothing: the run never called it unreachable."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        there = replace(site.host, port=silent.getsockname()[1])
        attempt = prepare(tmp_path / "run", replace(site, host=there), RUNBOOK)
        process = begin(attempt, *opening(attempt), before=default_signals)
        silent.settimeout(PATIENCE)
        held, _ = silent.accept()
        with held:
            process.send_signal(signal.SIGHUP)
            said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == IN_DOUBT, said
    assert kinds(attempt)[-1] == "step-started", kinds(attempt)
    inventory = attempt.folder / "inventory.yml"
    port = f"port: {site.host.port}"
    inventory.write_text(inventory.read_text().replace(f"port: {there.port}", port))
    open_the_gate(attempt)
    assert perform(attempt, "resume", "--yes") == 0, attempt.outputs
    assert read_here(attempt.ledger).split() == ["begun", "ended", "after"]


def test_when_the_run_is_over_and_somebody_is_called(site: Site, tmp_path: Path) -> None:
    """A signal after the last event changes nothing: neither the log, nor the call, nor the code."""
    attempt = prepare(tmp_path / "run", site, f'{HEAD}      - {{run: "exit 3"}}\n')
    called = tmp_path / "called"
    script = tmp_path / "call"
    script.write_text(f"#!/bin/sh\necho begun > {called}\nuntil [ -e {called}.gate ]; do sleep 0.1; "
                      f"done\ncat >> {called}\n")  # fmt: skip
    script.chmod(0o755)
    with (attempt.folder / "inventory.yml").open("a") as inventory:
        inventory.write(f"announce: {{command: [{script}]}}\n")
    with on_a_pty(attempt, *opening(attempt)) as terminal:
        wait_for(lambda: read_here(str(called)), PATIENCE)
        terminal.close()
        Path(f"{called}.gate").touch()
        assert terminal.ended() == 1
    assert kinds(attempt)[-1] == "run-closed"
    assert "**Status:** Ended without completion" in attempt.page
    assert "Let go at one moment ended: " in read_here(str(called))


def test_while_the_host_reboots(practice_hosts: list[Site], tmp_path: Path) -> None:
    site = practice_hosts[0]
    attempt = prepare(tmp_path / "run", site, REBOOT)
    process = begin(attempt, *opening(attempt), before=default_signals)
    wait_for(lambda: "disconnected" in _kinds(attempt), PATIENCE)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == IN_DOUBT, said
    assert not {"cancel-asked", "run-closed"} & set(kinds(attempt))
    assert perform(attempt, "resume", "--yes") == 0, attempt.outputs
    assert site.read(attempt.ledger).split() == ["before", "after"]
    assert attempt.page.count("(Completed)") == 3
    assert attempt.page.count("Machine rebooted successfully") == 1


def _kinds(attempt: Attempt) -> list[str]:
    """The kinds so far; none while there is no run."""
    try:
        return kinds(attempt)
    except (ValueError, StopIteration, FileNotFoundError):
        return []


# -- Ctrl-C before the terminal goes -----------------------------------------------------------------


def test_ctrl_c_and_then_a_closed_terminal(site: Site, tmp_path: Path) -> None:
    """The person stopped the run: resume carries that out, whatever became of the terminal."""
    attempt = prepare(tmp_path / "run", site, RUNBOOK)
    with on_a_pty(attempt, *opening(attempt)) as terminal:
        begun(attempt)
        terminal.type("\x03")
        wait_for(lambda: "cancel-asked" in kinds(attempt), PATIENCE)
        terminal.close()
        assert terminal.ended() in (3, IN_DOUBT)
    perform(attempt, "resume", "--yes")
    open_the_gate(attempt)
    assert not {"ended", "after"} & set(read_here(attempt.ledger).split())
    assert "**Status:** Ended without completion" in attempt.page
