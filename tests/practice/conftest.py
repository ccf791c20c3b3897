from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tastyops.practice.clock import PracticeClock
from tastyops.practice.machine import Machine

Make = Callable[..., Machine]


class Leaping(PracticeClock):
    """A clock that stands still until somebody waits, and then is there at once."""

    leapt = 0.0

    def time(self) -> float:
        return self.started + self.leapt

    def real(self, seconds: float) -> float:
        """Asked only by who is about to wait that long."""
        self.leapt += seconds
        return 0.0

    def sleep(self, seconds: float, wake: Callable[[float], bool]) -> None:
        self.leapt += seconds


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes machines, and ends them; ``scale`` is for tests with more than one thread."""
    made: list[Machine] = []

    def build(scale: float | None = None, **settings: Any) -> Machine:
        clock = PracticeClock(scale) if scale else Leaping()
        machine = Machine("kalimdor", clock, settings)
        made.append(machine)
        return machine

    yield build
    for machine in made:
        machine.close()


@pytest.fixture
def machine(make: Make) -> Machine:
    return make()
