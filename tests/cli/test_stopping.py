"""Ctrl-C once and twice, SIGTERM, SIGHUP, SIGKILL, a closed pipe: the record stays true.

That a change on the host outlives SIGTERM, SIGHUP and a closed terminal is shown on a real sshd:
``durable/test_letting_go.py``. A practice host ends with its controller.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.project import PATIENCE, Project, finish, send, wait_for

THREE = """\
title: Three works
hosts: kalimdor
works:
  - work: First
    steps: [{{run: echo one, log: The first is done.}}]
  - work: Second
    steps: [{{run: "{command}"}}, {{run: echo never}}]
  - work: Third
    steps: [{{run: echo three}}]
"""
LONG = "sleep 7200"
STUBBORN = "trap '' TERM; sleep 7200"
"""Two practice hours, two real minutes: longer than any test waits."""


def sleeping(
    project: Project, command: str = LONG, program: str = "invoke",
    before: Callable[[], object] | None = None,
) -> subprocess.Popen[str]:
    """A run in the middle of its second work's first step."""
    project.write("three.yml", THREE.format(command=command).encode())
    process = project.start(program, "run", "three.yml", "--yes", before=before)
    wait_for(lambda: project.kinds().count("intended") == 2, "the second work to be under way")
    return process


def assert_true_log(project: Project, run: Run) -> None:
    page = project.page()
    assert "**Status:** Ended without completion at " in page
    assert "  - First (Completed)\n" in page
    assert "  - Second (Not completed: step 2.1 (run) was cancelled)\n" in page
    assert "  - Third (Cancelled: step 2.1 (run) was cancelled)\n" in page
    assert re.search(r"^- \[\d{4}\] Step 2\.1 \(run\) was cancelled\.\n- \[\d{4}\] The first", page, re.M)
    assert project.kinds()[-1] == "run-closed"
    assert run("verify", "last").code == 0


@pytest.mark.parametrize("program", ["invoke", "tastyops"])
def test_ctrl_c_once_ends_the_run_with_a_true_log(
    program: str, project: Project, run: Run
) -> None:
    process = sleeping(project, program=program)
    send(process, signal.SIGINT)
    result = finish(process)
    assert result.code == 3
    assert "Stopping: interrupted at the terminal" in result.out
    assert "Ended without completion" in result.out
    assert_true_log(project, run)
    (asked,) = [event for event in project.events() if event["kind"] == "cancel-asked"]
    assert asked["body"]["because"] == "interrupted at the terminal"


@pytest.mark.parametrize(
    ("number", "program", "why"),
    [
        (signal.SIGTERM, "tastyops", "its process was told to end (SIGTERM)"),
        (signal.SIGHUP, "invoke", "its terminal went away (SIGHUP)"),
    ],
)
def test_a_lost_terminal_or_sigterm_lets_go_of_the_run(
    number: signal.Signals, program: str, why: str, project: Project, run: Run
) -> None:
    process = sleeping(project, program=program)
    send(process, number)
    result = finish(process)
    assert result.code == 5
    assert f"was let go: {why}.\n" in result.err
    assert f"`{program} resume --run {project.runs()[-1].name}` goes on with it" in result.err
    assert not {"cancel-asked", "stop-asked", "run-closed"} & set(project.kinds())
    assert project.kinds()[-1] == "intended"
    assert "**Status:** In progress" in project.page()
    assert run("verify", "last").code == 0


def test_a_hundred_hangups_let_go_once(project: Project, run: Run) -> None:
    """Each program on the way up may pass the hangup on; one that comes late changes nothing."""
    process = sleeping(project)
    while process.poll() is None:
        send(process, signal.SIGHUP, signal.SIGTERM)
    assert finish(process).code == 5
    assert project.kinds()[-1] == "intended"
    assert run("verify", "last").code == 0


def test_twice_aborts_and_leaves_the_journal_as_it_was(project: Project, run: Run) -> None:
    process = sleeping(project, STUBBORN)
    send(process, signal.SIGINT)
    wait_for(lambda: "cancel-asked" in project.kinds(), "the run to be told to stop")
    send(process, signal.SIGINT)
    result = finish(process)
    assert result.code == 3
    assert "Aborted. What was under way on a host may still run there" in result.err
    assert project.kinds()[-1] == "cancel-asked"
    assert run("verify", "last").code == 0
    shown = run("show", "last", "--commands").out
    assert "Status: In progress." in shown
    assert re.search(r"\$ sh -c trap .* → begun; how it ended is not recorded$", shown, re.M)


def test_a_hundred_signals_are_one_request_and_one_abort(project: Project, run: Run) -> None:
    process = sleeping(project, STUBBORN)
    while process.poll() is None:
        send(process, signal.SIGINT)
    assert finish(process).code == 3
    assert run("verify", "last").code == 0


