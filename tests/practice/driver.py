"""Drives an action's generator against a machine, as the engine would, without SSH or journal."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

from tastyops.facts.parsers import parse
from tastyops.model.action import ActionSpec, Facts
from tastyops.model.commands import (
    Ask,
    Blob,
    Change,
    Command,
    Offline,
    Output,
    Probe,
    Report,
    Sleep,
)
from tastyops.practice.console import SerialConsole
from tastyops.practice.hands import Hands
from tastyops.practice.machine import Machine
from tastyops.practice.power_state import PowerSwitch
from tastyops.transport.console.screen import Drawing


class Serial:
    """What a machine's serial console has said, drawn at once; somebody is always joined."""

    attached = True

    def __init__(self) -> None:
        self.drawing = Drawing()

    def say(self, data: bytes) -> None:
        """The machine says something."""
        self.drawing.feed(data)

    def said(self, until: tuple[str, ...] | list[str]) -> bool:
        """Whether any of them has been said since the last look."""
        return any(re.search(pattern, self.drawing.text) for pattern in until)


class Kept:
    """A sink."""

    def __init__(self) -> None:
        self.stdout = b""

    def out(self, data: bytes) -> None:
        """Kept."""
        self.stdout += data

    def err(self, data: bytes) -> None:
        """Dropped."""


@dataclass
class Driver:
    """``seen`` has every command in order, ``entries`` the sentences for the log."""

    machine: Machine
    facts: Facts
    seen: list[Command] = field(default_factory=list)
    entries: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    serial: Serial | None = None
    """A console that looks do not wait at; ``watched`` gives it to the machine."""

    def watched(self) -> Driver:
        """With a console and a power switch, as one of the inventory would have them."""
        self.serial = Serial()
        self.machine.console.serial = cast("SerialConsole", self.serial)
        self.facts = replace(self.facts, console=True, power=True)
        return self

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
            case Change(via="console" | "power"):
                return self._outside(command)
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

    def _outside(self, command: Probe | Change) -> Output:
        """Over the console or at the power switch."""
        at = self.machine.clock.time()
        if command.via == "power":
            sink = Kept()
            switch = PowerSwitch(self.machine.power)
            (how,) = command.argv
            if how in ("on", "off", "cycle"):
                switch.turn(cast("Any", how), sink=sink)
            else:
                {"status": switch.status, "policy": switch.policy}[how](sink=sink)
            return Output(0, Blob.of(bytes(sink.stdout)), at=at)
        assert self.serial is not None
        match command:
            case Change(argv=("type",), stdin=keys):
                for key in keys:
                    self.machine.power.press(bytes([key]))
                return Output(0, at=at)
            case Probe(argv=("attach",)):
                return Output(0, Blob.of(b'{"how": "practice"}'), at=at)
            case Probe(argv=("look", seconds, *until)):
                self.machine.power.catch_up()
                if until and not self.serial.said(until):
                    self.machine.clock.sleep(float(seconds), self._wake)
                    self.machine.power.catch_up()
                return Output(0, Blob.of(self.serial.drawing.look()), at=self.machine.clock.time())
        raise AssertionError(command)

    def _probe(self, probe: Probe) -> Any:
        if probe.via != "host":
            return parse(probe.parser, self._outside(probe))
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
    machine.power.catch_up()
    return machine.power.up
