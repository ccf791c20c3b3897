"""What happens to the ways to a run's hosts: sessions and consoles that open and end."""

from __future__ import annotations

from typing import Any, ClassVar

from tastyops.journal.events import Body
from tastyops.journal.fields import Number

HANDS = "hands"
"""Over what a session goes whose commands a person types at the host."""


class Connected(Body, frozen=True):
    """A session with a host opened, and its lock was taken.

    ``skew``: seconds its clock is ahead of ours. ``epoch`` is the lock's; ``took_over`` says whose
    lock it was, if it was taken over. ``over``: ``console`` where there was no ssh; ``HANDS`` where
    a person types at the host, no lock was taken, and what nobody told is empty (``uid``: -1); else
    empty. ``entry`` is public.
    """

    kind: ClassVar[str] = "connected"
    boot_id: str
    kernel: str
    hostname: str
    uid: int
    directory: str
    skew: Number = 0.0
    epoch: int = 0
    took_over: str = ""
    over: str = ""
    entry: str | None = None
    booted: Number = 0.0
    """When its boot began, in seconds since 1970 by our clock; 0 where that is not known."""


class Disconnected(Body, frozen=True):
    """A session ended other than by us. ``expected``: the host was to go down. Private."""

    kind: ClassVar[str] = "disconnected"
    error: str
    expected: bool = False


class ConsoleAttached(Body, frozen=True):
    """A host's console was attached, in the way ``how`` says. Private, as is all it says."""

    kind: ClassVar[str] = "console-attached"
    how: str


class ConsoleHeard(Body, frozen=True):
    """A piece of what a console said, looked at or not, secrets masked."""

    kind: ClassVar[str] = "console-heard"
    out: dict[str, Any]


class ConsoleDetached(Body, frozen=True):
    """A console was let go of, or lost (``why``). ``left_out``: bytes too many to be kept."""

    kind: ClassVar[str] = "console-detached"
    why: str = ""
    left_out: int = 0


def another_boot(one: str, other: str) -> bool:
    """Whether two boot ids are of two boots. Where a person typed, one may not be known: empty."""
    return one != other and bool(one and other)


WAY_EVENTS: tuple[type[Body], ...] = (
    Connected,
    Disconnected,
    ConsoleAttached,
    ConsoleHeard,
    ConsoleDetached,
)
