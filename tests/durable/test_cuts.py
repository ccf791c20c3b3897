"""The link is cut at random bytes, both ways and in every phase: nothing doubled, nothing lost."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tastyops.journal.events import RunClosed, StepEnded
from tastyops.records.document.markdown import render_markdown
from tastyops.records.logs import LogFile
from tastyops.redact import Masker
from tests.durable.conftest import read_here
from tests.durable.harness import Attempt, Site, perform, prepare, start
from tests.durable.wire import Cut, Wire, cuts
from tests.sshd.conftest import carrier as carrier  # a fixture
from tests.sshd.server import Sshd

pytestmark = [pytest.mark.sshd, pytest.mark.timeout(3000), pytest.mark.usefixtures("carrier")]

SEED = int(os.environ.get("TASTYOPS_SEED", "4711"))
PATIENCE = 90.0
"""Seconds within which a run ends, whatever its link does."""

RUNBOOK = """
title: Over a bad wire
hosts: target
inputs: {ledger: ""}
works:
  - work: First
    steps:
      - {run: "echo 1.1 >> {{ ledger }}", log: The first is done.}
      - {run: "cat {{ ledger }}", reads: true, register: seen}
      - run: "echo 1.3-{{ seen.stdout }} >> {{ ledger }}; head -c 300000 /dev/zero | tr '\\\\0' x"
      - run: {command: "cat > /dev/null; echo 1.4 >> {{ ledger }}", stdin: "STDIN"}
  - work: Second
    steps:
      - {run: "sleep 0.5; echo 2.1 >> {{ ledger }}", log: The slow one is done.}
      - {run: "head -c 200000 /dev/zero | tr '\\\\0' x", reads: true}
      - run: "echo 2.3 >> {{ ledger }}"
      - {run: "echo 2.4 >> {{ ledger }}", log: All is done.}
""".replace("STDIN", "x" * 16_000)

WORDS = {"1.1": "1.1", "1.3": "1.3-1.1", "1.4": "1.4", "2.1": "2.1", "2.3": "2.3", "2.4": "2.4"}
"""The steps that change something, and what they leave in the ledger."""


@dataclass
class Tally:
    """What the cuts came to."""

    runs: int = 0
    cuts: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    doubts: int = 0
    slowest: float = 0.0
    problems: list[str] = field(default_factory=list)

    def rows(self) -> str:
        lost = sum("lost" in problem for problem in self.problems)
        doubled = sum("doubled" in problem for problem in self.problems)
        made = ", ".join(f"{count} {where}" for where, count in sorted(self.cuts.items()))
        ends = ", ".join(f"{count} {how}" for how, count in sorted(self.ends.items()))
        return (
            f"{sum(self.cuts.values())} cuts ({made}) in {self.runs} runs: {ends}; {self.doubts} steps in "
            f"doubt, {doubled} doubled, {lost} lost; the slowest took {self.slowest:.0f} s"
        )


@pytest.fixture
def servers(sshd_installed: None, tmp_path: Path) -> Iterator[list[Sshd]]:
    """Two hosts, for two runs at a time."""
    (tmp_path / "ledgers").mkdir()
    with ExitStack() as stack:
        made = [Sshd() for _ in range(2)]
        for server in made:
            stack.callback(server.stop)
            server.start()
        yield made


def behind(server: Sshd, wire: Wire, folder: Path) -> Site:
    """The host as it is reached through the wire."""
    known = folder / f"known-{wire.port}"
    kind, blob = (server.folder / "host_ed25519.pub").read_text().split()[:2]
    known.write_text(f"[127.0.0.1]:{wire.port} {kind} {blob}\n")
    host = replace(server.host(), port=wire.port, known_hosts=str(known))
    return Site(host, read_here, str(folder / "ledgers"))


def phase(cut: Cut) -> str:
    """Roughly: the first 3 kB each way are keys and authentication, the next 10 our shell's start."""
    when = "in the handshake" if cut.after < 3_000 else "at the start" if cut.after < 13_000 else "later"
    return f"{when}, {cut.way}"


