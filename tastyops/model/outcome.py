"""How a step ended."""

from __future__ import annotations

from enum import Enum


class Outcome(Enum):
    """The end of a step, of a lane, or of a preview of one."""

    DONE = "done"
    ALREADY = "already"
    """Nothing needed doing: the host was already so."""
    SKIPPED = "skipped"
    """Its ``when:`` was false."""
    FAILED = "failed"
    CANCELLED = "cancelled"
    """A person stopped or declined it."""
    UNREACHABLE = "unreachable"
    LOCKED = "locked"
    """Another run holds the host; it was not done."""
    IN_DOUBT = "in doubt"
    CANNOT_KNOW = "cannot know"
    """A dry run only: what it would do depends on a change that was withheld."""

    @property
    def good(self) -> bool:
        """Whether the run goes on after it."""
        return self in (Outcome.DONE, Outcome.ALREADY, Outcome.SKIPPED, Outcome.CANNOT_KNOW)
