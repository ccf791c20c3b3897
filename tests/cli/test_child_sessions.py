"""Child processes have sessions of their own: the kernel signals a closed terminal's whole foreground.

Each place that starts a process says ``start_new_session=True``, or stands in the table of
exceptions with the reason.
"""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import pexpect

from tests.cli.project import Project, wait_for

TASTYOPS = Path(__file__).resolve().parents[2] / "tastyops"

STARTERS = {"Popen", "run", "call", "check_call", "check_output"}
"""What starts a process by way of ``subprocess``."""

OTHERS = {
    "system", "popen", "fork", "forkpty", "posix_spawn", "posix_spawnp", "spawnv", "spawnvp",
    "execv", "execvp", "execve", "create_subprocess_exec", "create_subprocess_shell",
}  # fmt: skip
"""Other ways, none of which is used: each would need a decision."""

EXCEPTIONS = {
    "app/interventions.py": "the operator's own shell on a host needs the terminal; it changes nothing "
    "that the run waits for but the question, which stays open",
    "app/secret_sources.py": "a secret's command may ask for its own key on the terminal; it has ended "
    "before the first step",
    "cli/lab/ssh.py": "the operator's own shell on the lab machine; no run waits for it",
    "transport/openssh/terminal.py": "ssh asks for a passphrase on the terminal before the first step, "
    "in a process group of its own; once authenticated it goes on in a session of its own",
    "lab": "builds and manages the lab's machine and is to end with its terminal; no run waits for "
    "it, and QEMU has a session of its own",
}
"""By file or package: why what it starts stays in the session of tastyops."""


def test_every_child_process_has_a_session_of_its_own() -> None:
    without: set[str] = set()
    found = 0
    for path in sorted(TASTYOPS.rglob("*.py")):
        name = str(path.relative_to(TASTYOPS))
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            assert owner not in ("os", "asyncio") or node.func.attr not in OTHERS, (name, node.lineno)
            if owner != "subprocess" or node.func.attr not in STARTERS:
                continue
            found += 1
            words = {each.arg: each.value for each in node.keywords}
            own = words.get("start_new_session")
            if not (isinstance(own, ast.Constant) and own.value is True):
                without.add("lab" if name.startswith("lab/") else name)
    assert found > 8, "the test no longer sees how processes are started"
    assert without == EXCEPTIONS.keys()


def test_a_terminal_closed_while_a_secret_is_fetched_begins_nothing(project: Project) -> None:
    """The exception among the secrets' sources: whatever becomes of its command, no run began."""
    asks = project.write("asks.py", b"import sys, time\nopen('/dev/tty', 'w').write('PIN? ')\ntime.sleep(3600)\n")
    project.write(
        "book.yml",
        f"""
        title: A secret
        hosts: kalimdor
        inputs: {{pw: {{secret: true, help: A password, source: {{command: [{sys.executable}, {asks}]}}}}}}
        works: [{{work: W, steps: [{{run: "echo {{{{ pw }}}}", no_log: true}}]}}]
        """,
    )
    screen = pexpect.spawn(
        sys.executable, ["-m", "tastyops", "run", "book.yml"], cwd=str(project.path),
        env={**project.environment, "TERM": "xterm"}, encoding="utf-8", timeout=60,
    )  # fmt: skip
    screen.expect("PIN\\? ")
    os.close(screen.child_fd)
    wait_for(lambda: not screen.isalive(), "the process to end")
    assert project.left_nothing()
