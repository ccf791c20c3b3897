"""The generators that are kept alive between calls, so that none begins at the beginning."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from tastyops.errors import ActionStopped
from tastyops.model.action import Registered
from tastyops.model.commands import Command


@dataclass(slots=True)
class Live:
    """A generator that has been fed ``sent`` results and waits at ``command``."""

    generator: Generator[Any, Any, Registered | None]
    command: Command | None = None
    sent: int = 0
    returned: Registered | None = None
    error: BaseException | None = None
    stopped: bool = False
    """Whether it was told that the run is cancelled; what it still yields is clearing up."""

    def step(self, value: Any, *, throw: ActionStopped | None = None) -> None:
        """Feeds one value and keeps what came: the next command, the return, or the error."""
        try:
            self.command = self.generator.throw(throw) if throw else self.generator.send(value)
        except StopIteration as end:
            self.command, self.returned = None, end.value or {}
        except Exception as error:  # any error in an action is an outcome of its step
            self.command, self.error = None, error


@dataclass(slots=True)
class LiveLanes:
    """What is kept between calls on one state, so that none begins at the beginning.

    ``kept``: the generators, by host, step and attempt. ``well``: the steps that ended well on
    every host, which no later event changes.
    """

    kept: dict[tuple[str, str, int], Live] = field(default_factory=dict)
    well: set[str] = field(default_factory=set)
