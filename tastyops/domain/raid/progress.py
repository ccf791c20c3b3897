"""How far re-syncs are, what is left of them, and how that is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tastyops.facts.md import Array
from tastyops.model.duration import format_duration

_SECTOR_KIB = 0.5


@dataclass(frozen=True, slots=True)
class Progress:
    """One array's, or that of several together. ``done`` and ``total`` are KiB, ``rate`` KiB/s."""

    done: float
    total: float
    rate: float = 0.0
    waits: bool = False
    """Whether a sync is due and cannot go on yet."""
    stopped: bool = False
    """Whether a member is missing and nothing re-syncs."""

    @property
    def percent(self) -> float:
        """Between 0 and 100; 100 where there is nothing to do."""
        return 100 * self.done / self.total if self.total else 100.0

    @property
    def left(self) -> float | None:
        """Seconds at the present rate; None while there is none."""
        return (self.total - self.done) / self.rate if self.rate and not self.waits else None

    def describe(self) -> str:
        """``34.2% at 22 MB/s, ETA 44m``."""
        if self.stopped:
            return "is not whole, and nothing re-syncs"
        if self.waits:
            return f"{self.percent:.1f}%, waits for its turn"
        rate = f" at {megabytes(self.rate)} MB/s" if self.rate else ""
        eta = f", ETA {rounded(self.left)}" if self.left is not None else ""
        return f"{self.percent:.1f}%{rate}{eta}"


def of_array(array: Array) -> Progress:
    """What the kernel says of one array; one that waits or has stopped has all before it."""
    size = float(array.size)
    if array.whole:
        return Progress(size, size)
    if array.total:
        return Progress(array.done * _SECTOR_KIB, array.total * _SECTOR_KIB, float(array.speed))
    return Progress(0.0, size, waits=array.waiting, stopped=not array.syncing)


def combine(parts: Sequence[Progress]) -> Progress:
    """Several arrays as one: those on the same disks take turns, so their work adds up."""
    return Progress(
        sum(part.done for part in parts),
        sum(part.total for part in parts),
        sum(part.rate for part in parts),
    )


def megabytes(rate: float) -> str:
    """A rate in KiB/s as MB/s, the way people write one."""
    value = rate * 1024 / 1_000_000
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def rounded(seconds: float | None) -> str:
    """A span to whole minutes from two minutes on, to seconds below."""
    if seconds is None:
        return "unknown"
    return format_duration(round(seconds / 60) * 60 if seconds >= 120 else max(1, round(seconds)))
