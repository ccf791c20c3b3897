"""``resume``, ``cancel``, ``status`` and ``answer`` as an operator meets them after a kill."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from tastyops.errors import JournalDamaged
from tastyops.practice.server import PracticeHost
from tastyops.records.journal_follower import Following
from tests.cli.project import ROOT, isolated
from tests.durable.harness import (
    EXPECTED,
    KILLED,
    RUNBOOK,
    Attempt,
    Site,
    begin,
    finish,
    perform,
    prepare,
    start,
)

pytestmark = pytest.mark.sshd

MIDWAY = 30
"""An event of the second work."""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A practice host that outlives its controllers."""
    with PracticeHost.start("target", scale=1.0) as practice:

        def read(path: str) -> str:
            return practice.machine.execute(["cat", path]).out.decode()

        yield Site(practice.host, read, "/root", practice=True)


@pytest.fixture
def killed(site: Site, tmp_path: Path) -> Attempt:
    """A run whose controller was killed midway."""
    attempt = prepare(tmp_path / f"p{tmp_path.name}", site)
    assert start(attempt, MIDWAY) == KILLED
    return attempt


def said(attempt: Attempt) -> str:
    return attempt.outputs[-1]


def status(attempt: Attempt) -> dict[str, list[dict[str, object]]]:
    assert perform(attempt, "status", "--json") == 0
    found: dict[str, list[dict[str, object]]] = json.loads(said(attempt).partition("\n")[2])
    return found


def test_nothing_unfinished_is_no_failure(site: Site, tmp_path: Path) -> None:
    attempt = prepare(tmp_path / "empty", site)
    assert perform(attempt, "resume") == 0
    assert "There is no unfinished run." in said(attempt)
    assert perform(attempt, "status") == 0
    assert "Nothing is under way and nothing is unfinished." in said(attempt)


def test_a_dead_run_is_shown_and_gone_on_with(killed: Attempt, site: Site) -> None:
    (run,) = status(killed)["runs"]
    assert run["live"] is False
    assert str(run["status"]).startswith("In progress, last event ")
    assert perform(killed, "status") == 0
    assert "`invoke resume` goes on with it" in said(killed).replace("`tastyops", "`invoke")
    assert perform(killed, "resume", "--yes") == 0
    assert site.read(killed.ledger).split() == EXPECTED
    assert [event.epoch for event in killed.events][-1] == 2
    assert status(killed)["runs"] == []
    assert perform(killed, "resume", "--run", "last") == 0
    assert "is over: Completed" in said(killed)


def test_a_dry_run_cancels_and_answers_nothing(killed: Attempt) -> None:
    before = [event.hash for event in killed.events]
    assert perform(killed, "cancel", "last", dry=True) == 0
    assert perform(killed, "resume", "--yes", dry=True) == 2
    assert [event.hash for event in killed.events] == before


def test_a_dead_run_can_be_cancelled(killed: Attempt) -> None:
    assert perform(killed, "cancel", "last", "--because", "no time") == 0
    assert status(killed)["runs"] == []
    assert "**Status:** Ended without completion" in killed.page
    assert "(Not completed: " in killed.page
    assert "no time" not in killed.page
    assert perform(killed, "verify", "last") == 0


def test_an_edited_runbook_is_told_step_by_step_and_refused_unless_accepted(
    killed: Attempt, site: Site
) -> None:
    edited = RUNBOOK.replace("echo 3.1 >>", "echo 3.1-new >>").replace("title:", "# moved\ntitle:")
    (killed.folder / "book.yml").write_text(edited)
    assert perform(killed, "resume", "--yes") == 2
    assert "was changed since the run began: step 3.1 (not begun): changed." in said(killed)
    assert "3.1" not in site.read(killed.ledger)
    assert perform(killed, "resume", "--yes", "--accept-changes") == 0
    assert "3.1-new" in site.read(killed.ledger).split()


def test_a_resumed_run_may_be_given_another_end_of_its_at_risk_period(killed: Attempt) -> None:
    assert perform(killed, "resume", "--yes", "--window-end", "2001-01-01 02:00") == 2
    assert "the time is in the past" in said(killed)
    assert perform(killed, "resume", "--yes", "--window-end", "2099-01-01 02:00") == 0
    assert "until 0200hrs, January 1st 2099." in killed.page
    assert "The at-risk period now lasts until 0200hrs, January 1st 2099." in killed.page
    assert perform(killed, "run", "book.yml", "--yes", "--window-end", "2001-01-01 02:00") == 2
    assert "The at-risk period is over" in said(killed)
    assert len(list(killed.folder.glob("**/logs/*/*.md"))) == 1  # no number was taken


def test_a_step_already_begun_that_was_edited_is_named_as_such(killed: Attempt) -> None:
    edited = RUNBOOK.replace("echo 1.1 >>", "echo one >>")
    (killed.folder / "book.yml").write_text(edited)
    assert perform(killed, "resume", "--yes") == 2
    assert "step 1.1 (already begun): changed" in said(killed)


