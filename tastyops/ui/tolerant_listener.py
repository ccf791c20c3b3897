"""Output that the run does not depend on: a reader that is gone ends the output only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import IO, Any

from tastyops.journal.envelope import Event
from tastyops.journal.events import Address
from tastyops.ports import Listener


class LosableText:
    """A text stream that drops what cannot be written, as when its terminal is closed."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, text: str) -> int:
        """Writes what can be written."""
        with contextlib.suppress(OSError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        """Flushes what can be written."""
        with contextlib.suppress(OSError):
            self._file.flush()


class Losable:
    """Passes on to another listener until that one cannot write any more (a closed pipe, say).

    To leave a host half done because nobody reads along would be the greater harm.
    """

    def __init__(self, shown: Listener) -> None:
        self._shown = shown
        self.lost = False

    def event(self, event: Event) -> None:
        """One event."""
        self._try(lambda: self._shown.event(event))

    def caught_up(self) -> None:
        """Everything there is to show has been said."""
        self._try(self._shown.caught_up)

    def _try(self, say: Callable[[], None]) -> None:
        if not self.lost:
            try:
                say()
            except OSError:
                self.lost = True

    def running(self, at: Address, out: bytes, err: bytes) -> None:
        """The last output of a command still running."""
        with contextlib.suppress(OSError):
            self._shown.running(at, out, err)
