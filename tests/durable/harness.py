"""Runs a runbook, ends its controller on the way, resumes the run, and compares the results.

Every change of the runbook appends its own word to a ledger on the host, so that a change done
twice, or not at all, can be counted.
"""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tastyops.journal.envelope import Event
from tastyops.model.inventory import Host
from tastyops.records.runs import read_events, run_directories
from tests.cli.project import ROOT, isolated
from tests.durable import forked

SECONDS = 120.0
KILLED = -9
IN_DOUBT = 5
KILLS = "kills"
"""A test's property: where it killed runs, and the figures of its tally."""

RUNBOOK = """
title: Twelve steps
hosts: target
inputs: {ledger: ""}
works:
  - work: First
    steps:
      - run: echo 1.1 >> {{ ledger }}
      - {run: "cat {{ ledger }}", reads: true, register: seen}
      - run: "echo 1.3-{{ seen.stdout }} >> {{ ledger }}"
      - run: "sleep 0.2; echo 1.4 >> {{ ledger }}"
        log: The slow one is done.
  - work: Second
    steps:
      - confirm: Go on?
      - run: echo 2.2 >> {{ ledger }}
      - run: "echo 2.3 >> {{ ledger }}; test $(grep -c 2.3 {{ ledger }}) -ge 2"
        until: result.rc == 0
        retries: 3
        delay: 1s
      - watch: {command: "echo 100%", every: 1s, what: Sync}
  - work: Third
    steps:
      - run: echo 3.1 >> {{ ledger }}
      - {ask: {question: Which?, default: sdb}, register: disk}
      - run: "echo 3.3-{{ disk.value }} >> {{ ledger }}"
      - {run: echo 3.4 >> {{ ledger }}, log: All is done.}
""".replace("{run: echo 3.4 >> {{ ledger }}, log", '{run: "echo 3.4 >> {{ ledger }}", log')

EXPECTED = ["1.1", "1.3-1.1", "1.4", "2.2", "2.3", "2.3", "3.1", "3.3-sdb", "3.4"]
"""The ledger after an uninterrupted run."""


@dataclass
class Site:
    """A host and a way to read a file there."""

    host: Host
    read: Callable[[str], str]
    ledgers: str
    practice: bool = False


@dataclass
class Attempt:
    """One project directory: a run that was killed, and what became of it."""

    folder: Path
    ledger: str
    outputs: list[str] = field(default_factory=list)

    @property
    def run(self) -> Path:
        (run,) = run_directories(next(self.folder.glob("**/runs")))
        return run

    @property
    def events(self) -> list[Event]:
        return list(read_events(self.run))

    @property
    def page(self) -> str:
        """The log without its times, its number's day and the run's identity."""
        (page,) = self.folder.glob("**/logs/*/*.md")
        text = re.sub(r"\[\d{4}\]", "[HHMM]", page.read_text())
        text = re.sub(r"at \d\d:\d\dhrs", "at HH:MMhrs", text)
        return re.sub(r"run [0-9TZ-]+-\w+, \d+ events, head \w+", "record", text)


def prepare(folder: Path, site: Site, runbook: str = RUNBOOK) -> Attempt:
    """A project of its own."""
    folder.mkdir(parents=True)
    host = site.host
    lines = [
        f"    address: {host.address}",
        f"    port: {host.port}",
        f"    user: {host.user}",
        f"    identity_file: {host.identity_file}",
        f"    known_hosts: {host.known_hosts}",
        f"    connection: {host.connection}",
    ]
    practice = "practice: true\n" if site.practice else ""
    (folder / "inventory.yml").write_text(
        f"{practice}hosts:\n  target:\n" + "\n".join(lines) + "\n"
    )
    (folder / "book.yml").write_text(runbook)
    return Attempt(folder, f"{site.ledgers}/{folder.name}")


def perform(
    attempt: Attempt, *words: str, die_at: int | None = None, dry: bool = False
) -> int:
    """A verb in a process of its own, which dies after that event."""
    output = attempt.folder / "output"
    code = forked.run(
        words, folder=attempt.folder, environment=surroundings(attempt, dry), moment=die_at,
        output=output, patience=SECONDS,
    )  # fmt: skip
    said = output.read_text()
    assert code is not None, f"it hangs; it said {said}"
    return ended(attempt, words, code, said)


