"""A person at a real terminal (tmux): a run from its beginning to its end, and the failure menu."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.project import Project, wait_for
from tests.missing import missing
from tests.sshd.server import Sshd

NO_TMUX = "the test in a real terminal needs tmux (Debian: apt-get install tmux)"


class Tmux:
    """A terminal of 60 columns and 24 rows with a shell in it."""

    def __init__(self, project: Project, place: Path) -> None:
        self._command = ["tmux", "-S", str(place / "t"), "-f", "/dev/null"]
        self._environment = {**project.environment, "LC_ALL": "C.UTF-8", "PS1": "$ "}
        shell = ["env", "-i", *(f"{k}={v}" for k, v in self._environment.items()), "TERM=screen"]
        self._run("new-session", "-d", "-x", "60", "-y", "24", "-c", str(project.path),
                  *shell, "bash", "--norc", "--noprofile")

    def _run(self, *words: str) -> str:
        return subprocess.run(
            [*self._command, *words], env=self._environment, check=True, capture_output=True,
            encoding="utf-8", timeout=60,
        ).stdout

    def press(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    @property
    def screen(self) -> str:
        return "\n".join(line.rstrip() for line in self._run("capture-pane", "-p", "-J").splitlines())

    def wait(self, pattern: str) -> str:
        def look() -> str:
            return self.screen if re.search(pattern, self.screen, re.M) else ""

        try:
            return str(wait_for(look, pattern))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.screen}") from None

    def close(self) -> None:
        self._run("kill-server")


@pytest.fixture
def tmux(project: Project, short_path: Path) -> Iterator[Tmux]:
    if shutil.which("tmux") is None:
        missing(NO_TMUX)
    made = Tmux(project, short_path)
    yield made
    made.close()


def test_a_run_in_a_real_terminal(tmux: Tmux, project: Project) -> None:
    project.write(
        "book.yml",
        r"""
        title: Questions
        hosts: kalimdor
        works:
          - work: Show and ask
            steps:
              - run: "printf '\\033[2J\\033[31mRED\\033[0m %s\\n' 日本語日本語日本語日本語日本語日本語日本語日本語日本語; sleep 150"
              - confirm: Shall we go on?
              - ask: Which disk is it?
                register: disk
          - work: Wait
            steps:
              - run: echo {{ disk.value }}; sleep 7200
          - work: Never
            steps: [{run: echo never}]
        """,
    )
    tmux.press(f"{sys.executable} -m invoke run book.yml; echo code=$?", "Enter")
    live = tmux.wait(r"│ RED .*…$")
    assert re.search(r"^ ▶ Show and ask\n     kalimdor: 1\.1 run  \d:\d\d\n       │ RED 日本語", live, re.M)
    assert live.rstrip().endswith(" · Wait\n · Never")

    tmux.wait(r"^Shall we go on\? \[yes/no\]$")
    tmux.press("nonsense", "Enter")
    tmux.wait(r"^Please answer yes or no\.\nShall we go on\? \[yes/no\]$")
    tmux.press("ye")
    tmux.wait(r"^Shall we go on\? \[yes/no\] ye$")  # what is typed can be seen
    tmux.press("s", "Enter")
    asking = tmux.wait(r"^Which disk is it\?$")
    led_to = asking.index("1.1 run: done")
    assert led_to < asking.index("log: Step 1.1 (run) completed.") < asking.index("Shall we go on? [")
    assert "Shall we go on? [yes/no] yes\n" in asking  # and stays
    tmux.press("sdb", "Enter")

    live = tmux.wait(r"│ sdb$")
    assert "Which disk is it? sdb\n" in live
    assert live.rstrip().endswith(" · Never")
    tmux.press("C-c")
    asking = tmux.wait(r"^What now\?$")
    assert "Stopping: interrupted at the terminal" in asking
    assert "Step 2.1 (run) was cancelled.\n  [r] try the step again\n  [s] skip it" in asking
    tmux.press("a", "Enter")
    end = tmux.wait(r"^code=\d+$")
    assert " ✔ Show and ask (Completed)\n ✘ Wait (Not completed)\n - Never (Cancelled)\n" in end
    assert end.rstrip().endswith("code=3\n$")
    assert "sdb" not in project.page()


FAILING = """
title: Every choice
hosts: box
inputs: {ledger: {}, good: {default: "false"}}
works:
  - work: Retried
    steps: [{run: "echo one >> {{ ledger }}; test $(grep -c one {{ ledger }}) -ge 2"}]
  - work: Skipped
    steps: [{run: "echo two >> {{ ledger }}; exit 3"}, {run: "echo three >> {{ ledger }}"}]
  - work: Cancelled
    steps: [{run: "exit 3"}, {run: "echo never >> {{ ledger }}"}]
  - work: Doubted
    steps: [{run: "echo four >> {{ ledger }}; kill -s KILL 0"}]
  - work: Mended
    steps: [{run: "echo five >> {{ ledger }}; {{ good | raw }}"}]
  - work: Aborted
    steps: [{run: "exit 3"}, {run: "echo never >> {{ ledger }}"}]
  - work: Left
    steps: [{run: "echo never >> {{ ledger }}"}]
