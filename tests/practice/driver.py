"""Drives an action's generator against a machine, as the engine would, without SSH or journal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tastyops.commands import Ask, Blob, Change, Command, Offline, Output, Probe, Report, Sleep
from tastyops.model.action import ActionSpec, Facts
from tastyops.practice.hands import Hands
from tastyops.practice.machine import Machine
from tastyops.probes.parsing import parse


@dataclass
class Driver:
    """``seen`` has every command in order, ``entries`` the sentences for the log."""

    machine: Machine
    facts: Facts
    seen: list[Command] = field(default_factory=list)
    entries: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def run(self, spec: ActionSpec, **params: Any) -> dict[str, Any] | None:
        steps = spec.perform(spec.build(**params), self.facts)
        value: Any = None
        while True:
            try:
                command = steps.send(value)
            except StopIteration as end:
                registered: dict[str, Any] | None = end.value
                return registered
            self.seen.append(command)
            value = self.perform(command)

    def perform(self, command: Command) -> Any:
        match command:
            case Probe():
                return self._probe(command)
            case Change(argv, stdin):
                return self._output(argv, stdin)
            case Sleep(seconds):
                self.machine.clock.sleep(seconds, self._wake)
            case Report(entry=entry, note=note):
                self.entries += [entry.text] if entry else []
                self.notes += [note] if note else []
            case Ask(kind, text, by, default):
                said = Hands().answer(
                    {"question": kind, "text": text, "by": by, "default": default}
                )
                assert said
                return said[0]
        return None

    def _wake(self, seconds: float) -> bool:
        with self.machine.lock:
            self.machine.lock.wait(seconds)
        return False

    def _output(self, argv: tuple[str, ...], stdin: bytes = b"") -> Output:
        outcome = self.machine.execute(argv, stdin)
        at = self.machine.clock.time()
        return Output(outcome.status, Blob.of(outcome.out), Blob.of(outcome.err), at=at)

    def _probe(self, probe: Probe) -> Any:
        try:
            output = self._output(probe.argv)
        except ConnectionRefusedError:
            if not probe.offline:
                raise
            return Offline("refused", self.machine.clock.time())
        return parse(probe.parser, output)


def until(machine: Machine, so: Callable[[], bool]) -> None:
    """Waits until something is so, at most as many practice seconds as an hour has."""
    due = machine.clock.time() + 3600
    while not so():
        assert machine.clock.time() < due
        with machine.lock:
            machine.lock.wait(machine.clock.real(0.5))


def up(machine: Machine) -> bool:
    """Whether the machine is up by now."""
    machine.catch_up()
    return machine.up
