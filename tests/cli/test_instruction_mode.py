"""A host that has neither ssh nor a console, and a person at its keyboard, in real terminals.

The person reads the screen, types at a real shell exactly the line that stands there, and types
back what that shell shows. The controller is killed in the middle, and ssh comes back in the end.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.project import Project, wait_for
from tests.cli.test_real_terminal import Tmux
from tests.cli.test_real_terminal import tmux as tmux  # a fixture
from tests.missing import missing
from tests.sshd.server import SSHD, Sshd

BOOK = """
title: Filesystem check by hand
hosts: box
inputs: {disk: {}}
works:
  - work: Check a filesystem
    steps:
      - run: dumpe2fs -h {{ disk }} 2>/dev/null | grep state
        reads: true
        register: before
        name: Read its state
      - run: e2fsck -p -f {{ disk }} || [ $? -eq 1 ]
        name: Check and repair it
      - run: dumpe2fs -h {{ disk }} 2>/dev/null | grep -c clean
        reads: true
        name: Read its state again
        log: Filesystem check complete, it was {{ before.rc }}.
"""


class Box:
    """An sshd that is not there until it is begun, at a port that is known."""

    def __init__(self) -> None:
        self.sshd = Sshd()
        self.sshd.start()
        self.end()

    def end(self) -> None:
        assert self.sshd.process is not None
        self.sshd.process.terminate()
        self.sshd.process.wait(60)

    def begin(self) -> None:
        argv = [SSHD or "sshd", "-D", "-e", "-f", str(self.sshd.folder / "sshd_config")]
        with open(self.sshd.folder / "log", "ab") as log:
            self.sshd.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        assert self.sshd._ready()


@pytest.fixture
def box(project: Project) -> Iterator[Box]:
    if SSHD is None:
        missing("needs sshd (Debian: apt-get install openssh-server)")
    made = Box()
    project.write("inventory.yml", f"""\
        hosts:
          box: {{address: 127.0.0.1, port: {made.sshd.port},
                known_hosts: {made.sshd.folder}/known_hosts, identity_file: {made.sshd.key}}}
    """)
    project.write("book.yml", BOOK)
    yield made
    made.sshd.stop()


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    if shutil.which("mke2fs") is None:
        missing("needs mke2fs (Debian: apt-get install e2fsprogs)")
    made = tmp_path / "disk"
    made.write_bytes(bytes(1024 * 1024))
    subprocess.run(["mke2fs", "-q", "-F", str(made)], check=True)
    subprocess.run(["debugfs", "-w", "-R", "ssv state 0", str(made)], check=True)
    return made


class Person:
    """Reads the screen, types at the host's shell and then at the terminal."""

    def __init__(self, tmux: Tmux) -> None:
        self.tmux = tmux
        self.shell = {**os.environ, "LC_ALL": "C", "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
        self.typed: list[str] = []

    def question(self, begins: str) -> str:
        """The line that stands on the screen after these words."""
        screen = self.tmux.wait(rf"{begins}(?s:.)*^How did it end\?\s*\Z")
        return screen.rpartition(begins)[2].split("\n\n")[1]

    def at_the_host(self, line: str) -> tuple[int, str]:
        self.typed.append(line)
        ended = subprocess.run(
            ["sh", "-c", line], env=self.shell, stdin=subprocess.DEVNULL, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
        )  # fmt: skip
        return ended.returncode, ended.stdout

    def tell(self, status: int | str, seen: str = "") -> None:
        self.tmux.press("-l", str(status))
        self.tmux.press("Enter")
        if isinstance(status, str):
            return
        self.tmux.wait(r"a line that holds a single dot:\s*\Z")
        for line in seen.splitlines():
            self.tmux.press("-l", line)
            self.tmux.press("Enter")
        self.tmux.press(".", "Enter")

    def answers(self, begins: str) -> str:
        line = self.question(begins)
        self.tell(*self.at_the_host(line))
        return line


def controller(project: Project) -> int:
    """The process that carries the run on: whose working directory is the project's."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"run" in words and (entry / "cwd").resolve() == project.path.resolve():
                return int(entry.name)
        except OSError:
            continue
    return 0


READS, CHANGES, BECAME = "it only reads:", "it may change the host:", "Do not type it now:"


@pytest.mark.sshd
def test_steps_are_typed_by_hand_until_ssh_is_back(
    tmux: Tmux, project: Project, box: Box, disk: Path
) -> None:
    python, person = sys.executable, Person(tmux)
    tmux.press(f"clear; {python} -m invoke run book.yml --var disk={disk}; echo code=$?", "Enter")
    menu = tmux.wait(r"could not reach the host\.(?s:.*)^What now\?\s*\Z")
    assert "\n  [h] go on by hand: type at the host, and tell here" in menu
    tmux.press("h", "Enter")
    assert person.answers("its own keyboard").startswith("cd /; export LC_ALL=C; id -u; uname -nr; ")
    first = f"dumpe2fs -h {disk} 2>/dev/null | grep state"
    assert person.answers(READS) == f"sh -c '{first}'"

    repair = person.question(CHANGES)
    assert repair == f"sh -c 'e2fsck -p -f {disk} || [ $? -eq 1 ]'"
    status, seen = person.at_the_host(repair)
    assert status == 0
    pid = controller(project)
    assert pid
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: "Killed" in tmux.screen or "code=137" in tmux.screen, "its end is told")

    tmux.press(f"stty sane; clear; {python} -m invoke status; echo code=$?", "Enter")
    open_question = tmux.wait(r"^code=0$")
    assert "At box type this; it may change the host:" in re.sub(r"\s+", " ", open_question)

    tmux.press(f"clear; {python} -m invoke resume; echo code=$?", "Enter")
    person.answers("its own keyboard")
    assert person.question(BECAME) == repair
    box.begin()
    person.tell(status, seen)
    end = tmux.wait(r"^code=\d+$")
    assert end.rstrip().endswith("code=0\n$"), end
    assert person.typed.count(repair) == 1
    shown = project.invoke("show", "last", "--commands").out
    assert len(re.findall(r"→ 0  \(typed by \w+\)$", shown, re.M)) == 2, "the third went over ssh"
    (page,) = (path.read_text() for path in project.path.glob("logs/*/*.md"))
    said = [re.sub(r"^- \[\d{4}\] ", "", line) for line in page.splitlines() if "- [" in line]
    assert said[::-1] == [
        "Step 1.1 'Read its state' failed: the host could not be reached.",
        "Step 1.1 'Read its state' is tried again.",
        "Steps on box are typed by hand: no ssh, no shell on a console.",
        "Step 1.1 'Read its state' completed.",
        "Step 1.2 'Check and repair it' completed.",
        "Steps on box go over ssh again.",
        "Filesystem check complete, it was 0.",
    ]


PRACTICE = """
title: Filesystem checks in emergency mode, by hand
hosts: kalimdor
works:
  - work: Start in emergency mode
    steps:
      - boot: emergency
  - work: Check
    steps:
      - fs.check: {filesystem: /boot, replay: true}
      - run: touch /run/by-hand
        name: Write
  - work: Back
    steps:
      - boot: normal
      - services.verify:
"""


@pytest.mark.long
@pytest.mark.timeout(400)
def test_practice_hands_type_where_the_practice_host_has_no_ssh(
    tmux: Tmux, project: Project
) -> None:
    project.write("book.yml", PRACTICE)
    tmux.press(f"clear; {sys.executable} -m invoke run book.yml; echo code=$?", "Enter")
    asks = r"\n  \[h\] (?s:.*)^What now\?\s*\Z"
    wait_for(lambda: re.search(asks, tmux.screen, re.M), "it is given up", patience=200)
    tmux.press("h", "Enter")
    end = wait_for(
        lambda: re.search(r"^code=\d+$", tmux.screen, re.M) and tmux.screen, "its end", patience=200
    )
    assert end.rstrip().endswith("code=0\n$"), end
    said = [re.sub(r"^- \[\d{4}\] ", "", line) for line in project.page().splitlines()]
    (begun,) = (n for n, line in enumerate(said) if "are typed by hand" in line)
    assert said[begun - 4 : begun] == [
        "Machine went on, without a restart, to normal mode, running kernel 6.1.0-48-amd64.",
        "Steps on kalimdor go over ssh again.",
        "Step 2.2 'Write' completed.",
        "/dev/md6 checked: no errors.",
    ]
    told = [e["body"].get("by") for e in project.events() if e["kind"] == "settled"]
    assert told.count("practice hands") > 4
    asked = [e["body"]["text"] for e in project.events() if e["kind"] == "asked"]
    assert sum("it may change the host" in text for text in asked) == 2


def test_an_answer_from_elsewhere_and_ctrl_c(tmux: Tmux, project: Project) -> None:
    with socket.socket() as taken:  # bound and not listening: whoever connects is refused
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        project.write("inventory.yml", f"hosts: {{box: {{address: 127.0.0.1, port: {port}}}}}")
        project.write("book.yml", """\
            title: By hand
            hosts: box
            works: [{work: W, steps: [{run: cat /etc/hostname, reads: true}, {run: touch it}]}]
        """)
        tmux.press(f"clear; {sys.executable} -m invoke run book.yml; echo code=$?", "Enter")
        tmux.wait(r"^What now\?\s*\Z")
        tmux.press("h", "Enter")
        tmux.wait(r"its own keyboard(?s:.)*^How did it end\?\s*\Z")
        refused = project.invoke("answer", "last", "300")
        assert (refused.code, "cannot tell, not typed, not known, leave" in refused.err) == (2, True)
        told = project.invoke("answer", "last", "0\n0\nbox 6.1.0\n-\n-")
        assert told.code == 0, told
        tmux.wait(r"type this; it only reads:\n\nsh -c 'cat /etc/hostname'\n(?s:.)*end\?\s*\Z")
        assert project.invoke("answer", "last", "0\nbox").code == 0
        tmux.wait(r"^sh -c 'touch it'\n(?s:.)*^How did it end\?\s*\Z")
        tmux.press("C-c")
        menu = tmux.wait(r"^What now\?\s*\Z")
        assert "Stopping: interrupted at the terminal" in menu
        assert "\n  [y] yes, it was done: go on" in menu, "whoever typed it knows"
        tmux.press("a", "Enter")
        end = tmux.wait(r"^code=\d+$")
        assert end.rstrip().endswith("code=5\n$"), end
    (page,) = (path.read_text() for path in project.path.glob("logs/*/*.md"))
    assert "Step 1.2 (run) is in doubt: what became of it is not known." in page
