"""The engine without chance: no threads, and a journal that dies at a given place."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from typing import Any

from tastyops.engine.drive import Drive
from tastyops.journal.envelope import Event
from tastyops.journal.events import Address, Body
from tastyops.plan.moves import Parked
from tastyops.records.files import append_all
from tastyops.records.runs import RunJournal


class Killed(BaseException):
    """The controller's process ended here, without another instruction."""


class DyingJournal(RunJournal):
    """The real journal; ``armed`` ends the process in its next commit, after so many bytes."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self.armed: int | None = None
        self.record: list[Event] = []
        self.synced = self._path.stat().st_size

    def append(self, body: Body, at: Address, *, who: str, happened: datetime) -> Event:
        event = super().append(body, at, who=who, happened=happened)
        self.record.append(event)
        return event

    def commit(self, durable: bool = True) -> None:
        if self.armed is not None:
            append_all(self._fd, b"".join(self._pending)[: self.armed])
            raise Killed
        super().commit(durable)
        if durable:
            self.synced = self._path.stat().st_size

    def die(self) -> None:
        """What the kernel does to the open file of a process that ended."""
        os.close(self._fd)

    def lose_power(self) -> None:
        """What was not seen through to the disk is gone."""
        os.truncate(self._path, self.synced)
        self.die()


class Pool:
    """Work that waits until somebody says that it is done now."""

    def __init__(self) -> None:
        self.pending: list[Callable[[], object]] = []

    def submit(self, work: Callable[..., object], *args: object) -> None:
        self.pending.append(lambda: work(*args))


class Stepped(Drive):
    """One turn at a time; questions only wait, and nobody sleeps."""

    def turn(self, pool: Pool) -> None:
        self._turn(pool)  # type: ignore[arg-type]

    def give(self, at: Address, body: Body, who: str) -> None:
        """What somebody at this controller's terminal says."""
        from tastyops.engine.workers import Done

        self._workers.done.put(Done((at.host, at.step), ((at, body, who),)))

    def let_go(self) -> None:
        """An orderly end in mid-run, as after an error no event can express."""
        self._abandon()
        self._hang_up()

    def _park(self, move: Parked) -> None:
        self._asking.add((move.at.host, move.at.step))

    def _wait(self) -> None:
        if not self._busy and not self._asking:
            return
        while not self._workers.done.empty():
            self._take(self._workers.done.get())
        for handed in self._journal.spooled():
            self._hand_in(handed)
