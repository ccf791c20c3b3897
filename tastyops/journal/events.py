"""The events of a run's journal: one JSON object a line, in an envelope that stays the same.

A kind this version does not know is kept as it is (``Unrecognised``), so an older tastyops can
read a newer journal. ``docs/journal.md`` lists every kind and a test keeps it in step.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, ClassVar

from tastyops.errors import JournalDamaged

VERSION = 1
"""The envelope's version, the ``v`` of every event."""


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """Where in a run an event belongs: ``kalimdor 2.1#1/3`` is its third command, first attempt.

    ``lane`` is ``main`` unless the step runs beside others. ``n`` counts commands from 1; 0 is the
    step itself. ``step`` is the step's id.
    """

    host: str = ""
    step: str = ""
    attempt: int = 0
    n: int = 0
    lane: str = "main"

    def __str__(self) -> str:
        number = f"#{self.attempt}" if self.attempt else ""
        command = f"/{self.n}" if self.n else ""
        return f"{self.host} {self.step}{number}{command}".strip()


@dataclass(frozen=True)
class Body:
    """What happened. Subclasses are the kinds; their fields are plain JSON values."""

    kind: ClassVar[str] = "body"

    def to_json(self) -> dict[str, Any]:
        """The fields, without those at their defaults."""
        values = ((f.name, getattr(self, f.name), f.default) for f in fields(self))
        return {name: value for name, value, default in values if value != default}


@dataclass(frozen=True)
class RunOpened(Body):
    """A run began. ``runbook`` and ``plan`` are digests; ``inputs`` hold no secrets."""

    kind: ClassVar[str] = "run-opened"
    title: str
    runbook: str
    path: str
    plan: str
    hosts: list[str]
    inputs: dict[str, Any]
    attending: list[str] = field(default_factory=list)
    log: str = ""
    practice: bool = False
    start_at: str = ""
    tastyops: str = ""


@dataclass(frozen=True)
class Connected(Body):
    """A session with a host opened, and its lock was taken.

    ``skew``: seconds its clock is ahead of ours. ``epoch`` is the lock's; ``took_over`` says whose
    lock it was, if it was taken over.
    """

    kind: ClassVar[str] = "connected"
    boot_id: str
    kernel: str
    hostname: str
    uid: int
    directory: str
    skew: float = 0.0
    epoch: int = 0
    took_over: str = ""


@dataclass(frozen=True)
class Disconnected(Body):
    """A session ended other than by us. ``expected``: the host was to go down. Private."""

    kind: ClassVar[str] = "disconnected"
    error: str
    expected: bool = False


@dataclass(frozen=True)
class StepStarted(Body):
    """An attempt at a step began with these parameters, secrets masked."""

    kind: ClassVar[str] = "step-started"
    action: str
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Intended(Body):
    """About to be sent. Durable before the first byte goes out. ``fate``: its path on the host."""

    kind: ClassVar[str] = "intended"
    digest: str
    command: dict[str, Any]
    fate: str = ""
    boot_id: str = ""


@dataclass(frozen=True)
class Settled(Body):
    """What became of a command.

    ``how``: ``output`` (with ``result``), ``offline``, ``slept``, ``reported``, ``unknown``
    (withheld by a dry run), ``lost`` (no outcome can be found), ``unreachable``, ``locked``
    (another run holds the host).
    """

    kind: ClassVar[str] = "settled"
    digest: str
    how: str
    result: dict[str, Any] = field(default_factory=dict)
    command: dict[str, Any] = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True)
class Asked(Body):
    """A question waits for a person. ``question``: ask, manual, confirm."""

    kind: ClassVar[str] = "asked"
    digest: str
    question: str
    text: str
    by: str = ""
    default: str | None = None


@dataclass(frozen=True)
class Answered(Body):
    """A person, or hands that play one, answered."""

    kind: ClassVar[str] = "answered"
    value: str
    hands: bool = False


@dataclass(frozen=True)
class Reported(Body):
    """Progress, and perhaps an entry for the log."""

    kind: ClassVar[str] = "reported"
    digest: str
    done: float | None = None
    entry: str | None = None
    note: str = ""


@dataclass(frozen=True)
class AttemptEnded(Body):
    """An attempt did not satisfy ``until``; another follows after ``delay`` seconds."""

    kind: ClassVar[str] = "attempt-ended"
    registered: dict[str, Any] = field(default_factory=dict)
    why: str = ""
    delay: float = 0.0


@dataclass(frozen=True)
class StepEnded(Body):
    """A step ended on one host. ``entry`` is public; ``why`` and ``registered`` are private."""

    kind: ClassVar[str] = "step-ended"
    outcome: str
    registered: dict[str, Any] = field(default_factory=dict)
    entry: str | None = None
    why: str = ""
    unknown: str = ""


@dataclass(frozen=True)
class WorkStarted(Body):
    """The first step of a work began."""

    kind: ClassVar[str] = "work-started"
    number: int


@dataclass(frozen=True)
class WorkEnded(Body):
    """A work ended. ``status`` is the public word for it, ``why`` its public reason."""

    kind: ClassVar[str] = "work-ended"
    number: int
    status: str
    why: str = ""


@dataclass(frozen=True)
class Noted(Body):
    """An operator's remark; ``public`` ones go into the log."""

    kind: ClassVar[str] = "noted"
    text: str
    public: bool = True


@dataclass(frozen=True)
class Joined(Body):
    """An operator attends from now on."""

    kind: ClassVar[str] = "joined"
    name: str


@dataclass(frozen=True)
class CancelAsked(Body):
    """A person asked for the run to stop."""

    kind: ClassVar[str] = "cancel-asked"
    because: str = ""


@dataclass(frozen=True)
class ClockStepped(Body):
    """The controller's clock went back by ``seconds``; order is by sequence, not by time."""

    kind: ClassVar[str] = "clock-stepped"
    seconds: float


@dataclass(frozen=True)
class RunClosed(Body):
    """The end. ``status`` is the public one; ``exit_code`` what the command ended with."""

    kind: ClassVar[str] = "run-closed"
    status: str
    exit_code: int
    why: str = ""


@dataclass(frozen=True)
class Unrecognised(Body):
    """A kind from another version, kept as it came."""

    name: str
    data: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The data as it came."""
        return self.data


KINDS: dict[str, type[Body]] = {
    cls.kind: cls for cls in Body.__subclasses__() if cls is not Unrecognised
}


@dataclass(frozen=True, slots=True)
class Event:
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
    """The reverse of ``stamp``."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


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
    """A body from its kind and fields; an unknown kind, or unknown fields, are kept."""
    cls = KINDS.get(kind)
    if cls is None:
        return Unrecognised(kind, data)
    known = {f.name for f in fields(cls)}
    try:
        return cls(**{name: value for name, value in data.items() if name in known})
    except TypeError:
        return Unrecognised(kind, data)


def event_from_json(data: dict[str, Any]) -> Event:
    """An event from a parsed line. Raises JournalDamaged when it is not one."""
    try:
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
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise JournalDamaged(f"A line of the journal is not an event: {error!r}.") from error
