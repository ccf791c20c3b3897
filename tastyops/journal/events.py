"""The events of a run's journal: one JSON object a line, in an envelope that stays the same.

A kind this version does not know is kept as it is (``Unrecognised``), so an older tastyops can
read a newer journal. ``docs/journal.md`` lists every kind and a test keeps it in step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
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
    answers: dict[str, str] = field(default_factory=dict)
    """Answers to ``ask`` steps that were given beforehand, by step id."""


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
    """A question waits for a person. ``question``: ask, manual, confirm, failure, undo.

    The last two stand at a step without a host; ``choices`` are the answers there are.
    """

    kind: ClassVar[str] = "asked"
    digest: str
    question: str
    text: str
    by: str = ""
    default: str | None = None
    choices: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Answered(Body):
    """A person, or hands that play one, answered."""

    kind: ClassVar[str] = "answered"
    value: str
    hands: bool = False


@dataclass(frozen=True)
class Decided(Body):
    """What a person's answer to a failure means for the step. ``entry`` is public.

    ``decision``: retry, skip, done (by a person's word), cancel-work, abort.
    """

    kind: ClassVar[str] = "decided"
    decision: str
    entry: str | None = None


@dataclass(frozen=True)
class InputChanged(Body):
    """From now on an input has another value; only steps that begin later see it."""

    kind: ClassVar[str] = "input-changed"
    name: str
    value: Any = None


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
    """An operator's remark; ``public`` ones go into the log.

    ``at``: the moment it speaks of, where that is earlier than when it was said. ``id``: what makes
    it one and the same remark, so that a spool read twice around a crash adds it once.
    """

    kind: ClassVar[str] = "noted"
    text: str
    public: bool = True
    at: str = ""
    id: str = ""


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
class StopAsked(Body):
    """A person wants what runs now to stop, and to be asked how to go on."""

    kind: ClassVar[str] = "stop-asked"
    because: str = ""


@dataclass(frozen=True)
class Resumed(Body):
    """Another process took the run up. ``last_seq``: how far the one before it came.

    ``runbook`` and ``plan`` are digests, which differ from the opening's where a person accepted
    that the runbook had been changed.
    """

    kind: ClassVar[str] = "resumed"
    last_seq: int
    runbook: str
    plan: str
    tastyops: str = ""


@dataclass(frozen=True)
class LineTorn(Body):
    """The last line had not been written whole; ``file`` keeps its bytes. It was never acted on."""

    kind: ClassVar[str] = "line-torn"
    file: str
    size: int


@dataclass(frozen=True)
class FellSilent(Body):
    """A command has said nothing for ``seconds``; it goes on."""

    kind: ClassVar[str] = "fell-silent"
    seconds: float


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


NOT_AN_EVENT = (
    KeyError, ValueError, TypeError, AttributeError, OverflowError, RecursionError,
)  # fmt: skip
"""What reading a line that is no event may raise."""


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


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_FITS: Mapping[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "str | None": lambda value: value is None or isinstance(value, str),
    "int": lambda value: type(value) is int,
    "bool": lambda value: isinstance(value, bool),
    "float": _is_number,
    "float | None": lambda value: value is None or _is_number(value),
    "list[str]": _is_texts,
    "dict[str, Any]": lambda value: isinstance(value, dict),
}
"""What a field may hold, by its annotation as it is written."""


def fitting(known: tuple[Field[Any], ...], data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields among ``data``. Raises ValueError for one of the wrong type: it is not ours."""
    found = {f.name: data[f.name] for f in known if f.name in data}
    for each in known:
        fits = _FITS.get(str(each.type))
        if fits and each.name in found and not fits(found[each.name]):
            raise ValueError(f"{each.name} is not of its type")
    return found


def body_from_json(kind: str, data: dict[str, Any]) -> Body:
    """A body from its kind and fields; an unknown kind is kept, unknown fields are left out.

    Raises ValueError or TypeError for a kind we know with fields that cannot be its own: what an
    intent says must not be lost on the way.
    """
    cls = KINDS.get(kind)
    if cls is None:
        return Unrecognised(kind, data)
    return cls(**fitting(fields(cls), data))


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