def surroundings(attempt: Attempt, dry: bool) -> dict[str, str]:
    """The environment of a process of the program."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        **({"INVOKE_RUN_DRY": "1"} if dry else {}),
        **isolated(attempt.folder / "user"),
    }


def begin(
    attempt: Attempt, *words: str, module: Sequence[str] = ("tastyops",), dry: bool = False,
    before: Callable[[], None] | None = None, **environment: str,
) -> subprocess.Popen[str]:
    """A verb in a process of its own, under way."""
    return subprocess.Popen(
        [sys.executable, "-m", *module, *words],
        cwd=attempt.folder,
        env={**surroundings(attempt, dry), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=before,
    )


def finish(attempt: Attempt, process: subprocess.Popen[str]) -> int:
    """Waits for it to end; one that does not is killed, and the test fails."""
    try:
        said, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
        raise AssertionError(f"it hangs; it said {said}") from None
    words = process.args[3:] if isinstance(process.args, list) else []
    return ended(attempt, words, process.returncode, said)


def ended(attempt: Attempt, words: Sequence[object], code: int, said: str) -> int:
    """Notes how a process came out, and returns its exit code."""
    attempt.outputs.append(f"{' '.join(map(str, words))} → {code}\n{said}")
    assert "Traceback" not in said, said
    return code


def opening(attempt: Attempt) -> list[str]:
    """The words of a run's first process."""
    return ["run", "book.yml", "--yes", "--take-over", "--var", f"ledger={attempt.ledger}"]


def start(attempt: Attempt, die_at: int | None = None) -> int:
    """The run's first process."""
    return perform(attempt, *opening(attempt), die_at=die_at)


@dataclass
class Tally:
    """What the kills came to."""

    kills: int = 0
    doubts: int = 0
    problems: list[str] = field(default_factory=list)

    def figures(self) -> tuple[int, int, int, int]:
        """Kills, lost, doubled, in doubt."""
        lost = sum("lost" in p for p in self.problems)
        doubled = sum("doubled" in p for p in self.problems)
        return self.kills, lost, doubled, self.doubts


def row(where: str, figures: Iterable[Sequence[int]]) -> str:
    """The figures of several tallies, added up."""
    kills, lost, doubled, doubts = map(sum, zip(*figures, strict=True))
    return f"{where}: {kills} kills, {lost} lost, {doubled} doubled, {doubts} in doubt"


def undated(page: str) -> str:
    """A log without its days: a sweep may pass midnight."""
    return re.sub(r"[A-Z][a-z]+ \d+(?:st|nd|rd|th) \d{4}", "DAY", page)


def judge(attempt: Attempt, site: Site, code: int, page: str) -> list[str]:
    """What is wrong with a resumed run."""
    ledger = Counter(site.read(attempt.ledger).split())
    wanted = Counter(EXPECTED)
    problems = [f"doubled: {word}" for word in ledger if ledger[word] > wanted[word]]
    if code == IN_DOUBT:
        return problems
    problems += [f"lost: {word}" for word in wanted if ledger[word] < wanted[word]]
    if code != 0:
        problems.append(f"lost: resume ended with {code}")
    if undated(attempt.page) != undated(page):
        problems.append(f"lost: the log differs\n{attempt.page}\n--- instead of ---\n{page}")
    if perform(attempt, "verify", "last") != 0:
        problems.append("lost: verify finds fault")
    return problems


def sweep(
    folder: Path, sites: Sequence[Site], moments: Sequence[int], page: str,
    end: Callable[[Attempt, int], int] = start, ends: Collection[int] = (KILLED,),
) -> Tally:
    """Ends a run at each of these moments, one run at a time on each site, and resumes each.

    ``end`` starts the run and ends its process at that moment, by SIGKILL if nothing else is given;
    ``ends`` are the exit codes it may have then.
    """
    tally = Tally()
    free: queue.SimpleQueue[Site] = queue.SimpleQueue()
    for site in sites:
        free.put(site)

    def one(moment: int) -> tuple[int, bool, list[str]]:
        site = free.get()
        try:
            attempt = prepare(folder / f"kill-{moment}", site)
            if end(attempt, moment) not in ends:
                return moment, False, ["lost: it did not end so", *attempt.outputs]
            code = perform(attempt, "resume", "--yes")
            problems = judge(attempt, site, code, page)
        finally:
            free.put(site)
        return moment, code == IN_DOUBT, [*problems, *(attempt.outputs if problems else [])]

    with ThreadPoolExecutor(len(sites)) as pool:
        for moment, doubt, problems in pool.map(one, moments):
            tally.kills += 1
            tally.doubts += doubt
            tally.problems += [f"at event {moment}: {problem}" for problem in problems]
    return tally