def test_ctrl_c_when_the_run_is_over_changes_nothing(project: Project) -> None:
    """A second Ctrl-C that comes too late to matter must not turn the exit code into a signal."""
    process = sleeping(project)
    send(process, signal.SIGINT)
    wait_for(lambda: "run-closed" in project.kinds(), "the run to be closed")
    send(process, signal.SIGINT)
    assert finish(process).code == 3
    assert "Ended without completion" in project.page()


def test_killed_it_is_in_progress_until_somebody_says_otherwise(project: Project, run: Run) -> None:
    process = sleeping(project)
    send(process, signal.SIGKILL)
    assert finish(process).code == -signal.SIGKILL
    assert re.search(r"\] PRACTICE Three works: In progress, last event \d{4}$", run("list").out, re.M)
    shown = run("show", "last").out
    assert "Status: In progress." in shown
    assert re.search(r"^Run \S+: In progress, last event \d{4}, practice/runs/", shown, re.M)
    assert run("verify", "last").code == 0


def test_under_nohup_a_hangup_stays_ignored(project: Project) -> None:
    ignore = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)  # noqa: E731
    process = sleeping(project, before=ignore)
    send(process, signal.SIGHUP, signal.SIGINT)
    assert finish(process).code == 3
    (asked,) = [event for event in project.events() if event["kind"] == "cancel-asked"]
    assert asked["body"]["because"] == "interrupted at the terminal"


def test_a_page_edited_while_the_run_goes_on_is_noticed(project: Project) -> None:
    process = sleeping(project)
    page = project.pages()[0]
    wait_for(lambda: "First (Completed)" in page.read_text(), "the page to be up to date")
    page.write_text(page.read_text().replace("Three works", "Another"))
    send(process, signal.SIGINT)
    assert f"{page.relative_to(project.path)} was edited by hand." in finish(process).err
    assert "Another" in page.with_name(f"{page.name}.edited-1").read_text()
    assert "Another" not in page.read_text()
    assert "Ended without completion" in page.read_text()


def test_a_run_on_practice_hosts_detaches_before_they_start(project: Project, run: Run) -> None:
    project.write("three.yml", THREE.format(command="echo two").encode())
    result = project.invoke("run", "three.yml", "--detach", "--yes")
    assert result.code == 0, result.err
    assert f"`invoke attend {project.runs()[-1].name}`" in result.err
    wait_for(lambda: "**Status:** Completed" in project.page(), "the run to be completed")
    assert run("verify", "last").code == 0


# -- where the output goes ---------------------------------------------------------------------


def piped(project: Project, command: str) -> tuple[list[int], str, str]:
    """Runs ``tastyops …`` in a pipeline of bash; gives each part's status, and what was written."""
    program = f'{sys.executable} -c "from tastyops.cli.program import console_script as c; c()"'
    script = f"tastyops() {{ {program} \"$@\"; }}; {command}; echo ${{PIPESTATUS[*]}} >&2"
    done = subprocess.run(
        ["bash", "-c", script], cwd=project.path, env=project.environment, capture_output=True,
        stdin=subprocess.DEVNULL, encoding="utf-8", timeout=PATIENCE,
    )
    *said, statuses = done.stderr.splitlines()
    assert "Traceback" not in done.stdout + done.stderr
    return [int(word) for word in statuses.split()], done.stdout, "\n".join(said)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_does_not_stop_the_run(unbuffered: str, project: Project) -> None:
    project.environment["PYTHONUNBUFFERED"] = unbuffered
    project.write("three.yml", THREE.format(command="echo two").encode())
    statuses, out, err = piped(project, "tastyops run three.yml --yes | head -1")
    assert statuses == [0, 0]
    assert re.fullmatch(r"\S+ Three works on kalimdor; practice log 20\d\d/001\n", out)
    assert err == ""
    assert project.page().count("(Completed)") == 3


def test_through_a_pipe_there_are_plain_lines(project: Project) -> None:
    project.write("three.yml", THREE.format(command="echo two").encode())
    statuses, out, _ = piped(project, "tastyops run three.yml --yes | cat")
    assert statuses == [0, 0]
    assert "\x1b" not in out
    assert len(re.findall(r"^\d\d:\d\d:\d\d ", out, re.M)) == len(out.splitlines()) - 4


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_output_that_cannot_be_written(project: Project) -> None:
    for unbuffered in ("", "1"):
        command = f"PYTHONUNBUFFERED={unbuffered} tastyops list >/dev/full"
        statuses, _, err = piped(project, command)
        assert statuses == [1]
        assert err == "Standard output cannot be written: No space left on device."
    project.write("three.yml", THREE.format(command="echo two").encode())
    assert piped(project, "tastyops run three.yml --yes >/dev/full")[0] == [0]
    assert project.page().count("(Completed)") == 3


def test_closed_streams_and_narrow_locales(project: Project) -> None:
    project.write("three.yml", THREE.format(command="echo two").encode())
    closed = "tastyops run three.yml --yes <&- >&-"
    statuses, out, _ = piped(project, f"{closed} && PYTHONIOENCODING=ascii tastyops show last")
    assert statuses == [0]
    assert out.isascii()
    assert os.linesep + r"    \u2022 First (Completed)" in out
