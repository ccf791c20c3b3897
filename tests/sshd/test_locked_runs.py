"""Two controllers and one host: whole runs, from two command lines, over a real sshd."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tastyops.cli.program import main
from tastyops.journal.connection_events import Connected
from tastyops.journal.events import StepEnded
from tastyops.records.runs import read_events, run_directories
from tests.sshd.server import Sshd
from tests.sshd.test_runs import project as project  # a fixture
from tests.sshd.test_runs import wait_for, write_inventory, write_runbook

pytestmark = pytest.mark.sshd

ONE = "title: T\nhosts: target\nworks: [{work: W, steps: [{run: 'touch %s'}]}]\n"


@pytest.fixture
def host(own_sshd: Sshd, project: Path) -> Sshd:
    """A server of the test's own, which the project's inventory names."""
    write_inventory(project, own_sshd)
    return own_sshd


@contextmanager
def working(project: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A run in a process of its own, in the middle of the first of its two changes.

    That one ends when ``go2`` is there; the second makes ``after``.
    """
    go = project / "go"
    script = f"touch {go}; while [ ! -e {go}2 ]; do sleep 0.05; done"
    book = project / "long.yml"
    steps = f'{{run: "{script}"}}, {{run: touch {project / "after"}}}'
    book.write_text(f"title: T\nhosts: target\nworks: [{{work: W, steps: [{steps}]}}]\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "tastyops", "run", "long.yml", "--yes", *words],
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(go.exists)
        yield process
    finally:
        Path(f"{go}2").touch()
        process.wait(60)


def last(runs: Path) -> list[object]:
    return [event.body for event in read_events(run_directories(runs)[-1])]


def test_a_second_controller_elsewhere_is_refused_by_the_host(host: Sshd, project: Path) -> None:
    mark = project / "mark"
    book = write_runbook(project, ONE % mark)
    apart = ("--logs", "logs2", "--runs", "runs2")
    with working(project) as first:
        assert (host.locks / "tastyops.lock").exists()
        assert main(["run", book, "--yes", *apart]) == 6
        (ended,) = (body for body in last(project / "runs2") if isinstance(body, StepEnded))
        (held,) = run_directories(project / "runs")
        assert ended.outcome == "locked"
        for said in (held.name, f"process {first.pid}", "is alive", "--take-over"):
            assert said in ended.why
        assert not mark.exists()
        first.send_signal(signal.SIGKILL)
        first.wait(60)
        assert main(["run", book, "--yes", *apart]) == 6
        (ended,) = (body for body in last(project / "runs2") if isinstance(body, StepEnded))
        assert "process is gone" in ended.why
        assert not mark.exists()
        assert main(["run", book, "--yes", "--take-over", *apart]) == 0
        connected = next(b for b in last(project / "runs2") if isinstance(b, Connected))
        assert held.name in connected.took_over
        assert mark.exists()
    assert not (host.locks / "tastyops.lock").exists()


def test_a_run_whose_host_is_taken_over_begins_nothing_more(host: Sshd, project: Path) -> None:
    mark = project / "mark"
    book = write_runbook(project, ONE % mark)
    with working(project) as first:
        words = ("--take-over", "--logs", "logs2", "--runs", "runs2")
        assert main(["run", book, "--yes", *words]) == 0
        assert mark.exists()
        assert first.poll() is None
    assert first.returncode == 6
    ended = [body for body in last(project / "runs") if isinstance(body, StepEnded)]
    assert [body.outcome for body in ended] == ["done", "locked"]
    assert not (project / "after").exists()


def test_a_second_controller_here_is_refused_before_anything(
    host: Sshd, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = write_runbook(project, ONE % (project / "mark"))
    with working(project) as first:
        for words in ([], ["--take-over"]):
            assert main(["run", book, "--yes", *words]) == 6
            said = capsys.readouterr().err
            assert f"process {first.pid}" in said
            assert "No host was touched." in said
        assert len(run_directories(project / "runs")) == 1
        assert len(list((project / "logs").glob("*/*.md"))) == 1
    assert main(["run", book, "--yes"]) == 0


def test_a_dry_run_takes_no_lock_and_minds_none(host: Sshd, project: Path) -> None:
    book = write_runbook(project, ONE % (project / "mark"))
    assert main(["run", book, "--dry-run"]) == 0
    assert list(host.locks.iterdir()) == []
    assert not (project / "logs").exists()
    with working(project):
        assert main(["run", book, "--dry-run"]) == 0


def test_two_names_for_one_machine(host: Sshd, project: Path) -> None:
    inventory = (project / "inventory.yml").read_text()
    entry = inventory.partition("  target:\n")[2]
    (project / "inventory.yml").write_text(f"hosts:\n  web1:\n{entry}  web2:\n{entry}")
    count = project / "count"
    text = (
        f"title: T\nhosts: [web1, web2]\nworks: [{{work: W, steps: [{{run: echo x >>{count}}}]}}]\n"
    )
    assert main(["run", write_runbook(project, text), "--yes"]) == 6
    assert count.read_text() == "x\n"
    ended = [body for body in last(project / "runs") if isinstance(body, StepEnded)]
    assert sorted(body.outcome for body in ended) == ["done", "locked"]
    assert any("are the same machine" in body.why for body in ended)
    assert list(host.locks.iterdir()) == []


def test_two_accounts_see_each_other(host: Sshd, project: Path, accounts: object) -> None:
    from tests.sshd.accounts import Accounts

    assert isinstance(accounts, Accounts)
    name = accounts.make("/bin/sh")
    book = write_runbook(project, ONE % (project / "mark"))
    inventory = project / "inventory.yml"
    other = project / "other.yml"
    user = host.host().user
    other.write_text(inventory.read_text().replace(f"user: {user}", f"user: {name}"))
    apart = ("--inventory", "other.yml", "--logs", "logs2", "--runs", "runs2")
    with working(project):
        assert main(["run", book, "--yes", *apart]) == 6
        assert main(["run", book, "--yes", "--take-over", *apart]) == 6
        ended = [body for body in last(project / "runs2") if isinstance(body, StepEnded)]
        assert "another account's" in ended[0].why
    assert os.listdir(host.locks) == []
