"""A console and a power switch that give the answers a test prepared."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tastyops.errors import ConsoleUnreachable, PowerUnreachable, TastyopsError
from tastyops.model.inventory import Host
from tastyops.ports import Ended, Session, Sink


@dataclass
class FakeWays:
    """What is typed and turned is kept; ``says`` are the console's words, one look after another.

    ``turning`` is how a turn ends: its state, or what it raises.
    """

    says: list[str] = field(default_factory=list)
    power_is: str = "on"
    turning: Literal["ended", "lost"] | TastyopsError = "ended"
    refuses: TastyopsError | None = None
    dark: bool = False
    obeys: bool = True
    done: list[str] = field(default_factory=list)
    looked: list[float] = field(default_factory=list)
    attached: int = 0
    closed: int = 0
    shell: Callable[[str], Session] | None = None
    asked: list[bool] = field(default_factory=list)
    """For each time a session over the console was asked for, whether one had been left there."""
    before_turning: Callable[[], None] = lambda: None

    def console(
        self, host: Host, *, heard: Callable[[bytes], None], take: bool = False
    ) -> FakeConsole:
        if self.refuses is not None and not take:
            raise self.refuses
        self.attached += 1
        return FakeConsole(self, heard)

    def power(self, host: Host) -> FakePower:
        return FakePower(self)


class FakeConsole:
    how = "a fake console"

    def __init__(self, ways: FakeWays, heard: Callable[[bytes], None]) -> None:
        self._ways, self._heard, self.lost = ways, heard, ""

    def look(self, seconds: float, until: Sequence[str], *, sink: Sink) -> Ended:
        self._ways.looked.append(seconds)
        if not self._ways.says:
            self.lost = "nothing more to say"
            raise ConsoleUnreachable("The console is cut off.")
        text = self._ways.says.pop(0)
        self._heard(text.encode())
        rows = text.split("\n")
        answer = {"heard": len(text), "text": text, "rows": rows, "marked": []}
        sink.out(json.dumps(answer).encode())
        return Ended(0, 0.01)

    def type(self, keys: bytes) -> Ended:
        self._ways.done.append(f"type {keys.decode()}")
        return Ended(0, 0.01)

    def type_secret(self, name: str) -> Ended:
        self._ways.done.append(f"secret {name}")
        return Ended(0, 0.01)

    def session(self, host: Host, run: str, *, left: bool = False) -> Session | None:
        self._ways.asked.append(left)
        return self._ways.shell(run) if self._ways.shell else None

    def stop(self) -> None:
        pass

    def close(self) -> None:
        self._ways.closed += 1


class FakePower:
    def __init__(self, ways: FakeWays) -> None:
        self._ways = ways

    def status(self, *, sink: Sink) -> Ended:
        if self._ways.dark:
            raise PowerUnreachable("The rack is dark.")
        sink.out(f"{self._ways.power_is}\n".encode())
        return Ended(0, 0.01)

    def policy(self, *, sink: Sink) -> Ended:
        sink.out(b"unknown\n")
        return Ended(0, 0.01)

    def turn(self, how: Literal["on", "off", "cycle"], *, sink: Sink) -> Ended:
        ways = self._ways
        ways.before_turning()
        if isinstance(ways.turning, TastyopsError):
            raise ways.turning
        ways.done.append(how)
        if ways.obeys:
            ways.power_is = "off" if how == "off" else "on"
        sink.out(f"{how}\n".encode())
        return Ended(0 if ways.turning == "ended" else -1, 0.01, ways.turning)

    def stop(self) -> None:
        pass
