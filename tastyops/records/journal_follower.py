"""Following the journal of a run that another process writes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

from tastyops.errors import JournalDamaged
from tastyops.journal.chain import GENESIS, LONGEST_LINE, lines_of, unseal
from tastyops.journal.envelope import Event, event_from_json
from tastyops.local.plain_files import reading
from tastyops.records.runs import JOURNAL


class Following:
    """A run's events as they are written. An incomplete last line is read later."""

    def __init__(self, run: Path) -> None:
        self._path = run / JOURNAL
        self._at = 0
        self._number = 0
        self._head = GENESIS

    def more(self) -> list[Event]:
        """The events since the last call. Raises JournalDamaged."""
        try:
            with reading(self._path) as file:
                file.seek(self._at)
                return list(self._events(file))
        except OSError as error:
            raise JournalDamaged(f"{self._path} cannot be read: {error.strerror}.") from error

    def _events(self, file: BinaryIO) -> Iterator[Event]:
        whole = takewhile(_to_its_end, lines_of(file))
        for line in unseal(whole, before=self._head, first=self._number + 1):
            if line.faults or line.data is None:
                fault = line.faults[0].what if line.faults else "not an event"
                raise JournalDamaged(f"{self._path}:{line.number}: {fault}.")
            self._head, self._number = str(line.data["hash"]), line.number
            self._at = file.tell()
            yield event_from_json(line.data)


def _to_its_end(line: bytes) -> bool:
    return line.endswith(b"\n") or len(line) > LONGEST_LINE
