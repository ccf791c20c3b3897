"""``run --detach``, `d` in the failure menu, and ``attend``, which answers what a detached run asks."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.durable.conftest import read_here
from tests.durable.harness import Attempt, Site, begin, finish, opening, perform, prepare
from tests.durable.pty_process import PATIENCE
from tests.durable.test_letting_go import (
    HEAD,
    IN_DOUBT,
    RUNBOOK,
    assert_let_go,
    begun,
    gone,
    kinds,
    on_a_pty,
    open_the_gate,
    without_yes,
)
from tests.durable.test_letting_go import site as site  # a fixture
from tests.sshd.watching import wait_for

pytestmark = pytest.mark.sshd

AFTER = '      - {run: "echo after >> {{ ledger }}"}\n'


@contextmanager
def detached(said: str) -> Iterator[int]:
    """The process that goes on with the run; one that still does at the end is killed."""
    pid = int(said.partition("(process ")[2].partition(";")[0])
    try:
        yield pid
    finally:
        if not ended(pid):
            os.kill(pid, signal.SIGKILL)
        gone(pid)


def ended(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return text.rpartition(")")[2].split()[0] == "Z"


def assert_told(said: str, attempt: Attempt) -> None:
    """Which run it is, how to join it, how to see it, how to end it."""
    name = attempt.run.name
    for words in (f"attend {name}", "status", f"cancel {name}", str(attempt.run.name)):
        assert words in said, said


def assert_completed(attempt: Attempt, *ledger: str) -> None:
    wait_for(lambda: "**Status:** Completed" in attempt.page, PATIENCE)
    assert read_here(attempt.ledger).split() == list(ledger)
    assert perform(attempt, "verify", "last") == 0


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "no terminal"])
def test_a_run_that_detaches_at_once(terminal: bool, site: Site, tmp_path: Path) -> None:
    attempt = prepare(tmp_path / "run", site, RUNBOOK)
    if terminal:
        with on_a_pty(attempt, *without_yes(attempt), "--detach") as screen:
            assert screen.ended() == 0, screen.seen
            said = screen.seen
    else:
        process = begin(attempt, *opening(attempt), "--detach")
        said, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, said
    assert_told(said, attempt)
    with detached(said) as pid:
        begun(attempt)
        assert os.getsid(pid) == pid, "a session of its own"
        for fd in (0, 1, 2):
            assert "tty" not in os.readlink(f"/proc/{pid}/fd/{fd}")
        output = attempt.run / "detached.log"
        assert stat.S_IMODE(output.stat().st_mode) == 0o600
        assert perform(attempt, "status") == 0
        open_the_gate(attempt)
        assert_completed(attempt, "begun", "ended", "after")
        wait_for(lambda: "Completed" in output.read_text(), PATIENCE)


def test_a_failure_waits_for_whoever_attends(site: Site, tmp_path: Path) -> None:
    """Begun on a terminal, detached at the failure menu, answered on another terminal."""
    step = '      - {run: "[ -e {{ ledger }}.gate ]"}\n'
    attempt = prepare(tmp_path / "run", site, HEAD + step + AFTER)
    with on_a_pty(attempt, *without_yes(attempt)) as screen:
        screen.wait(r"\[d\] detach: ")
        screen.wait(r"What now\? ")
        screen.type("d\n")
        assert screen.ended() == IN_DOUBT, screen.seen
        said = screen.seen
    assert_told(said, attempt)
    with detached(said):
        with on_a_pty(attempt, "attend", "last") as other:
            place = other.wait(r"What now\? ")
            assert "[d]" not in other.seen, "who attends leaves with Ctrl-C"
            other.type("x\n")
            place = other.wait(r"Please type one of", place)
            place = other.wait(r"What now\? ", place)  # what is typed before a prompt is dropped
            open_the_gate(attempt)
            other.type("r\n")
            other.wait("The run is over: Completed", place)
            assert other.ended() == 0
        assert_completed(attempt, "after")


def test_a_question_is_answered_by_attend_or_answer(site: Site, tmp_path: Path) -> None:
    steps = ("      - {confirm: Shall we?}\n      - {ask: {question: Which disk?, default: sda}, "
             'register: disk}\n      - {run: "echo {{ disk.value }} >> {{ ledger }}"}\n')  # fmt: skip
    attempt = prepare(tmp_path / "run", site, HEAD + steps + AFTER)
    with on_a_pty(attempt, *without_yes(attempt), "--detach") as screen:
        assert screen.ended() == 0, screen.seen
    with detached(screen.seen), on_a_pty(attempt, "attend", "last") as other:
        place = other.wait(r"Shall we\? \[yes/no\] ")
        assert perform(attempt, "answer", "last", "yes") == 0, attempt.outputs
        other.wait(r"Which disk\? \[sda\] ", place)  # the first one was withdrawn
        other.type("sdb\n")
        other.wait("The run is over: Completed", place)
        assert other.ended() == 0
        assert_completed(attempt, "sdb", "after")


def test_leaving_and_losing_the_terminal_that_attends(site: Site, tmp_path: Path) -> None:
    attempt = prepare(tmp_path / "run", site, HEAD + "      - {confirm: Shall we?}\n" + AFTER)
    with on_a_pty(attempt, *without_yes(attempt), "--detach") as screen:
        assert screen.ended() == 0, screen.seen
    with detached(screen.seen) as pid:
        with on_a_pty(attempt, "attend", "last") as other:
            other.wait(r"Shall we\? \[yes/no\] ")
            other.type("\x03")
            other.wait("You have left")
            assert other.ended() == 0
        with on_a_pty(attempt, "attend", "last") as other:
            other.wait(r"Shall we\? \[yes/no\] ")
            other.close()
            other.ended()
        assert not ended(pid)
        assert kinds(attempt)[-1] != "run-closed"
        assert perform(attempt, "answer", "last", "yes") == 0, attempt.outputs
        assert_completed(attempt, "after")


SECRET = "correct-horse-battery"


def test_a_typed_secret_reaches_it_through_a_pipe(site: Site, tmp_path: Path) -> None:
    steps = ('      - {run: "echo {{ pw }} | wc -c >> {{ ledger }}", no_log: true}\n'
             "      - {confirm: Shall we?}\n" + AFTER)  # fmt: skip
    book = (HEAD + steps).replace(
        'inputs: {ledger: ""}', 'inputs: {ledger: "", pw: {secret: true, help: A password}}'
    )
    attempt = prepare(tmp_path / "run", site, book)
    with on_a_pty(attempt, *without_yes(attempt), "--detach") as screen:
        screen.wait(r"A password.*: ")
        screen.type(f"{SECRET}\n")
        assert screen.ended() == 0, screen.seen
    with detached(screen.seen) as pid:
        wait_for(lambda: read_here(attempt.ledger), PATIENCE)
        for what in ("cmdline", "environ"):
            assert SECRET.encode() not in Path(f"/proc/{pid}/{what}").read_bytes()
        assert perform(attempt, "answer", "last", "yes") == 0, attempt.outputs
        assert_completed(attempt, str(len(SECRET) + 1), "after")
    found = subprocess.run(["grep", "-rl", SECRET, str(attempt.folder)], capture_output=True)
    assert found.stdout == b""


def test_a_detached_run_is_let_go_of_and_resumed(site: Site, tmp_path: Path) -> None:
    attempt = prepare(tmp_path / "run", site, RUNBOOK)
    process = begin(attempt, *opening(attempt), "--detach")
    said, _ = process.communicate(timeout=PATIENCE)
    with detached(said) as pid:
        begun(attempt)
        os.kill(pid, signal.SIGTERM)
        gone(pid)
    assert_let_go(attempt)
    process = begin(attempt, "resume", "--yes", "--detach")
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    open_the_gate(attempt)
    with detached(said):
        assert_completed(attempt, "begun", "ended", "after")


def test_one_that_cannot_go_on_is_said(site: Site, tmp_path: Path) -> None:
    """What the new process writes has nowhere to go: the run stays, and somebody can resume it."""
    attempt = prepare(tmp_path / "run", site, RUNBOOK)
    process = begin(
        attempt, *opening(attempt), "--detach", module=("tests.durable.undetached",)
    )
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == IN_DOUBT, said
    assert "The process that was to go on with the run" in said
    assert f"resume --run {attempt.run.name}" in said
    assert kinds(attempt) == ["run-opened"]
    open_the_gate(attempt)
    assert finish(attempt, begin(attempt, "resume", "--yes")) == 0
    assert read_here(attempt.ledger).split() == ["begun", "ended", "after"]
