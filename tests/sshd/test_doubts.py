"""What is known not to have begun has failed; a change in doubt keeps its evidence and waits."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tastyops.cli.program import main
from tastyops.journal.events import Settled, StepEnded
from tastyops.records.runs import read_events, read_state, run_directories
from tests.sshd.accounts import Accounts
from tests.sshd.server import Sshd
from tests.sshd.test_runs import page, wait_for, write_runbook
from tests.sshd.test_runs import project as project  # a fixture

pytestmark = [
    pytest.mark.sshd,
    pytest.mark.skipif(os.geteuid() != 0, reason="makes accounts and stands in for sudo: needs root"),
]

REFUSALS = {
    "a wrong password": "echo 'Sorry, try again.' >&2\necho 'sudo: 1 incorrect password attempt' >&2",
    "two wrong ones": "echo 'Sorry, try again.' >&2\necho 'sudo: 2 incorrect password attempts' >&2",
    "no password": "echo 'sudo: a password is required' >&2",
    "a terminal": "echo 'sudo: a terminal is required to read the password; either use the -S option to read from standard input or configure an askpass helper' >&2",
    "requiretty": "echo 'sudo: sorry, you must have a tty to run sudo' >&2",
    "an old sudo": "echo 'sudo: no tty present and no askpass program specified' >&2",
    "not in sudoers": "echo 'ann is not in the sudoers file.' >&2",
    "not this command": "echo \"Sorry, user ann is not allowed to execute '/bin/id' as root on box.\" >&2",
    "may not at all": "echo 'Sorry, user ann may not run sudo on box.' >&2",
    "an expired account": "echo 'sudo: Account or password is expired, reset your password and try again' >&2",
    "a locked account": "echo 'sudo: account validation failure, is your account locked?' >&2",
    "no setuid": "echo 'sudo: /usr/bin/sudo must be owned by uid 0 and have the setuid bit set' >&2",
    "nosuid": "echo 'sudo: effective uid is not 0, is /usr/bin/sudo on a file system with the nosuid option set?' >&2",
    "no new privileges": "echo 'sudo: The \"no new privileges\" flag is set, which prevents sudo from running as root.' >&2",
    "a broken policy": "echo 'sudo: no valid sudoers sources found, quitting' >&2\necho 'sudo: error initializing audit plugin sudoers_audit' >&2",
    "no such program": "echo 'sudo: id: command not found' >&2",
}


@pytest.fixture
def plain(sshd_installed: None) -> Iterator[tuple[Sshd, Path]]:
    """A server for an account that is not root, and what stands in for sudo on its PATH."""
    server = Sshd(locks=False)
    tools = server.folder / "tools"
    tools.mkdir()
    tools.chmod(0o755)
    server.extra = (f"SetEnv PATH={tools}:/usr/bin:/bin TASTYOPS_LOCKS={server.locks}",)
    server.start()
    try:
        yield server, tools / "sudo"
    finally:
        server.stop()


@pytest.fixture(autouse=True)
def free(sshd: Sshd) -> Iterator[None]:
    """A run in doubt keeps its host; the next test has it again."""
    yield
    (sshd.locks / "tastyops.lock").unlink(missing_ok=True)


def inventory(project: Path, server: Sshd, user: str, sudo: str) -> None:
    host = server.host()
    (project / "inventory.yml").write_text(
        f"hosts:\n  target:\n    address: {host.address}\n    port: {host.port}\n    user: {user}\n"
        f"    identity_file: {host.identity_file}\n    known_hosts: {host.known_hosts}\n"
        f"    sudo: {sudo}\n"
    )


def last_run(project: Path) -> Path:
    return run_directories(project / "runs")[-1]


def bodies(project: Path, kind: type) -> list[Any]:
    return [e.body for e in read_events(last_run(project)) if isinstance(e.body, kind)]


@pytest.mark.parametrize("sudo", ["ask", "true"])
@pytest.mark.parametrize("says", REFUSALS.values(), ids=REFUSALS)
def test_a_sudo_that_refuses_fails_plainly(
    project: Path,
    plain: tuple[Sshd, Path],
    accounts: Accounts,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    says: str,
    sudo: str,
) -> None:
    server, program = plain
    user = accounts.make("/bin/sh")
    inventory(project, server, user, sudo)
    monkeypatch.setenv("TASTYOPS_SUDO_PASSWORD", "not-this-one")
    reads = "IFS= read -r password\n" if sudo == "ask" else ""
    program.write_text(f"#!/bin/sh\n{reads}{says}\nexit 1\n")
    program.chmod(0o755)
    text = f"title: T\nhosts: target\nworks: [{{work: W, steps: [{{run: 'touch {project}/mark'}}]}}]\n"
    assert main(["run", write_runbook(project, text), "--yes"]) == 1
    said = capsys.readouterr().out
    assert "nothing was changed" in said
    assert "in doubt" not in said
    assert [b.outcome for b in bodies(project, StepEnded)] == ["failed"]
    assert not (project / "mark").exists()
    assert not (server.locks / "tastyops.lock").exists()
    assert main(["status"]) == 0
    assert "nothing is unfinished" in capsys.readouterr().out


@pytest.mark.parametrize("step", ["{run: id, reads: true}", "{services.restart: }", "{fs.check: /}"])
def test_a_reading_that_sudo_refuses_is_no_finding(
    project: Path,
    plain: tuple[Sshd, Path],
    accounts: Accounts,
    capsys: pytest.CaptureFixture[str],
    step: str,
) -> None:
    """Its status 1 must not be read as the program's: no, not clean, corrected."""
    server, program = plain
    inventory(project, server, accounts.make("/bin/sh"), "true")
    program.write_text("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    program.chmod(0o755)
    text = f"title: T\nhosts: target\nworks: [{{work: W, steps: [{step}]}}]\n"
    assert main(["run", write_runbook(project, text), "--yes"]) == 1
    assert "a password is required" in capsys.readouterr().out
    assert bodies(project, StepEnded)[0].outcome == "failed"


def test_a_program_that_speaks_of_sudo_was_run(project: Path, plain: tuple[Sshd, Path], accounts: Accounts) -> None:
    server, program = plain
    inventory(project, server, accounts.make("/bin/sh"), "true")
    program.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n')
    program.chmod(0o755)
    text = (
        "title: T\nhosts: target\nworks: [{work: W, steps: [{run: "
        "'echo changed; echo \"sudo: a password is required\" >&2; exit 1'}]}]\n"
    )
    assert main(["run", write_runbook(project, text), "--yes"]) == 1
    (settled,) = bodies(project, Settled)
    assert (settled.how, settled.result["status"]) == ("output", 1)


# -- evidence -------------------------------------------------------------------------------------

KILLS = {
    "its shell": "echo 'three errors were found'; sleep 0.3; kill -9 $PPID",
    "its shell, on standard error": "echo 'three errors were found' >&2; kill -9 $PPID",
    "its group": "echo 'three errors were found'; kill -9 0",
    "much before it": "seq 100000; echo 'three errors were found'; kill -9 $PPID",
    "no newline": "printf 'three errors were found'; kill -9 $PPID",
    "bytes of Latin-1": "printf 'Ger\\344t: three errors were found\\n'; kill -9 $PPID",
}


@pytest.mark.parametrize("command", KILLS.values(), ids=KILLS)
def test_what_it_said_is_kept_and_shown(
    project: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (project / "script").write_text(command + "\n")
    text = f"title: T\nhosts: target\nworks: [{{work: W, steps: [{{run: '. {project}/script'}}]}}]\n"
    assert main(["run", write_runbook(project, text), "--yes"]) == 5
    out, err = capsys.readouterr()
    assert "three errors were found" in out
    assert "(no exit status)" in out
    assert "resume` on a terminal" in err
    (settled,) = bodies(project, Settled)
    assert settled.how == "lost"
    assert "three errors" in str(settled.result) or "64" in str(settled.result)
    assert main(["status"]) == 0
    told = capsys.readouterr().out
    assert "three errors were found" in told
    assert "Step 1.1 (run) is in doubt" in told
    assert "In progress" in page(project)
    assert main(["verify", "last"]) == 0


def test_no_log_keeps_it_out(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        "title: T\nhosts: target\nworks: [{work: W, steps: [{run: "
        "'echo three errors; kill -9 $PPID', no_log: true}]}]\n"
    )
    assert main(["run", write_runbook(project, text), "--yes"]) == 5
    assert "three errors\n" not in (last_run(project) / "journal.jsonl").read_text()
    assert "| three errors" not in capsys.readouterr().out


# -- with nobody there --------------------------------------------------------------------------


def test_a_doubt_with_nobody_there_keeps_the_run_open(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"""
title: T
hosts: target
works:
  - work: W
    steps:
      - run: kill -9 $PPID
        on_failure: [{{run: "touch {project}/on-failure"}}]
      - run: touch {project}/after
rescue:
  - run: touch {project}/rescue
"""
    assert main(["run", write_runbook(project, text), "--yes"]) == 5
    for _ in range(3):  # a timer, say
        assert main(["resume", "--yes"]) == 5
    assert not list(project.glob("on-failure")) + list(project.glob("rescue"))
    state = read_state(last_run(project))
    assert state.closed is None
    assert [asked.question for _, asked in state.questions()] == ["failure"]
    assert page(project).count("is in doubt: what became of it is not known") == 1
    assert main(["cancel", last_run(project).name]) in (0, 5)


@pytest.mark.parametrize("ends", [0, 3])
def test_resume_collects_what_the_host_kept(
    own_sshd: Sshd, project: Path, capsys: pytest.CaptureFixture[str], ends: int
) -> None:
    """The host was out of reach longer than it is waited for, while its change went on and ended."""
    from tests.sshd.test_runs import write_inventory

    write_inventory(project, own_sshd)
    go = project / "go"
    command = f"touch {go}1; while [ ! -e {go}2 ]; do sleep 0.05; done; echo it ended; exit {ends}"
    text = f"title: T\nhosts: target\nworks: [{{work: W, steps: [{{run: '{command}'}}, {{run: 'touch {go}3'}}]}}]\n"
    program = (
        "import sys, tastyops.engine.links as links; links.RECONNECT_PATIENCE = 0.0\n"
        "from tastyops.cli.program import main; sys.exit(main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, "run", write_runbook(project, text), "--yes"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    wait_for(lambda: Path(f"{go}1").exists())
    own_sshd.gone()
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 5, said
    assert "in doubt" in said
    Path(f"{go}2").touch()
    own_sshd.start()
    write_inventory(project, own_sshd)
    capsys.readouterr()
    main(["status"])
    assert "is in doubt" in capsys.readouterr().out
    code = main(["resume", "--yes"])
    assert [b.outcome for b in bodies(project, StepEnded)][:2] == ["in doubt", "done" if ends == 0 else "failed"]
    if ends == 0:
        assert code == 0
        assert Path(f"{go}3").exists()
        assert main(["verify", "last"]) == 0
    else:
        assert code == 5  # a failure met that way waits for a person
    assert not Path(f"{go}1").read_text()

