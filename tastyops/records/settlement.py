"""``settlement.jsonl`` beside a closed run: the fates of changes that the run left in doubt.

A closed run's journal is not extended: its length and head hash stand in its log. So what is found
out, or said by a person, afterwards is a record of its own. It is a chain that goes on from the
hash of the journal's last event, and so belongs to that journal and to no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tastyops.errors import JournalDamaged
from tastyops.journal.chain import Line, lines_of, seal, unseal
from tastyops.journal.envelope import Event, event_from_json, event_to_json
from tastyops.journal.events import Address, Body, DoubtSettled, HostFreed
from tastyops.journal.state import LaneKey, RunState
from tastyops.model.outcome import Outcome
from tastyops.records.files import append_or_nothing, locked, must_write

SETTLEMENT = "settlement.jsonl"


class Settlement:
    """The record beside one run's journal, of which ``state`` is all that it says."""

    def __init__(self, directory: Path, state: RunState) -> None:
        self._directory, self._state = directory, state
        self.path = directory / SETTLEMENT

    def add(self, bodies: Sequence[tuple[Body, Address]], *, who: str, epoch: int) -> None:
        """Adds lines durably, all or none. Raises JournalUnwritable, JournalDamaged."""
        with must_write(self.path), locked(self.path, mode=0o600):
            before = self._lines()
            wrong = [fault for line in before for fault in line.faults]
            if wrong:
                raise JournalDamaged(
                    f"{self.path}:{wrong[0].line}: {wrong[0].what}.",
                    still_true="Nothing was settled.",
                    next_step=f"Move {self.path} out of the way to begin anew; keep it.",
                )
            seq, head = self._state.seq + len(before), self._state.head
            if before and before[-1].data is not None:
                head = str(before[-1].data["hash"])
            data, now = b"", datetime.now(UTC)
            for seq_, (body, at) in enumerate(bodies, seq + 1):
                event = Event(self._directory.name, seq_, epoch, now, now, who, at, body, head)
                line, head = seal(event_to_json(event))
                data += line
            append_or_nothing(self.path, data, 0o600)

    def _lines(self) -> list[Line]:
        try:
            with self.path.open("rb") as file:
                lines = lines_of(file)
                return list(
                    unseal(lines, before=self._state.head, expected=self._state.seq + 1)
                )
        except FileNotFoundError:
            return []
        except OSError as error:
            raise JournalDamaged(f"{self.path} cannot be read: {error.strerror}.") from error

    def events(self) -> Iterator[Event]:
        """The record's lines. Raises JournalDamaged, also for a record of another journal."""
        for line in self._lines():
            if line.faults or line.data is None:
                fault = line.faults[0].what if line.faults else "not an event"
                raise JournalDamaged(f"{self.path}:{line.number}: {fault}.")
            yield event_from_json(line.data)

    def wrong(self) -> list[str]:
        """Everything wrong with the record, as sentences."""
        try:
            lines = self._lines()
        except JournalDamaged as error:
            return [error.what]
        faults = (fault for line in lines for fault in line.faults)
        return [f"{self.path}:{fault.line}: {fault.what}" for fault in faults]

    def open_doubts(self) -> list[LaneKey]:
        """The lanes of a closed run that are still in doubt."""
        settled = {
            (event.at.host, event.at.step)
            for event in self.events()
            if isinstance(event.body, DoubtSettled)
        }
        return [key for key in doubts(self._state) if key not in settled]

    def held_hosts(self) -> list[str]:
        """The hosts a run that was closed in doubt may still hold."""
        freed = {
            event.at.host
            for event in self.events()
            if isinstance(event.body, HostFreed) and not event.body.why
        }
        return sorted(self._state.locked - freed)


def doubts(state: RunState) -> list[LaneKey]:
    """The lanes that ended in doubt and have not been settled since."""
    return [
        key
        for key, lane in state.lanes.items()
        if lane.ended is not None and lane.ended.outcome == Outcome.IN_DOUBT.value
    ]


def unsettled(directory: Path, state: RunState) -> Settlement | None:
    """The record of a run that was closed in doubt, while part of it is still open."""
    if state.closed is None or not doubts(state):
        return None
    settlement = Settlement(directory, state)
    return settlement if settlement.open_doubts() or settlement.held_hosts() else None
