"""A host's power switched on from the failure menu."""

from __future__ import annotations

import sys

import pexpect
import pytest

from tastyops.app.interventions import switch_on
from tastyops.errors import PowerUnreachable
from tastyops.journal.events import Body, Noted
from tastyops.model.inventory import Host
from tests.cli.project import PATIENCE, Project
from tests.core.outside import FakeWays

HOST = Host("box")
DARK = PowerUnreachable("The rack is dark.", still_true="Nothing was sent.")


@pytest.mark.parametrize(
    ("ways", "said", "notes"),
    [
        (FakeWays(power_is="on"), "The power of box is on.", []),
        (
            FakeWays(power_is="off"),
            "The power of box was switched on.",
            ["The power of box is to be switched on.", "Power of box switched on."],
        ),
        (FakeWays(dark=True), "The rack is dark.", []),
        (
            FakeWays(power_is="off", turning="lost"),
            "The power switch of box did not say whether it obeyed.",
            ["The power of box is to be switched on."],
        ),
        (
            FakeWays(power_is="off", turning=DARK),
            "The rack is dark. Nothing was sent.",
            ["The power of box is to be switched on."],
        ),
    ],
    ids=["on", "off", "dark", "no word", "dark by then"],
)
def test_what_is_said_and_noted(ways: FakeWays, said: str, notes: list[str]) -> None:
    handed: list[Body] = []
    assert switch_on(HOST, ways, handed.append) == said
    assert [note.text for note in handed if isinstance(note, Noted)] == notes


def test_it_stands_in_the_log_and_the_question_stays(project: Project) -> None:
    project.write("inventory.yml", """\
        hosts:
          box:
            address: 127.0.0.1
            port: 1
            power:
              on: touch up
              off: rm up
              status: sh -c 'test -e up && echo on || echo off'
          bare: {address: 127.0.0.1, port: 1}
    """)
    project.runbook("run: 'true'", hosts="box")
    project.runbook("run: 'true'", name="bare.yml", hosts="bare")
    screen = begun(project, "book.yml")
    screen.expect(r"\[p\] switch the host's power on")
    screen.expect("What now")
    screen.sendline("p")
    screen.expect("The power of box was switched on.")
    screen.expect("What now")
    assert (project.path / "up").exists()
    screen.sendline("a")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 4
    (page,) = [path.read_text() for path in project.path.glob("logs/*/*.md")]
    assert "] Power of box switched on.\n" in page
    assert "is to be" not in page
    screen = begun(project, "bare.yml")
    screen.expect(r"\[o\] open a shell")
    screen.expect("What now")
    assert "[p]" not in str(screen.before)
    screen.close(force=True)


def begun(project: Project, book: str) -> pexpect.spawn[str]:
    return pexpect.spawn(
        sys.executable, ["-m", "tastyops", "run", book], cwd=str(project.path),
        env={**project.environment, "TERM": "vt100"}, timeout=PATIENCE, encoding="utf-8",
        dimensions=(50, 120),
    )  # fmt: skip