def wrong(attempt: Attempt, site: Site) -> list[str]:
    """What the ledger, the journal and the log do not agree on."""
    ledger = Counter(site.read(attempt.ledger).split())
    ends = {e.at.step: e.body.outcome for e in attempt.events if isinstance(e.body, StepEnded)}
    problems = [f"doubled: {word}" for word, times in ledger.items() if times > 1]
    for step, word in WORDS.items():
        if ends.get(step) == "done" and ledger[word] != 1:
            problems.append(f"lost: step {step} is done, and the ledger has {dict(ledger)}")
        if ends.get(step) not in ("done", "in doubt") and ledger[word]:
            problems.append(f"lost: step {step} is {ends.get(step)}, and was done")
    if perform(attempt, "verify", "last") != 0:
        problems.append("lost: verify finds fault")
    (page,) = attempt.folder.glob("**/logs/*/*.md")
    log = LogFile(page.with_suffix(""), Masker(), say=lambda _: None)
    if page.read_text() != render_markdown(log.document()):
        problems.append("lost: the page is not its journal's")
    return problems


def one(folder: Path, server: Sshd, to_come: list[Cut], whole: str, tally: Tally) -> None:
    """A run over a wire that breaks, gone on with until it is over; looks what happened."""
    with Wire(server.port, to_come) as wire:
        site = behind(server, wire, folder.parent)
        attempt = prepare(folder, site, RUNBOOK)
        began, codes = time.monotonic(), [start(attempt)]
        while not isinstance(attempt.events[-1].body, RunClosed) and len(codes) < 6:
            codes.append(perform(attempt, "resume", "--yes"))
        took = time.monotonic() - began
        problems = wrong(attempt, site)
        if not isinstance(attempt.events[-1].body, RunClosed):
            problems.append(f"lost: it does not end: {codes}")
        if codes[-1] == 0 and attempt.page != whole:
            problems.append(f"lost: the log differs\n{attempt.page}\n--- instead of ---\n{whole}")
        if took > PATIENCE:
            problems.append(f"lost: it took {took:.0f} s")
    doubts = [e for e in attempt.events if isinstance(e.body, StepEnded) and e.body.outcome == "in doubt"]
    tally.runs += 1
    tally.cuts.update(phase(cut) for cut in wire.made)
    tally.ends["resumed" if len(codes) > 1 else {0: "completed", 4: "unreachable", 5: "in doubt"}.get(codes[0], f"ended with {codes[0]}")] += 1
    tally.doubts += len(doubts)
    tally.slowest = max(tally.slowest, took)
    if problems:
        tally.problems += [f"{to_come}: {problem}" for problem in [*problems, *attempt.outputs]]


def sweep(servers: list[Sshd], folder: Path, runs: int, capsys: pytest.CaptureFixture[str]) -> Tally:
    with Wire(servers[0].port) as wire:
        site = behind(servers[0], wire, folder)
        attempt = prepare(folder / "whole", site, RUNBOOK)
        assert start(attempt) == 0, attempt.outputs
        assert site.read(attempt.ledger).split() == list(WORDS.values())
        assert wrong(attempt, site) == []
        up, down = wire.passed["up"], wire.passed["down"]
    tally = Tally()
    plans = [cuts(SEED + number, 1 + number % 4, up, down) for number in range(runs)]

    def lane(which: int) -> None:
        for number in range(which, runs, len(servers)):
            one(folder / f"cut-{number}", servers[which], plans[number], attempt.page, tally)

    with ThreadPoolExecutor(len(servers)) as pool:
        list(pool.map(lane, range(len(servers))))
    capsys.readouterr()
    with capsys.disabled():
        sys.stdout.write(f"\n{tally.rows()}\n")
    assert not tally.problems, "\n".join(tally.problems[:20])
    return tally


def test_a_link_cut_at_random_bytes(
    carrier: str, servers: list[Sshd], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = {"ssh": 6, "openssh": 3}[carrier]
    tally = sweep(servers, tmp_path, runs, capsys)
    # a place is drawn from one whole run; a run that sends fewer bytes never comes to it
    assert sum(tally.cuts.values()) > runs // 2


@pytest.mark.long
def test_a_link_cut_at_very_many(
    servers: list[Sshd], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = sweep(servers, tmp_path, 150, capsys)
    assert sum(tally.cuts.values()) >= 150
