"""The envelope every event of a run's journal stands in: one JSON object a line, ever the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from tastyops.errors import JournalDamaged
from tastyops.journal.connection_events import WAY_EVENTS
from tastyops.journal.events import EVENTS, Address, Body, Unrecognised
from tastyops.journal.fields import read

KINDS: dict[str, type[Body]] = {cls.kind: cls for cls in (*EVENTS, *WAY_EVENTS)}
"""Every kind of event this version knows."""

VERSION = 1
"""The envelope's version, the ``v`` of every event."""

NOT_AN_EVENT = (
    KeyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError,
)  # fmt: skip
"""What reading a line that is no event may raise."""


class Event(Struct, frozen=True):
    """One line of a journal. Times are aware, in UTC; ``prev`` and ``hash`` are the chain."""

    run: str
    seq: int
    epoch: int
    recorded_at: datetime
    happened_at: datetime
    who: str
    at: Address
    body: Body
    prev: str = ""
    hash: str = ""

    @property
    def kind(self) -> str:
        """The body's kind as it stands in the journal."""
        return self.body.name if isinstance(self.body, Unrecognised) else self.body.kind


def stamp(moment: datetime) -> str:
    """A time as the journal writes it: UTC, microseconds, ``Z``."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def unstamp(text: str) -> datetime:
    """The reverse of ``stamp``. Raises ValueError for what is no time, or none a log can show."""
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    if not 1970 <= moment.year < 9999:
        raise ValueError(f"the year {moment.year} cannot be")
    return moment


def event_to_json(event: Event) -> dict[str, Any]:
    """The envelope and the body, without the chain's own ``hash``."""
    at = event.at
    data = {
        "v": VERSION,
        "run": event.run,
        "seq": event.seq,
        "epoch": event.epoch,
        "recorded_at": stamp(event.recorded_at),
        "happened_at": stamp(event.happened_at),
        "who": event.who,
        "host": at.host,
        "lane": at.lane,
        "step": at.step,
        "attempt": at.attempt,
        "n": at.n,
        "kind": event.kind,
        "body": event.body.to_json(),
        "prev": event.prev,
    }
    return {key: value for key, value in data.items() if value not in ("", 0) or key == "seq"}


def body_from_json(kind: str, data: dict[str, Any]) -> Body:
    """A body from its kind and fields; an unknown kind is kept, unknown fields are left out.

    Raises ValueError for a kind we know with fields that cannot be its own.
    """
    cls = KINDS.get(kind)
    if cls is None:
        return Unrecognised(kind, data)
    return read(cls, data)


def event_from_json(data: dict[str, Any]) -> Event:
    """An event from a parsed line. Raises JournalDamaged when it is not one."""
    try:
        if not isinstance(data.get("body", {}), dict):
            raise TypeError("its body is not a mapping")
        return Event(
            run=str(data["run"]),
            seq=int(data["seq"]),
            epoch=int(data.get("epoch", 0)),
            recorded_at=unstamp(data["recorded_at"]),
            happened_at=unstamp(data["happened_at"]),
            who=str(data.get("who", "")),
            at=Address(
                str(data.get("host", "")),
                str(data.get("step", "")),
                int(data.get("attempt", 0)),
                int(data.get("n", 0)),
                str(data.get("lane", "main")),
            ),
            body=body_from_json(str(data["kind"]), dict(data.get("body", {}))),
            prev=str(data.get("prev", "")),
            hash=str(data.get("hash", "")),
        )
    except NOT_AN_EVENT as error:
        raise JournalDamaged(f"A line of the journal is not an event: {error!r:.200}.") from error
