"""Another operator's yes between two real accounts of this machine."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest

from tests.cli.project import ROOT, isolated, wait_for
from tests.sshd.accounts import Accounts

pytestmark = pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("useradd") is None,
    reason="two accounts of one machine: needs root and useradd",
)

PACKAGES = os.pathsep.join([str(ROOT), str(Path(pexpect.__file__).parents[1])])

RUNBOOK = """
title: The rack goes down
hosts: none
works:
  - work: Switch it off
    steps:
      - confirm: {question: Shall the rack go down?, by: another operator}
"""


@dataclass
class Two:
    """Two accounts and a project of the first, which the second can read but for its runs."""

    folder: Path
    first: str
    second: str
    python: str = ""

    def _how(self, who: str) -> tuple[dict[str, str], Callable[[], None]]:
        entry = pwd.getpwnam(who)
        home = self.folder / f"user-{who}"
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": PACKAGES, "TERM": "xterm"}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1", **isolated(home)}
        for path in (home, *home.rglob("*")):
            os.chown(path, entry.pw_uid, entry.pw_gid)

        def become() -> None:
            os.setgroups([])
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)

        return environment, become

    def interpreter(self) -> str:
        """A Python that other accounts may run; this one may lie in root's own home."""
        environment, become = self._how(self.second)
        usual = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
        for python in (os.path.realpath(sys.executable), usual):
            with contextlib.suppress(OSError):
                tried = subprocess.run(
                    [python, "-c", "import tastyops.cli.run"], env=environment, check=False,
                    stderr=subprocess.DEVNULL, preexec_fn=become, cwd="/",
                )  # fmt: skip
                if tried.returncode == 0:
                    return python
        pytest.skip("no Python here that another account may run")

    def begin(self, *words: str) -> pexpect.spawn[str]:
        """The first account, at a terminal."""
        environment, become = self._how(self.first)
        return pexpect.spawn(
            self.python, ["-m", "tastyops", *words], cwd=self.folder, env=environment,
            timeout=60, encoding="utf-8", dimensions=(40, 160), preexec_fn=become,
        )  # fmt: skip

    def says(self, who: str, *words: str) -> tuple[int, str]:
        """One of them, elsewhere, without a terminal."""
        environment, become = self._how(who)
        ended = subprocess.run(
            [self.python, "-m", "tastyops", *words], cwd=self.folder, env=environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
            preexec_fn=become if who != "root" else None,
        )  # fmt: skip
        return ended.returncode, ended.stdout + ended.stderr

    def named(self) -> None:
        """Names both in the inventory, so that the second finds the runs of the first."""
        operators = f"operators: [{self.first}, {self.second}]\n"
        (self.folder / "inventory.yml").write_text(f"hosts: {{web1: {{}}}}\n{operators}")

    @property
    def run(self) -> str:
        """The id of the only run."""
        (run,) = (path.name for path in (self.folder / "runs").iterdir() if path.name[0] != ".")
        return run

    def page(self) -> str:
        (page,) = self.folder.glob("logs/*/*.md")
        return page.read_text()


@pytest.fixture
def two() -> Iterator[Two]:
    accounts = Accounts()
    folder = Path(tempfile.mkdtemp(prefix="tastyops-two-"))
    try:
        first, second = accounts.make("/bin/sh"), accounts.make("/bin/sh")
        folder.chmod(0o755)
        entry = pwd.getpwnam(first)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        (folder / "inventory.yml").write_text("hosts: {web1: {}}\n")
        (folder / "book.yml").write_text(RUNBOOK)
        made = Two(folder, first, second)
        made.python = made.interpreter()
        yield made
    finally:
        accounts.remove()
        shutil.rmtree(folder, ignore_errors=True)


def ended(screen: pexpect.spawn[str]) -> int | None:
    screen.expect(pexpect.EOF)
    screen.close()
    return screen.exitstatus


def test_only_another_accounts_yes_lets_it_go_on(two: Two) -> None:
    with contextlib.closing(two.begin("run", "book.yml")) as screen:
        screen.expect("asks another operator: Shall the rack go down")
        screen.sendline("yes")  # the operator's own word
        (run,) = (path.name for path in (two.folder / "runs").iterdir() if path.name[0] != ".")
        code, said = two.says(two.first, "answer", "last", "yes")
        assert (code, f"{two.first} began this run" in said) == (2, True), said
        code, said = two.says("root", "answer", "last", "yes")
        assert (code, "root is nobody in particular" in said) == (2, True), said
        code, said = two.says(two.second, "status")
        assert code == 0, said
        assert f"`tastyops answer {run} yes|no`" in said
        assert "Shall the rack go down?" in said
        assert "damaged" not in said
        assert screen.isalive()
        code, said = two.says(two.second, "answer", run[:12], "yes")
        assert (code, f"Answered as {two.second}: yes" in said) == (0, True), said
        assert ended(screen) == 0
    assert f"Step 1.1 (confirm) was approved by {two.second}." in two.page()
    assert [path.name for path in (two.folder / "runs").iterdir()] == [run]
    code, said = two.says(two.second, "answer", run, "yes")
    assert code == 2, said
    assert "Traceback" not in said


def test_an_answer_waits_for_a_run_whose_controller_ended(two: Two) -> None:
    screen = two.begin("run", "book.yml")
    screen.expect("asks another operator: Shall the rack go down")
    screen.kill(signal.SIGKILL)
    screen.expect(pexpect.EOF)
    screen.close()
    code, said = two.says(two.first, "resume", "--yes")
    assert (code, "waits for another operator" in said) == (5, True), said
    # nobody takes it now; it lies there until the run is gone on with
    environment, become = two._how(two.second)
    answer = subprocess.Popen(
        [two.python, "-m", "tastyops", "answer", "last", "no"], cwd=two.folder,
        env=environment, stdout=subprocess.PIPE, text=True, preexec_fn=become,
    )  # fmt: skip
    out, _ = answer.communicate(timeout=60)
    assert " was left for the run" in out
    code, said = two.says(two.first, "resume", "--yes")
    assert code == 5, said  # it was declined: the rest needs a person at a terminal
    assert "Step 1.1 (confirm) was cancelled" in said