def test_a_torn_last_line_is_put_aside_and_reported(killed: Attempt, site: Site) -> None:
    journal = killed.run / "journal.jsonl"
    torn = b'{"v":1,"run":"half a li'
    journal.write_bytes(journal.read_bytes() + torn)
    assert perform(killed, "resume", "--yes") == 0
    assert site.read(killed.ledger).split() == EXPECTED
    (kept,) = killed.run.glob("torn-*.bin")
    assert kept.read_bytes() == torn
    assert [event.kind for event in killed.events if event.kind == "line-torn"] == ["line-torn"]
    assert perform(killed, "verify", "last") == 0


def test_a_flipped_byte_stops_resume_before_any_host(killed: Attempt, site: Site) -> None:
    journal = killed.run / "journal.jsonl"
    data, before = bytearray(journal.read_bytes()), site.read(killed.ledger)
    data[200] ^= 1
    journal.write_bytes(bytes(data))
    assert perform(killed, "resume", "--yes") == 1
    assert "journal.jsonl:1" in said(killed)
    assert site.read(killed.ledger) == before
    (run,) = status(killed)["runs"]
    assert "damaged" in run


def test_an_inventory_without_the_host_is_refused(killed: Attempt) -> None:
    inventory = killed.folder / "inventory.yml"
    inventory.write_text(inventory.read_text().replace("  target:", "  other:"))
    assert perform(killed, "resume", "--yes") == 2
    assert "has hosts that the inventory does not have: target" in said(killed)


def test_an_unreachable_host_leaves_the_run_to_be_resumed(killed: Attempt, site: Site) -> None:
    inventory = killed.folder / "inventory.yml"
    right = inventory.read_text()
    # a change that has no outcome yet: only the host knows
    other = prepare(killed.folder / "doubt", site)
    intended = next(e.seq for e in killed.events if e.kind == "intended")
    assert start(other, intended) == KILLED
    (other.folder / "inventory.yml").write_text(
        right.replace(f"port: {site.host.port}", "port: 1")
    )
    assert perform(other, "resume", "--yes") == 4
    (other.folder / "inventory.yml").write_text(right)
    assert perform(other, "resume", "--yes", "--take-over") == 0
    assert site.read(other.ledger).split() == EXPECTED


FAILING = """
title: One step fails
hosts: target
inputs: {ledger: "", good: "false"}
works:
  - work: First
    steps:
      - run: "echo tried >> {{ ledger }}; {{ good | raw }}"
      - {run: "echo after >> {{ ledger }}"}
"""


ASKING = """
title: A step asks
hosts: target
inputs: {ledger: "", pin: {secret: true, source: {env: PIN}}}
works:
  - work: First
    steps:
      - ask: "What does the note say?"
"""
PIN = "swordfish-47"


@contextmanager
def on_a_terminal(
    folder: Path, site: Site, runbook: str, shows: str
) -> Iterator[tuple[Attempt, pexpect.spawn[str]]]:
    """A run at a terminal, once that is on the screen."""
    attempt = prepare(folder, site, runbook)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm",
        "PIN": PIN,
        **isolated(attempt.folder / "user"),
    }
    words = ["-m", "tastyops", "run", "book.yml", "--take-over", "--var"]
    screen = pexpect.spawn(
        sys.executable,
        [*words, f"ledger={attempt.ledger}"],
        cwd=attempt.folder,
        env=environment,
        timeout=60,
        encoding="utf-8",
        dimensions=(40, 120),
    )
    screen.expect(shows)
    yield attempt, screen
    screen.close(force=True)


@pytest.fixture
def failing(site: Site, tmp_path: Path) -> Iterator[tuple[Attempt, pexpect.spawn[str]]]:
    """A run at a terminal whose first step failed, with its menu on the screen."""
    with on_a_terminal(tmp_path / f"f{tmp_path.name}", site, FAILING, "What now\\? ") as found:
        yield found


def ended(screen: pexpect.spawn[str]) -> int | None:
    screen.expect(pexpect.EOF)
    screen.close()
    return screen.exitstatus


def test_an_answer_from_another_terminal_withdraws_the_menu(
    failing: tuple[Attempt, pexpect.spawn[str]], site: Site
) -> None:
    attempt, screen = failing
    (run,) = status(attempt)["runs"]
    assert run["live"] is True
    assert [asked["text"] for asked in run["questions"]] == ["Step 1.1 (run) failed."]  # type: ignore[attr-defined]
    assert perform(attempt, "resume", "--yes") == 6
    assert perform(attempt, "answer", "last", "maybe") == 2
    assert perform(attempt, "answer", "last", "skip") == 0
    assert "Answered as " in said(attempt)
    assert ended(screen) == 1
    assert site.read(attempt.ledger).split() == ["tried", "after"]
    assert "failed and was skipped)" in attempt.page
    assert perform(attempt, "answer", "last", "skip") == 2


