"""What may happen in a run, a kind for each; ``envelope`` is how they stand in its journal.
What happens to the ways to its hosts, sessions and consoles, is in ``ways``.

A kind this version does not know is kept as it is (``Unrecognised``), so an older tastyops can
read a newer journal. ``docs/journal.md`` lists every kind and a test keeps it in step.
"""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

from msgspec import Struct, field

from tastyops.journal.fields import Number, written

TYPED = "typed"
"""The question that has a person type a command at the host and say what became of it."""


def question_digest(*words: object) -> str:
    """Tells the questions of one place apart: equal words are the same question, asked again."""
    return hashlib.sha256(" ".join(map(str, words)).encode()).hexdigest()[:32]


class Address(Struct, frozen=True, order=True):
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


class Body(Struct, frozen=True):
    """What happened. Subclasses are the kinds; their fields are plain JSON values."""

    kind: ClassVar[str] = "body"

    def to_json(self) -> dict[str, Any]:
        """The fields, without those at their defaults."""
        return written(self)


class RunOpened(Body, frozen=True):
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
    account: int = -1
    """The uid that began it; -1 where it was not recorded."""
    login: int = -1
    """The uid its session was logged in with, before any sudo; -1 where the system has none."""


class StepStarted(Body, frozen=True):
    """An attempt at a step began with these parameters, secrets masked."""

    kind: ClassVar[str] = "step-started"
    action: str
    params: dict[str, Any] = field(default_factory=dict)


class Intended(Body, frozen=True):
    """About to be sent. Durable before the first byte goes out.

    ``fate``: its path on the host. ``record``: which directory that was, should it be made anew.
    """

    kind: ClassVar[str] = "intended"
    digest: str
    command: dict[str, Any]
    fate: str = ""
    boot_id: str = ""
    record: str = ""


class Settled(Body, frozen=True):
    """What became of a command.

    ``how``: ``output`` (with ``result``), ``offline``, ``slept``, ``reported``, ``unknown``
    (withheld by a dry run), ``lost`` (no outcome can be found), ``undone`` (it certainly did not
    happen), ``untold`` (nobody could tell what it printed), ``unreachable``, ``locked`` (another
    run holds the host). ``by``: who typed it at the host and told what became of it; empty for
    what the host itself said. Of what is ``lost`` too ``result`` has the output there was;
    ``final``: the host has no outcome of it either, so looking once more finds none.
    """

    kind: ClassVar[str] = "settled"
    digest: str
    how: str
    result: dict[str, Any] = field(default_factory=dict)
    command: dict[str, Any] = field(default_factory=dict)
    why: str = ""
    by: str = ""
    final: bool = False


class Asked(Body, frozen=True):
    """A question waits for a person. ``question``: ask, manual, confirm, typed, failure, undo,
    window.

    The last three stand at a step without a host; ``choices`` are the answers there are. ``typed``
    (``TYPED``) leaves what the lane is at as it is.
    """

    kind: ClassVar[str] = "asked"
    digest: str
    question: str
    text: str
    by: str = ""
    default: str | None = None
    choices: list[str] = field(default_factory=list)


class Answered(Body, frozen=True):
    """A person, or hands that play one, answered. ``entry``: what the log says of an approval.

    What a command printed, as a person typed it, stands with the command's outcome and not here.
    """

    kind: ClassVar[str] = "answered"
    value: str
    hands: bool = False
    entry: str | None = None


class Decided(Body, frozen=True):
    """What a person's answer to a failure means for the step. ``entry`` is public.

    ``decision``: retry, by-hand (the same, and a person types at the hosts that could not be
    reached), look (ask the host once more what became of it), skip, done (by a person's word),
    cancel-work, abort; at a step that would begin after the at-risk period, go-on or cancel.
    """

    kind: ClassVar[str] = "decided"
    decision: str
    entry: str | None = None


class InputChanged(Body, frozen=True):
    """From now on an input has another value; only steps that begin later see it."""

    kind: ClassVar[str] = "input-changed"
    name: str
    value: Any = None


class Reported(Body, frozen=True):
    """Progress, and perhaps an entry for the log."""

    kind: ClassVar[str] = "reported"
    digest: str
    done: Number | None = None
    entry: str | None = None
    note: str = ""


class AttemptEnded(Body, frozen=True):
    """An attempt did not satisfy ``until``; another follows after ``delay`` seconds."""

    kind: ClassVar[str] = "attempt-ended"
    registered: dict[str, Any] = field(default_factory=dict)
    why: str = ""
    delay: Number = 0.0


