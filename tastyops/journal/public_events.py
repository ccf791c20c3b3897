"""The public journal of a log: only sentences somebody wrote and fixed words, one line each.

``logs/YEAR/NNN-title.jsonl``. The log renders from this alone. Each line carries the digest of
the page as it renders with that line in it, so a page edited by hand is noticed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from msgspec import Struct, field

from tastyops.errors import JournalDamaged
from tastyops.journal.envelope import NOT_AN_EVENT, stamp, unstamp
from tastyops.journal.fields import read, written

VERSION = 1
MINUTES_OF_A_DAY = 24 * 60


class PublicBody(Struct, frozen=True):
    """What the log learns. Every text in it may be read by anybody."""

    kind: ClassVar[str] = ""

    def to_json(self) -> dict[str, Any]:
        """The fields, without those at their defaults."""
        return written(self)


class LogOpened(PublicBody, frozen=True):
    """The log's head. ``kind_of``: ``at risk`` or ``incident``; ``offset``: minutes east of UTC.

    ``by_hand``: a person opened it before there was any run, and a person closes it; the end of a
    run in it does not.
    """

    kind: ClassVar[str] = "log-opened"
    number: str
    kind_of: str
    title: str
    date: str
    offset: int
    practice: bool = False
    summary: list[str] = field(default_factory=list)
    works: list[str] = field(default_factory=list)
    attending: list[str] = field(default_factory=list)
    by_hand: bool = False
    hosts: list[str] = field(default_factory=list)


class RunAttached(PublicBody, frozen=True):
    """A run writes into this log from now on. ``offset``: works of the log before its own."""

    kind: ClassVar[str] = "run-attached"
    run: str
    offset: int = 0


class Entry(PublicBody, frozen=True):
    """One line of the transcript. ``remark``: an operator's, which may be older than its place."""

    kind: ClassVar[str] = "entry"
    text: str
    points: list[str] = field(default_factory=list)
    remark: bool = False


class WorkStatus(PublicBody, frozen=True):
    """What became of a work; ``number`` counts from 1. ``by_hand``: a person said so."""

    kind: ClassVar[str] = "work-status"
    number: int
    status: str
    why: str = ""
    by_hand: bool = False


class Attends(PublicBody, frozen=True):
    """Somebody joined."""

    kind: ClassVar[str] = "attends"
    name: str


class Closed(PublicBody, frozen=True):
    """The end: the status words, and the run journal's length and head hash.

    Without ``run`` a person closed the log.
    """

    kind: ClassVar[str] = "closed"
    status: str
    run: str = ""
    events: int = 0
    head: str = ""


class RiskPeriod(PublicBody, frozen=True):
    """The at-risk period. Times as in the envelope; ``begins`` is empty where it is on already."""

    kind: ClassVar[str] = "risk-period"
    ends: str
    begins: str = ""


class SummaryAdded(PublicBody, frozen=True):
    """One more sentence at the head of the log."""

    kind: ClassVar[str] = "summary-added"
    text: str


class Retitled(PublicBody, frozen=True):
    """The log has another title; its number, and so its file's name, stays."""

    kind: ClassVar[str] = "retitled"
    title: str


class WorkAdded(PublicBody, frozen=True):
    """One more work, numbered after those there are."""

    kind: ClassVar[str] = "work-added"
    title: str


class Corrected(PublicBody, frozen=True):
    """An entry reads otherwise from now on. ``entry`` is the ``seq`` of its line."""

    kind: ClassVar[str] = "corrected"
    entry: int
    text: str


class Withdrawn(PublicBody, frozen=True):
    """An entry is no longer shown. ``entry`` is the ``seq`` of its line."""

    kind: ClassVar[str] = "withdrawn"
    entry: int


class PrivateKept(PublicBody, frozen=True):
    """Private notes were added to a closed record, kept apart: how many there are, and their head.

    Nothing of what they say. ``of``: the run's id, or the log's number for a log without one.
    """

    kind: ClassVar[str] = "private-kept"
    of: str
    notes: int
    head: str


class Imported(PublicBody, frozen=True):
    """The log was written by hand elsewhere: its text, word for word, is all that it says.

    ``lines`` begins with the heading; ``posted`` is the day above it, as written there.
    """

    kind: ClassVar[str] = "imported"
    posted: str
    lines: list[str]


KINDS: dict[str, type[PublicBody]] = {cls.kind: cls for cls in PublicBody.__subclasses__()}


class PublicEvent(Struct, frozen=True):
    """One line. ``source`` names what it was copied from, so that it is copied once.

    That is a run's event (``run#seq``) or a warning read from a file. ``who``: the person who wrote
    the line by hand.
    """

    seq: int
    recorded_at: datetime
    happened_at: datetime
    body: PublicBody
    source: str = ""
    page: str = ""
    prev: str = ""
    who: str = ""

    def to_json(self) -> dict[str, Any]:
        """The line, without the chain's own ``hash``."""
        data = {
            "v": VERSION,
            "seq": self.seq,
            "recorded_at": stamp(self.recorded_at),
            "happened_at": stamp(self.happened_at),
            "who": self.who,
            "kind": self.body.kind,
            "body": self.body.to_json(),
            "source": self.source,
            "page": self.page,
            "prev": self.prev,
        }
        return {key: value for key, value in data.items() if value != ""}


def public_from_json(data: dict[str, Any]) -> PublicEvent | None:
    """A line read back; None for a kind of another version. Raises JournalDamaged."""
    try:
        cls = KINDS.get(str(data["kind"]))
        if cls is None:
            return None
        body = read(cls, data["body"])
        if isinstance(body, LogOpened) and abs(body.offset) >= MINUTES_OF_A_DAY:
            raise ValueError("no zone is that far from UTC")
        return PublicEvent(
            int(data["seq"]),
            unstamp(data["recorded_at"]),
            unstamp(data["happened_at"]),
            body,
            str(data.get("source", "")),
            str(data.get("page", "")),
            str(data.get("prev", "")),
            str(data.get("who", "")),
        )
    except NOT_AN_EVENT as error:
        what = f"A line of the log's journal is not an event: {error!r:.200}."
        raise JournalDamaged(what) from error