def test_an_answer_that_comes_too_late_is_not_called_one(
    failing: tuple[Attempt, pexpect.spawn[str]]
) -> None:
    attempt, screen = failing
    os.kill(screen.pid, signal.SIGSTOP)
    try:
        answers = [begin(attempt, "answer", "last", word) for word in ("skip", "abort")]
        deadline = time.monotonic() + 60
        while len([*attempt.run.glob("spool/*.json")]) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        os.kill(screen.pid, signal.SIGCONT)
    assert sorted(finish(attempt, each) for each in answers) == [0, 2]
    taken, aside = sorted(attempt.outputs[-2:], key=lambda output: "discarded" in output)
    assert "Answered as " in taken
    assert "The question was no longer open when the answer came" in aside
    assert ended(screen) == 1


def test_an_answer_with_a_secret_in_it_is_one_and_kept_masked(site: Site, tmp_path: Path) -> None:
    place = tmp_path / f"a{tmp_path.name}"
    with on_a_terminal(place, site, ASKING, "What does the note say") as (attempt, screen):
        assert perform(attempt, "answer", "last", f"the pin is {PIN}") == 0
        assert "Answered as " in said(attempt)
        assert ended(screen) == 0
    assert PIN not in (attempt.run / "journal.jsonl").read_text()


def test_another_input_a_note_and_a_retry(
    failing: tuple[Attempt, pexpect.spawn[str]], site: Site
) -> None:
    attempt, screen = failing
    screen.sendline("nonsense")
    screen.expect("Please type one of r s c a i o n d\\.")
    screen.expect("What now\\? ")
    screen.sendline("n")
    screen.expect("Note for the log: ")
    screen.sendline("The disk was full.")
    screen.expect("What now\\? ")
    screen.sendline("i")
    screen.expect("NAME=VALUE")
    screen.sendline("nobody=1")
    screen.expect("There is no input nobody")
    screen.expect("What now\\? ")
    screen.sendline("i")
    screen.expect("NAME=VALUE")
    screen.sendline("good=true")
    assert ended(screen) == 0
    assert site.read(attempt.ledger).split() == ["tried", "tried", "after"]
    assert "The disk was full." in attempt.page
    assert "Step 1.1 (run) is tried again." in attempt.page
    assert "Completed" in attempt.page


def test_ctrl_d_at_the_menu_leaves_the_run_to_be_resumed(
    failing: tuple[Attempt, pexpect.spawn[str]],
) -> None:
    attempt, screen = failing
    screen.sendeof()
    assert ended(screen) == 5
    (run,) = status(attempt)["runs"]
    assert run["live"] is False
    assert perform(attempt, "cancel", "last", "--take-over") == 0


def test_another_operator_attends_and_reads_along(
    failing: tuple[Attempt, pexpect.spawn[str]],
) -> None:
    attempt, screen = failing
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TERM": "xterm",
        **isolated(attempt.folder / "user"),
    }  # fmt: skip
    words = ["-m", "tastyops", "attend", "last", "--as", "ncm"]

    def attend() -> pexpect.spawn[str]:
        return pexpect.spawn(
            sys.executable, words, cwd=attempt.folder, env=environment, timeout=60,
            encoding="utf-8", dimensions=(40, 160),
        )  # fmt: skip

    first = attend()
    first.expect("Step 1.1 \\(run\\) failed.")
    first.expect("What now\\? ")
    first.sendintr()
    first.expect("You have left; the run .* goes on.")
    assert ended(first) == 0
    assert screen.isalive()
    second = attend()
    second.expect("What now\\? ")
    assert perform(attempt, "answer", "last", "skip") == 0
    second.expect("1.1 run: skip")
    second.expect("log: Step 1.1 \\(run\\) was skipped.")
    second.expect("The run is over: Ended without completion.")
    assert ended(second) == 0
    assert ended(screen) == 1
    assert re.search("Attending:\\*\\* \\w+, ncm\n", attempt.page)
    joined = [event for event in attempt.events if event.kind == "joined"]
    assert {getattr(event.body, "name", "") for event in joined} == {"ncm"}


def test_a_log_without_a_live_run_gets_the_name_alone(killed: Attempt) -> None:
    assert perform(killed, "attend", "last", "--as", "ncm") == 0
    assert re.search("Attending:\\*\\* \\w+, ncm\n", killed.page)
    assert perform(killed, "attend", "last", "--as", "ncm") == 0
    assert killed.page.count("ncm") == 1
    assert perform(killed, "cancel", "last") == 0
    assert perform(killed, "attend", "last", "--as", "ncm", dry=True) == 0


def test_what_follows_a_journal_sees_whole_lines_and_what_was_altered(killed: Attempt) -> None:
    journal = killed.run / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    following = Following(killed.run)
    journal.write_bytes(b"".join(lines[:3]) + lines[3][:20])
    assert [event.seq for event in following.more()] == [1, 2, 3]
    assert following.more() == []
    journal.write_bytes(b"".join(lines[:5]))
    assert [event.seq for event in following.more()] == [4, 5]
    journal.write_bytes(b"".join([*lines[:5], lines[6]]))
    with pytest.raises(JournalDamaged, match="before this one was altered, removed or moved"):
        following.more()
