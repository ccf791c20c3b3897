"""A screen the run can do without: a reader that went away stops the showing, not the run."""

from __future__ import annotations

import contextlib

from tastyops.journal.envelope import Event
from tastyops.journal.events import Address
from tastyops.ports import Listener


class Losable:
    """Passes on to another listener until that one cannot write any more (a closed pipe, say).

    To leave a host half done because nobody reads along would be the greater harm.
    """

    def __init__(self, shown: Listener) -> None:
        self._shown = shown
        self.lost = False

    def event(self, event: Event) -> None:
        """One event."""
        if not self.lost:
            try:
                self._shown.event(event)
            except OSError:
                self.lost = True

    def caught_up(self) -> None:
        """Nothing waits."""

    def running(self, at: Address, out: bytes, err: bytes) -> None:
        """The last output of a command still running."""
        with contextlib.suppress(OSError):
            self._shown.running(at, out, err)