ALONE = """
title: A disk is changed
hosts: none
works:
  - work: Change it
    steps:
      - manual: Pull the disk.
"""


def test_another_account_reaches_a_live_run(two: Two) -> None:
    (two.folder / "book.yml").write_text(ALONE)
    two.named()
    with contextlib.closing(two.begin("run", "book.yml")) as screen:
        screen.expect("Pull the disk")
        code, said = two.says(two.second, "status")
        assert (code, f"{two.first}, another account's (under way)" in said) == (0, True), said
        assert "Nothing is under way" not in said
        code, said = two.says(two.second, "status", "--json")
        (other,) = json.loads(said)["others"]
        assert (other["run"], other["live"]) == (two.run, True)
        code, said = two.says(two.second, "note", "Smoke seen in the rack.")
        assert (code, f"Noted as {two.second} in " in said) == (0, True), said
        wait_for(lambda: "] Smoke seen in the rack.\n" in two.page(), "it stands in the log")
        code, said = two.says(two.second, "note", "The key is in the drawer.", "--private")
        assert (code, "in the private record" in said) == (0, True), said
        code, said = two.says(two.second, "attend", "last")
        assert (code, f"{two.second} attends " in said) == (0, True), said
        code, said = two.says(two.second, "attend", "last", "--as", two.first)
        assert (code, "joined under your own login" in said) == (2, True), said
        code, said = two.says("root", "note", "Root was here.", "--run", two.run)
        assert code == 0, said
        assert screen.isalive()
        screen.sendline("done")
        assert ended(screen) == 0
    page = two.page()
    assert f"**Attending:** {two.first}, {two.second}\n" in page
    assert [line in page for line in ("Smoke seen", "drawer", "Root was here")] == [True, False, True]
    journal = (two.folder / "runs" / two.run / "journal.jsonl").read_text()
    lines = [json.loads(line) for line in journal.splitlines()]
    noted = [(line["who"], line["body"]["text"]) for line in lines if line["kind"] == "noted"]
    assert noted[:2] == [
        (two.second, "Smoke seen in the rack."), (two.second, "The key is in the drawer."),
    ]
    assert [path.name for path in (two.folder / "runs").iterdir()] == [two.run]


def test_what_another_account_may_not_is_refused_and_says_whom_to_ask(two: Two) -> None:
    (two.folder / "book.yml").write_text(ALONE)
    two.named()
    with contextlib.closing(two.begin("run", "book.yml")) as screen:
        screen.expect("Pull the disk")
        log = f"{two.page().split('/')[0][-4:]}/001"
        for words in (["cancel", "last"], ["show", "last"], ["verify", "last"],
                      ["resume", "--run", two.run], ["cancel", log]):  # fmt: skip
            code, said = two.says(two.second, *words)
            assert (code, f"The run {two.run} belongs to {two.first}" in said) == (2, True), said
        code, said = two.says(two.second, "summary", "last", "x")
        assert (code, f"The log {log} is {two.first}'s" in said) == (2, True), said
        assert "`tastyops note` reaches the run" in said
        code, said = two.says(two.second, "answer", "last", "done")
        assert (code, "asks nothing of another operator" in said) == (2, True), said
        assert f"for {two.first} to answer" in said
        inventory = two.folder / "inventory.yml"
        inventory.write_text(f"hosts: {{web1: {{}}}}\noperators: [{two.first}]\n")
        code, said = two.says(two.second, "note", "x")
        assert (code, "is not among the inventory's operators" in said) == (2, True), said
        screen.sendline("done")
        assert ended(screen) == 0
    assert "] x\n" not in two.page()
    code, said = two.says(two.second, "note", "Afterwards.")
    assert (code, f"is {two.first}'s: {two.second} may not write it" in said) == (2, True), said


def test_a_note_waits_for_a_run_whose_controller_ended(two: Two) -> None:
    (two.folder / "book.yml").write_text(ALONE)
    two.named()
    screen = two.begin("run", "book.yml")
    screen.expect("Pull the disk")
    wait_for(lambda: list(two.folder.glob("runs/.desk-*/board.json")), "its desk stands there")
    screen.kill(signal.SIGKILL)
    screen.expect(pexpect.EOF)
    screen.close()
    code, said = two.says(two.second, "status")
    assert (code, "another account's (its controller ended)" in said) == (0, True), said
    code, said = two.says(two.second, "note", "It went dark.", "--run", two.run)
    assert (code, "A resumed run takes it" in said) == (0, True), said
    with contextlib.closing(two.begin("resume")) as screen:
        screen.expect("Pull the disk")
        screen.sendline("done")
        assert ended(screen) == 0
    assert two.page().count("It went dark.") == 1


def test_another_account_finds_no_run_where_nobody_else_takes_part(two: Two) -> None:
    (two.folder / "alone.yml").write_text(
        "title: Alone\nhosts: none\nworks: [{work: It, steps: [{confirm: Now?}]}]\n"
    )
    assert two.says(two.first, "run", "alone.yml", "--yes")[0] == 0
    assert (two.folder / "runs").stat().st_mode & 0o777 == 0o700
    for words in (["status"], ["list"], ["show", "last"], ["note", "Seen."]):
        code, said = two.says(two.second, *words)
        assert code in (0, 2), said
        assert "error in tastyops" not in said