"""

CHOICES = """\
[HHMM] Step 6.1 (run) failed.
[HHMM] Step 5.1 (run) completed.
[HHMM] Step 5.1 (run) is tried again.
[HHMM] A fuse had blown.
[HHMM] Step 5.1 (run) failed.
[HHMM] Step 4.1 (run) was done, as an operator found.
[HHMM] Step 4.1 (run) is in doubt: what became of it is not known.
[HHMM] The rest of 'Cancelled' was cancelled.
[HHMM] Step 3.1 (run) failed.
[HHMM] Step 2.2 (run) completed.
[HHMM] Step 2.1 (run) was skipped.
[HHMM] Step 2.1 (run) failed.
[HHMM] Step 1.1 (run) completed.
[HHMM] Step 1.1 (run) is tried again.
[HHMM] Step 1.1 (run) failed."""


@pytest.mark.sshd
def test_each_choice_of_the_failure_menu_in_a_real_terminal(
    tmux: Tmux, project: Project, sshd: Sshd, tmp_path: Path
) -> None:
    project.write("inventory.yml", f"""\
        hosts:
          box: {{address: 127.0.0.1, port: {sshd.port}, known_hosts: {sshd.folder}/known_hosts,
                identity_file: {sshd.key}}}
    """)
    project.write("book.yml", FAILING)
    ledger = tmp_path / "ledger"
    words = f"run book.yml --var ledger={ledger}"
    tmux.press(f"clear; {sys.executable} -m invoke {words}; echo code=$?", "Enter")

    def asked(step: str, how: str = "failed") -> str:
        return tmux.wait(rf"^Step {step} \(run\) {how}(?s:.*)^What now\?$")

    menu = asked("1.1")
    for letter in "rscaiond":
        assert f"\n  [{letter}] " in menu
    assert "[y]" not in menu
    tmux.press("x", "Enter")
    tmux.wait(r"^Please type one of r s c a i o n d\.\nWhat now\?$")
    tmux.press("r", "Enter")
    asked("2.1")
    tmux.press("s", "Enter")
    asked("3.1")
    tmux.press("c", "Enter")
    assert "\n  [y] yes, it was done: go on" in asked("4.1", "is in doubt")
    tmux.press("y", "Enter")
    asked("5.1")
    tmux.press("o", "Enter")
    tmux.wait(r"[#$] $|[#$]$")
    tmux.press("echo from-the-shell >> " + str(ledger) + "; exit", "Enter")
    wait_for(lambda: "from-the-shell" in ledger.read_text(), "the shell is on the host")
    tmux.wait(r"^What now\?$")
    tmux.press("n", "Enter")
    tmux.wait(r"^Note for the log:$")
    tmux.press("A fuse had blown.", "Enter")
    tmux.wait(r"A fuse had blown\.(?s:.*)^What now\?$")
    tmux.press("i", "Enter")
    tmux.wait(r"  good = false(?s:.*)^NAME=VALUE, or nothing to leave it:$")
    tmux.press("good=true", "Enter")
    asked("6.1")
    tmux.press("a", "Enter")
    assert tmux.wait(r"^code=\d+$").rstrip().endswith("code=1\n$")

    assert ledger.read_text().split() == ["one", "one", "two", "three", "four", "five",
                                          "from-the-shell", "five"]  # fmt: skip
    (page,) = (path.read_text() for path in project.path.glob("logs/*/*.md"))
    assert "**Status:** Ended without completion at " in page
    works = re.findall(r"^  - (.*)$", page, re.M)
    assert works == [
        "Retried (Completed)",
        "Skipped (Not completed: step 2.1 (run) failed and was skipped)",
        "Cancelled (Not completed: step 3.1 (run) failed)",
        "Doubted (Completed)",
        "Mended (Completed)",
        "Aborted (Not completed: step 6.1 (run) failed)",
        "Left (Cancelled: step 6.1 (run) failed)",
    ]
    said = [re.sub(r"^- \[\d{4}\]", "[HHMM]", line) for line in page.splitlines()]
    assert "\n".join(line for line in said if line.startswith("[HHMM]")) == CHOICES
    assert "from-the-shell" not in page
    assert str(ledger) not in page
