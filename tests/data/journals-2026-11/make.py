"""Writes the journals and logs of this directory with an older checkout of tastyops.

``PYTHONPATH=OLD python make.py WORKDIR``, see README.md. Each unfinished run is a process that kills
itself with SIGKILL as soon as a chosen event is in its journal, and nothing after that event.
"""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tastyops.cli.program import main
from tastyops.practice.server import PracticeHost
from tastyops.records.files import append_all
from tastyops.records.runs import RunJournal

HERE = Path(__file__).resolve().parent
LEDGER = "/root/ledger"

BOOK = """\
title: Move the mail spool
kind: at risk
hosts: target
inputs: {ledger: /root/ledger}
works:
  - work: Prepare
    steps:
      - run: "echo prepared >> {{ ledger }}"
      - {run: "cat {{ ledger }}", reads: true, register: seen}
      - {run: "seq 1200; echo copied-after-{{ seen.stdout }} >> {{ ledger }}", log: The spool was copied.}
      - run: "sleep 1; echo rested >> {{ ledger }}"
  - work: Switch over
    steps:
      - confirm: Is the mail queue empty?
      - watch: {command: cat /root/progress, every: 1s, what: Copying}
      - run: "echo tried >> {{ ledger }}; test $(grep -c tried {{ ledger }}) -ge 2"
        until: result.rc == 0
        retries: 3
        delay: 1s
  - work: Finish
    steps:
      - {ask: {question: Which spool?, default: new}, register: spool}
      - run: "echo finished-{{ spool.value }} >> {{ ledger }}"
        log: The mail spool was moved.
"""

TWO = """\
title: Two mail servers
hosts: [left, right]
works:
  - work: Both
    steps:
      - run: "echo first >> /root/ledger"
      - {run: "sleep 1; echo second >> /root/ledger", log: Both have it.}
"""

FAILING = """\
title: A step that fails
hosts: target
works:
  - work: Try
    steps:
      - run: "echo before >> /root/ledger"
      - {run: "echo nothing works >&2; false", name: The broken step}
    on_failure:
      - {run: "echo cleared >> /root/ledger", log: Cleared up.}
  - work: Never begun
    steps:
      - run: "echo never >> /root/ledger"
"""

MANUAL = """\
title: Label the new disk
hosts: target
works:
  - work: Label it
    steps:
      - run: "echo ready >> /root/ledger"
      - manual: Put a label on the disk.
      - {run: "echo labelled >> /root/ledger", log: The disk was labelled.}
"""

SECRET = """\
title: Set the password of the mail database
hosts: target
inputs: {password: {secret: true, source: {env: MAIL_PASSWORD}}}
works:
  - work: Set it
    steps:
      - {run: "echo {{ password }} > /root/password"}
      - {ask: {question: Does it work?, default: "yes"}}
      - {run: "echo set >> /root/ledger", log: The password was changed.}
"""

EVALUATED = """\
title: Name the mail server
hosts: target
inputs: {program: "echo named >> /root/ledger"}
works:
  - work: Name it
    steps:
      - run: "echo before >> /root/ledger"
      - {run: "sh -c {{ program }}", log: The mail server has a name.}
"""
"""Later versions refuse this one: its value is a program for sh."""

BOOKS = {
    "book": BOOK, "two": TWO, "failing": FAILING, "manual": MANUAL, "secret": SECRET,
    "evaluated": EVALUATED,
}

