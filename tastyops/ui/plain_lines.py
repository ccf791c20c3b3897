"""Plain timestamped lines, for a pipe or a file; and JSON events."""

from __future__ import annotations

import json
from typing import TextIO

from tastyops.journal.envelope import Event, event_to_json
from tastyops.journal.events import Address, StepEnded
from tastyops.model.outcome import Outcome
from tastyops.records.document.times import local
from tastyops.ui.run_view import RunView


class PlainLines:
    """A listener that writes a line for every event a person needs to see.

    The lines of one turn are written at once: each write gives up the interpreter, and where many
    hosts work the run would wait for it at every line.
    """

    def __init__(self, view: RunView, out: TextIO, offset: int) -> None:
        self._view, self._out, self._offset = view, out, offset
        self._lines: list[str] = []

    def event(self, event: Event) -> None:
        """One event."""
        self._view.take(event)
        sentence = self._view.sentence(event)
        if sentence is not None:
            self._write(event, sentence)
        body = event.body
        if isinstance(body, StepEnded) and not Outcome(body.outcome).good:
            for line in self._view.failure(event):
                self._write(event, line)
        for line in self._view.entries(event):
            self._write(event, line)

    def _write(self, event: Event, sentence: str) -> None:
        moment = local(event.happened_at, self._offset)
        self._lines.append(f"{moment:%H:%M:%S} {sentence}\n")

    def caught_up(self) -> None:
        """Writes the lines of the events so far."""
        if self._lines:
            text, self._lines = "".join(self._lines), []
            self._out.write(text)
            self._out.flush()

    def running(self, at: Address, out: bytes, err: bytes) -> None:
        """Output is not shown as it comes; it is in the journal."""


class JsonLines:
    """A listener that writes every event as the journal has it, one JSON object a line."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lines: list[str] = []

    def event(self, event: Event) -> None:
        """One event."""
        data = event_to_json(event) | {"hash": event.hash}
        self._lines.append(json.dumps(data) + "\n")  # in ASCII: it steers no terminal

    def caught_up(self) -> None:
        """Writes the events so far."""
        if self._lines:
            text, self._lines = "".join(self._lines), []
            self._out.write(text)
            self._out.flush()

    def running(self, at: Address, out: bytes, err: bytes) -> None:
        """Not an event."""
