"""A host with little room for outputs: the status of a command is known all the same."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tastyops.cli.program import main
from tastyops.errors import NoRoom
from tastyops.journal.events import Settled, StepEnded
from tastyops.protocol.framing import Fate
from tastyops.records.runs import read_events, run_directories
from tests.sshd.conftest import Open
from tests.sshd.server import Sshd
from tests.sshd.test_runs import project as project  # a fixture
from tests.sshd.test_runs import write_inventory, write_runbook
from tests.sshd.watching import Counted

pytestmark = [
    pytest.mark.sshd,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small /run/tastyops: needs root"),
]

SMALL = "mkdir -p /run/tastyops; mount -t tmpfs -o {options} tmpfs /run/tastyops; exec \"$@\""


def server(options: str) -> Iterator[Sshd]:
    """A host whose runs' directory is a small tmpfs of its own; it goes with the last process."""
    host = Sshd(within=["unshare", "--mount", "sh", "-c", SMALL.format(options=options), "sh"])
    host.start()
    try:
        yield host
    finally:
        host.stop()


@pytest.fixture(scope="module")
def small(sshd_installed: None) -> Iterator[Sshd]:
    yield from server("size=4m")


@pytest.fixture
def few(sshd_installed: None) -> Iterator[Sshd]:
    """Room enough, and hardly a file more may be made there."""
    yield from server("size=4m,nr_inodes=12")


@pytest.fixture(autouse=True)
def free(small: Sshd) -> Iterator[None]:
    yield
    (small.locks / "tastyops.lock").unlink(missing_ok=True)


WRITES = {
    "as much as there is": ("head -c 4194304 /dev/zero", None),
    "twice as much": ("head -c 8388608 /dev/zero", 1),
    "ten times as much": ("head -c 41943040 /dev/zero", 1),
    "on standard error": ("head -c 8388608 /dev/zero >&2", 1),
    "on both": ("head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2", 1),
    "and does not mind": ("head -c 8388608 /dev/zero || true", 0),
    "and ends with 3": ("head -c 8388608 /dev/zero; exit 3", 3),
    "and is killed by a signal": ("head -c 8388608 /dev/zero; kill -TERM $$", 143),
    "a byte at a time": ("yes | head -c 8388608; true", 0),
    "in lines": ("seq 2000000; true", 0),
    "while another writes": ("yes & sleep 0.3; kill $!; exit 5", 5),
}


@pytest.mark.parametrize(("command", "status"), WRITES.values(), ids=WRITES)
def test_the_status_is_known_whatever_was_printed(
    small: Sshd, project: Path, command: str, status: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    write_inventory(project, small)
    (project / "script").write_text(f"{command}\n")
    step = f"{{run: 'sh {project}/script', register: said}}"
    text = f"title: T\nhosts: target\nworks: [{{work: W, steps: [{step}]}}]\n"
    code = main(["run", write_runbook(project, text), "--yes"])
    (run,) = run_directories(project / "runs")
    events = [event.body for event in read_events(run)]
    (settled,) = [body for body in events if isinstance(body, Settled)]
    (ended,) = [body for body in events if isinstance(body, StepEnded)]
    assert settled.how == "output"
    assert settled.result["cut"] is True
    if status is not None:
        assert settled.result["status"] == status
    assert (code == 0) is (settled.result["status"] == 0)
    assert ended.registered["truncated"]
    assert "no room" in ended.registered["stdout"]
    if code:
        assert "no room for all it printed" in capsys.readouterr().out


def test_what_fits_is_whole(small: Sshd, project: Path) -> None:
    write_inventory(project, small)
    text = "title: T\nhosts: target\nworks: [{work: W, steps: [{run: 'head -c 3000000 /dev/zero'}]}]\n"
    assert main(["run", write_runbook(project, text), "--yes"]) == 0
    (run,) = run_directories(project / "runs")
    (settled,) = [e.body for e in read_events(run) if isinstance(e.body, Settled)]
    assert "cut" not in settled.result
    assert settled.result["out"]["size"] == 3_000_000


def test_the_next_change_finds_room_again(small: Sshd, project: Path) -> None:
    write_inventory(project, small)
    much = "run: 'head -c 8388608 /dev/zero || true'"
    text = f"title: T\nhosts: target\nworks: [{{work: W, steps: [{{{much}}}, {{{much}}}, {{run: echo ok}}]}}]\n"
    assert main(["run", write_runbook(project, text), "--yes"]) == 0
    (run,) = run_directories(project / "runs")
    cut = [e.body.result.get("cut", False) for e in read_events(run) if isinstance(e.body, Settled)]
    assert cut == [True, True, False]


def test_a_picked_up_outcome_says_that_it_was_cut(small: Sshd, opened: Open) -> None:
    session = opened(small)
    ended = session.change("much", ["sh", "-c", "head -c 8388608 /dev/zero; exit 7"], sink=Counted())
    assert (ended.status, ended.state, ended.cut) == (7, "ended", True)
    assert session.fate("much") == Fate("ended", 7)
    again = session.follow("much", sink=Counted())
    assert (again.status, again.cut) == (7, True)
    session.forget("much")
    session.forget_run()
    session.unlock()


def test_a_reading_that_was_cut_gives_no_fact(small: Sshd, opened: Open) -> None:
    session = opened(small)
    ended = session.probe(["sh", "-c", "head -c 8388608 /dev/zero; exit 0"], sink=Counted())
    assert (ended.status, ended.cut) == (0, True)
    assert not session.probe(["true"], sink=Counted()).cut
    session.forget_run()
    session.unlock()


def test_standard_input_that_does_not_fit_is_not_sent(small: Sshd, opened: Open) -> None:
    session = opened(small)
    with pytest.raises(NoRoom, match="did not arrive whole"):
        session.change("big", ["cat"], sink=Counted(), stdin=b"x" * 6_000_000)
    assert session.fate("big") == Fate("never")
    assert session.change("small", ["cat"], sink=Counted(), stdin=b"x").status == 0
    session.forget_run()
    session.unlock()


def test_without_a_file_for_its_record_nothing_is_begun(few: Sshd, project: Path) -> None:
    """Each file counts there: what is begun has all that it needs, and its status is known."""
    write_inventory(project, few)
    steps = ", ".join(f"{{run: 'echo {n} >> {project}/mark'}}" for n in range(9))
    text = f"title: T\nhosts: target\nworks: [{{work: W, steps: [{steps}]}}]\n"
    code = main(["run", write_runbook(project, text), "--yes"])
    (run,) = run_directories(project / "runs")
    ends = [e.body for e in read_events(run) if isinstance(e.body, StepEnded)]
    assert "in doubt" not in {end.outcome for end in ends}
    done = sum(end.outcome == "done" for end in ends)
    marked = (project / "mark").read_text().splitlines() if (project / "mark").exists() else []
    assert len(marked) == done
    if code:
        assert "nothing was changed" in ends[-1].why or "room" in ends[-1].why
