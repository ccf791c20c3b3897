from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tastyops.practice.clock import PracticeClock
from tastyops.practice.machine import Machine

Make = Callable[..., Machine]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes machines whose time runs 6,000 times as fast, and ends them."""
    made: list[Machine] = []

    def build(scale: float = 6000.0, **settings: Any) -> Machine:
        machine = Machine("kalimdor", PracticeClock(scale), settings)
        made.append(machine)
        return machine

    yield build
    for machine in made:
        machine.close()


@pytest.fixture
def machine(make: Make) -> Machine:
    return make()
