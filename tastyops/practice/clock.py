"""Practice time: it starts with the real time and runs faster."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime


class PracticeClock:
    """Clock that runs ``scale`` times as fast as real time; the engine and the host share it.

    Another process makes the same clock from the same ``started`` and ``origin``: the monotonic
    clock counts from the machine's boot, for every process alike.
    """

    def __init__(
        self, scale: float = 60.0, *, started: float | None = None, origin: float | None = None
    ) -> None:
        if scale <= 0:
            raise ValueError("the scale of a practice clock is more than 0")
        self.scale = scale
        self.started = time.time() if started is None else started
        self.origin = time.monotonic() if origin is None else origin

    def time(self) -> float:
        """Seconds since the epoch, in practice time."""
        return self.started + (time.monotonic() - self.origin) * self.scale

    def now(self) -> datetime:
        """The practice time now, aware, in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def real(self, seconds: float) -> float:
        """Real seconds for a number of practice seconds."""
        return seconds / self.scale

    def sleep(self, seconds: float, wake: Callable[[float], bool]) -> None:
        """Waits; ``wake(real_seconds)`` waits at most that long and returns True to end early."""
        due = self.time() + seconds
        while (left := due - self.time()) > 0:
            if wake(self.real(left)):
                return