class StepEnded(Body, frozen=True):
    """A step ended on one host. ``entry`` is public; ``why`` and ``registered`` are private.

    ``refused``: a guard said no, so ``why`` is all of it, whatever its last look at the host gave.
    ``cause``: the number of the command whose failure or doubt ended the step; 0 where ``why``
    alone is the cause.
    """

    kind: ClassVar[str] = "step-ended"
    outcome: str
    registered: dict[str, Any] = field(default_factory=dict)
    entry: str | None = None
    why: str = ""
    unknown: str = ""
    refused: bool = False
    cause: int = 0


class ShutdownExecuted(Body, frozen=True):
    """A shutdown a step had scheduled was carried out: its host was seen again on another boot.

    ``due``: when it was, in seconds since the epoch. ``entry`` is public.
    """

    kind: ClassVar[str] = "shutdown-executed"
    due: int
    entry: str


class WorkStarted(Body, frozen=True):
    """The first step of a work began."""

    kind: ClassVar[str] = "work-started"
    number: int


class WorkEnded(Body, frozen=True):
    """A work ended. ``status`` is the public word for it, ``why`` its public reason."""

    kind: ClassVar[str] = "work-ended"
    number: int
    status: str
    why: str = ""


class DoubtSettled(Body, frozen=True):
    """What became of a change that a closed run left in doubt; in the record beside its journal.

    ``word``: ``ended`` (its host had the outcome, which is ``result``), ``done`` or ``not-done``
    (by a person's word).
    """

    kind: ClassVar[str] = "doubt-settled"
    word: str
    result: dict[str, Any] = field(default_factory=dict)
    why: str = ""


class HostFreed(Body, frozen=True):
    """The lock that a closed run had kept on a host was let go of, or was not its own any more.

    ``why``: what kept it from that.
    """

    kind: ClassVar[str] = "host-freed"
    why: str = ""


class Noted(Body, frozen=True):
    """An operator's remark; ``public`` ones go into the log.

    ``at``: the moment it speaks of, where that is earlier than when it was said. ``id``: what makes
    it one and the same remark, so that a spool read twice around a crash adds it once.
    """

    kind: ClassVar[str] = "noted"
    text: str
    public: bool = True
    at: str = ""
    id: str = ""


class Joined(Body, frozen=True):
    """An operator attends from now on."""

    kind: ClassVar[str] = "joined"
    name: str


class CancelAsked(Body, frozen=True):
    """A person asked for the run to stop."""

    kind: ClassVar[str] = "cancel-asked"
    because: str = ""


class StopAsked(Body, frozen=True):
    """A person wants what runs now to stop, and to be asked how to go on."""

    kind: ClassVar[str] = "stop-asked"
    because: str = ""


class Resumed(Body, frozen=True):
    """Another process took the run up. ``last_seq``: how far the one before it came.

    ``runbook`` and ``plan`` are digests, which differ from the opening's where a person accepted
    that the runbook had been changed.
    """

    kind: ClassVar[str] = "resumed"
    last_seq: int
    runbook: str
    plan: str
    tastyops: str = ""


class WindowSet(Body, frozen=True):
    """The at-risk period, from the beginning or as a person moved it. Times as in the envelope.

    ``begins`` is empty where it is on already. ``entry``: what the log says of a move.
    """

    kind: ClassVar[str] = "window-set"
    ends: str
    begins: str = ""
    entry: str | None = None


class WindowBegan(Body, frozen=True):
    """The clock reached the beginning of the at-risk period."""

    kind: ClassVar[str] = "window-began"


class WindowEnded(Body, frozen=True):
    """The clock passed the end of the at-risk period while the run went on."""

    kind: ClassVar[str] = "window-ended"
    entry: str | None = None


class LineTorn(Body, frozen=True):
    """The last line had not been written whole; ``file`` keeps its bytes. It was never acted on."""

    kind: ClassVar[str] = "line-torn"
    file: str
    size: int


class FellSilent(Body, frozen=True):
    """A command has said nothing for ``seconds``; it goes on."""

    kind: ClassVar[str] = "fell-silent"
    seconds: Number


class Called(Body, frozen=True):
    """The operators were called with this sentence; ``problem`` says why that did not succeed."""

    kind: ClassVar[str] = "called"
    sentence: str
    problem: str = ""


class ClockStepped(Body, frozen=True):
    """The controller's clock went back by ``seconds``; order is by sequence, not by time."""

    kind: ClassVar[str] = "clock-stepped"
    seconds: Number


class RunClosed(Body, frozen=True):
    """The end. ``status`` is the public one; ``exit_code`` what the command ended with."""

    kind: ClassVar[str] = "run-closed"
    status: str
    exit_code: int
    why: str = ""


class Unrecognised(Body, frozen=True):
    """A kind from another version, kept as it came."""

    name: str
    data: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The data as it came."""
        return self.data


EVENTS: tuple[type[Body], ...] = tuple(
    cls for cls in Body.__subclasses__() if cls is not Unrecognised
)
"""Every kind of this module; ``envelope.KINDS`` has those of ``ways`` too."""