UNFINISHED: dict[str, tuple[str, str, dict[str, object]]] = {
    # name: the runbook, on a terminal or not, what the last event is
    "opened": ("book", "alone", {"kind": "run-opened"}),
    "step-started": ("book", "alone", {"kind": "step-started", "step": "1.1"}),
    "change-in-flight": ("book", "alone", {"kind": "intended", "step": "1.4"}),
    "large-output": ("book", "alone", {"kind": "settled", "step": "1.3"}),
    "between-steps": ("book", "alone", {"kind": "step-ended", "step": "1.2"}),
    "between-works": ("book", "alone", {"kind": "work-ended"}),
    "confirm": ("book", "alone", {"kind": "asked", "step": "2.1"}),
    "confirmed": ("book", "alone", {"kind": "answered", "step": "2.1"}),
    "first-report": ("book", "alone", {"kind": "reported", "step": "2.2"}),
    "asleep": ("book", "alone", {"kind": "reported", "step": "2.2", "times": 2}),
    "slept": ("book", "alone", {"kind": "settled", "step": "2.2", "how": "slept", "times": 2}),
    "before-a-retry": ("book", "alone", {"kind": "attempt-ended", "step": "2.3"}),
    "between-attempts": ("book", "alone", {"kind": "settled", "step": "2.3", "how": "slept"}),
    "question": ("book", "alone", {"kind": "asked", "step": "3.1"}),
    "manual": ("manual", "terminal", {"kind": "asked", "step": "1.2"}),
    "work-ended": ("book", "alone", {"kind": "work-ended", "times": 3}),
    "two-hosts": ("two", "alone", {"kind": "intended", "step": "1.2", "times": 2}),
    "secret": ("secret", "alone", {"kind": "asked", "step": "1.2"}),
    "failure-question": ("failing", "terminal", {"kind": "asked", "question": "failure"}),
    "clearing-up": ("failing", "alone", {"kind": "intended", "step": "1-failure-1"}),
}


# -- a controller that kills itself --------------------------------------------------------------


def kill_at(wanted: dict[str, object]) -> None:
    """Lets this process die once the wanted event is durable."""
    commit = RunJournal.commit
    left = int(str(wanted.get("times", 1)))

    def cut(journal: RunJournal, durable: bool = True) -> None:
        nonlocal left
        for count, line in enumerate(journal._pending, 1):
            event = json.loads(line)
            flat = {**event.get("body", {}), **event}
            if all(flat.get(key) == value for key, value in wanted.items() if key != "times"):
                left -= 1
                if left == 0:
                    append_all(journal._fd, b"".join(journal._pending[:count]))
                    os.fdatasync(journal._fd)
                    os.kill(os.getpid(), signal.SIGKILL)
        commit(journal, durable)

    RunJournal.commit = cut  # type: ignore[method-assign]


def victim(words: list[str]) -> int:
    kill_at(json.loads(words[0]))
    return main(words[1:])


# -- a project with its hosts --------------------------------------------------------------------


@contextmanager
def project(workdir: Path, *hosts: str) -> Iterator[dict[str, PracticeHost]]:
    """An empty project in ``workdir`` whose hosts outlive their controllers."""
    shutil.rmtree(workdir, ignore_errors=True)
    workdir.mkdir(parents=True)
    os.chdir(workdir)
    lines, started = ["timezone: Europe/London", "practice: true", "logs: public"], {}
    lines += ["runs: private", "hosts:"]
    for name in hosts:
        host = started[name] = PracticeHost.start(name, scale=1.0)
        host.machine.files.add("/root/progress", "40%\n")
        at = host.host
        lines += [f"  {name}:", f"    address: {at.address}", f"    port: {at.port}"]
        lines += [f"    user: {at.user}", f"    identity_file: {at.identity_file}"]
        lines += [f"    known_hosts: {at.known_hosts}"]
    Path("inventory.yml").write_text("\n".join(lines) + "\n")
    for name, text in BOOKS.items():
        Path(f"{name}.yml").write_text(text)
    try:
        yield started
    finally:
        for host in started.values():
            host.close()


ENVIRONMENT = {**os.environ, "MAIL_PASSWORD": "not-a-real-one", "HOME": "/nonexistent", "TMPDIR": "."}


