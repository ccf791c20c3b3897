"""Restores the records of an older version, and the hosts they were made on."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tastyops.journal.chain import unseal
from tastyops.journal.connection_events import Connected
from tastyops.journal.envelope import Event, event_from_json
from tastyops.journal.events import Intended, Settled
from tastyops.practice.machine import Machine
from tastyops.practice.protocol_server import _LOCK
from tastyops.practice.server import PracticeHost

DATA = Path(__file__).resolve().parents[1] / "data" / "journals-2026-11"
UNFINISHED = sorted(path.name for path in (DATA / "unfinished").iterdir())
FINISHED = sorted(path.name for path in (DATA / "finished").iterdir())


def journals() -> list[Path]:
    """Every journal of a run."""
    return sorted(DATA.glob("*/*/private/*/journal.jsonl"))


def logs() -> list[Path]:
    """Every journal of a log."""
    return sorted(DATA.glob("*/*/public/*/*.jsonl"))


def named(path: Path) -> str:
    """A short name for one of them."""
    return "/".join(path.relative_to(DATA).parts[1:2] + path.parts[-2:])


def events_of(journal: Path) -> list[Event]:
    """Its events; every line is sound."""
    events = []
    for line in unseal(io.BytesIO(journal.read_bytes())):
        assert not line.faults
        assert line.data is not None
        events.append(event_from_json(line.data))
    return events


def put_back(name: str, project: Path) -> None:
    """Copies the records into a project, with the modes and empty directories they had."""
    shutil.copytree(DATA / name, project, dirs_exist_ok=True)
    private = project / "private"
    for run in private.iterdir():
        for part in ("blobs", "spool"):
            (run / part).mkdir(exist_ok=True)
    for path in (private, *private.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)


@dataclass
class Hosts:
    """The modelled hosts of one run, as its controller left them when it was killed."""

    events: list[Event]
    progress: str = "100%\n"
    started: dict[str, PracticeHost] = field(default_factory=dict)

    def start(self, stack: ExitStack, *, rebooted: bool = False) -> None:
        """Starts each and repeats on the model what the journal says was done."""
        opened = self.events[0].body
        for name in opened.hosts:  # type: ignore[attr-defined]
            host = stack.enter_context(PracticeHost.start(name, scale=1.0))
            host.machine.files.add("/root/progress", self.progress)
            self.started[name] = host
            met = [e for e in self.events if isinstance(e.body, Connected) and e.at.host == name]
            if met and not rebooted:
                self._restore(host.machine, name, met[-1])

    def _restore(self, machine: Machine, name: str, met: Event) -> None:
        assert isinstance(met.body, Connected)
        machine.boot.id = met.body.boot_id
        directory = f"/run/tastyops/{met.run}.{met.body.boot_id}"
        machine.files.add_directory(directory)
        machine.files.add_directory(os.path.dirname(_LOCK))
        machine.files.add(_LOCK, f"{met.run} {met.body.epoch} {name}\nwho root\n")
        settled = {e.at for e in self.events if isinstance(e.body, Settled)}
        for event in self.events:
            if isinstance(event.body, Intended) and event.at.host == name:
                machine.files.add(f"{directory}/.born", event.body.record)
                if event.at in settled:
                    machine.execute(event.body.command["change"])

    def end(self, event: Event) -> None:
        """Lets a change that was in flight end on its host, and leaves its fate there."""
        assert isinstance(event.body, Intended)
        machine = self.started[event.at.host].machine
        done = machine.execute(event.body.command["change"])
        fate = event.body.fate
        machine.files.add(f"{fate}.pid", "999999 (sh) S 1 999999 999999 0 -1 0 0 0\n")
        machine.files.add(f"{fate}.out", done.out)
        machine.files.add(f"{fate}.err", done.err)
        machine.files.add(f"{fate}.rc", f"{done.status}\n")

    @property
    def in_flight(self) -> list[Event]:
        """The changes without an outcome in the journal."""
        settled = {e.at for e in self.events if isinstance(e.body, Settled)}
        return [e for e in self.events if isinstance(e.body, Intended) and e.at not in settled]

    def read(self, path: str) -> dict[str, list[str]]:
        """A file of every host, by words; none where a host has no such file."""
        files = {name: host.machine.files for name, host in self.started.items()}
        return {
            name: each.text(path).split() if each.is_file(path) else []
            for name, each in files.items()
        }

    def inventory(self) -> str:
        """The inventory of the run, with where its hosts are now."""
        lines = ["timezone: Europe/London", "practice: true", "logs: public", "runs: private"]
        lines += ["hosts:"]
        for name, host in self.started.items():
            at = host.host
            lines += [f"  {name}:", f"    address: {at.address}", f"    port: {at.port}"]
            lines += [f"    user: {at.user}", f"    identity_file: {at.identity_file}"]
            lines += [f"    known_hosts: {at.known_hosts}"]
        return "\n".join(lines) + "\n"


Verb = Callable[..., tuple[int, str]]