def tastyops(*words: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tastyops", *words], capture_output=True, text=True,
        stdin=subprocess.DEVNULL, env=ENVIRONMENT, check=False,
    )
    if done.returncode != code:
        raise SystemExit(f"{words} → {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def killed(wanted: dict[str, object], *words: str, terminal: bool) -> None:
    argv = [sys.executable, str(Path(__file__).resolve()), "--victim", json.dumps(wanted), *words]
    if terminal:
        pid, fd = pty.fork()
        if pid == 0:
            os.execve(argv[0], argv, {**ENVIRONMENT, "TERM": "dumb"})
        while True:
            try:
                if not os.read(fd, 4096):
                    break
            except OSError:
                break
        ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    else:
        ended = subprocess.run(argv, stdin=subprocess.DEVNULL, env=ENVIRONMENT, check=False).returncode
    if ended != -signal.SIGKILL:
        raise SystemExit(f"{words} was not killed but ended with {ended}")


def keep(name: str, workdir: Path) -> None:
    """Copies the records of the project, without locks, desks and empty directories."""
    target = HERE / name
    shutil.rmtree(target, ignore_errors=True)
    for place in ("public", "private"):
        for file in (workdir / place).rglob("*"):
            if file.is_file() and file.suffix != ".lock" and ".desk-" not in str(file):
                kept = target / file.relative_to(workdir)
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(file.read_bytes())


# -- what is made --------------------------------------------------------------------------------


def unfinished(workdir: Path, chosen: list[str]) -> None:
    for name, (book, where, wanted) in UNFINISHED.items():
        if chosen and name not in chosen:
            continue
        hosts = ("left", "right") if book == "two" else ("target",)
        with project(workdir, *hosts) as started:
            if name in ("before-a-retry", "between-attempts", "question", "work-ended"):
                for host in started.values():
                    host.machine.files.add("/root/progress", "100%\n")
            yes = [] if where == "terminal" else ["--yes"]
            killed(wanted, "run", f"{book}.yml", *yes, terminal=where == "terminal")
            keep(f"unfinished/{name}", workdir)


def refused(workdir: Path) -> None:
    with project(workdir, "target"):
        killed({"kind": "step-ended", "step": "1.1"}, "run", "evaluated.yml", "--yes", terminal=False)
        keep("refused/evaluated-value", workdir)


def finished(workdir: Path) -> None:
    with project(workdir, "target") as started:
        started["target"].machine.files.add("/root/progress", "100%\n")
        tastyops("run", "book.yml", "--yes")
        tastyops("run", "failing.yml", "--yes", code=1)
        tastyops("run", "secret.yml", "--yes")
        killed({"kind": "step-ended", "step": "1.2"}, "run", "book.yml", "--yes", terminal=False)
        tastyops("cancel", "last")
        keep("finished/several-runs", workdir)
    with project(workdir, "target") as started:
        started["target"].machine.files.add("/root/progress", "100%\n")
        number = tastyops("incident", "Mail is not delivered", "--host", "target",
                          "--summary", "The queue grows.")
        tastyops("note", "The disk is full.")
        tastyops("note", "Ask the owner of the lists.", "--private")
        tastyops("work", "add", number, "Empty the queue")
        tastyops("run", "failing.yml", "--yes", "--into", number, code=1)
        killed({"kind": "attempt-ended"}, "run", "book.yml", "--yes", "--into", number,
               terminal=False)
        tastyops("resume", "--yes")
        tastyops("note", "Mail flows again.")
        tastyops("note", "The lists were the cause.", "--private")
        tastyops("correct", number, "2", "The spool's disk is full.")
        tastyops("work", "complete", number, "1")
        tastyops("close", number, "--because", "the rest is for tomorrow")
        keep("finished/incident", workdir)
    with project(workdir):
        Path("inventory.yml").write_text(
            "timezone: Europe/London\nlogs: public\nruns: private\n"
            "hosts:\n  kalimdor: {connection: practice}\n"
        )
        old = Path(str(sys.modules["tastyops"].__file__)).parents[1]
        shutil.copy(old / "runbooks" / "kernel-upgrade.yml", workdir)
        tastyops("run", "kernel-upgrade.yml", "--yes")
        keep("finished/kernel-upgrade", workdir)


if __name__ == "__main__":
    if sys.argv[1] == "--victim":
        sys.exit(victim(sys.argv[2:]))
    place = Path(sys.argv[1])
    if sys.argv[2:] not in (["refused"], ["finished"]):
        unfinished(place, sys.argv[2:])
    if sys.argv[2:] in ([], ["refused"]):
        refused(place)
    if sys.argv[2:] in ([], ["finished"]):
        finished(place)
    shutil.rmtree(place)
