"""``fold(events) → state``: all that a run's journal adds up to, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from msgspec import Struct, field

from tastyops.journal.connection_events import HANDS, Connected
from tastyops.journal.envelope import Event
from tastyops.journal.events import (
    TYPED,
    Address,
    Answered,
    Asked,
    AttemptEnded,
    Body,
    Called,
    CancelAsked,
    Decided,
    InputChanged,
    Intended,
    Joined,
    Reported,
    RunClosed,
    RunOpened,
    Settled,
    ShutdownExecuted,
    StepEnded,
    StepStarted,
    StopAsked,
    WindowBegan,
    WindowEnded,
    WindowSet,
    WorkEnded,
    WorkStarted,
)
from tastyops.model.commands import (
    Ask,
    Command,
    Offline,
    Output,
    Report,
    Sleep,
    blob_from_json,
    digest,
)
from tastyops.model.outcome import Outcome
from tastyops.protocol.typed_command import LEAVE

LaneKey = tuple[str, str]
"""A host and a step's id."""

RETRY, BY_HAND, DONE, LOOK = "retry", "by-hand", "done", "look"
"""Decisions that take back how a step ended. ``LOOK`` takes back a doubt alone: the host is asked
once more what became of the change.
"""

Load = Callable[[str], bytes]


class Trouble(Struct):
    """A step that did not end well, or may not just begin, and what a person decided about it."""

    asked: Asked
    answer: str = ""
    who: str = ""
    """Who answered."""
    decision: str = ""


class Window(Struct):
    """The at-risk period. ``asked``: the steps whose beginning a person was asked about, by id."""

    begins: str = ""
    ends: str = ""
    on: bool = True
    """Whether it has begun."""
    over: bool = False
    word: str = ""
    """What a person said when it was over: go-on, or cancel."""
    asked: dict[str, Trouble] = field(default_factory=dict)

    def take(self, body: WindowSet | WindowBegan | WindowEnded) -> None:
        """One event. A period that was moved is as it is now, whatever was said about the old."""
        match body:
            case WindowSet(begins=begins, ends=ends):
                self.begins, self.ends = begins or self.begins, ends
                self.on = self.on and not begins
                self.over, self.word, self.asked = False, "", {}
            case WindowBegan():
                self.on = True
            case WindowEnded():
                self.over = True


class Past(Struct):
    """One command of an attempt: what was meant, and what became of it, once that is known."""

    digest: str
    command: dict[str, Any] = field(default_factory=dict)
    fate: str = ""
    boot_id: str = ""
    record: str = ""
    settled: Settled | None = None
    asked: Asked | None = None
    reported: Reported | None = None
    value: Any = None
    """The result as the engine gives it back: Output, Offline, an answer, or None."""

    @property
    def open(self) -> bool:
        """Whether its outcome is not in the journal."""
        return self.settled is None

    def matches(self, command: Command) -> bool:
        """Whether the action, run again, asks for the command that the journal holds.

        Probes and changes are compared by digest. Questions, waits and reports are compared by
        kind and typed fields, because a release may reword the texts they show to people.
        """
        match command:
            case Ask(kind=kind, by=by, default=default):
                asked = self.asked
                found = asked and (asked.question, asked.by, asked.default)
                return found == (kind, by or "", default)
            case Sleep(seconds=seconds):
                if self.settled is None or "sleep" not in self.settled.command:
                    return self.digest == digest(command)  # it never ended as a wait does
                return bool(self.settled.command["sleep"] == seconds)
            case Report(done=done):
                return self.reported is not None and self.reported.done == done
            case _:
                return self.digest == digest(command)


class Lane(Struct):
    """One host in one step."""

    attempt: int = 0
    history: dict[int, Past] = field(default_factory=dict)
    retries: list[AttemptEnded] = field(default_factory=list)
    retry_n: int | None = None
    """The command number of the pause after an attempt that did not do; None while one runs."""
    ended: StepEnded | None = None
    begun: bool = False
    again: bool = False
    """Whether a person wants another attempt after the last one failed."""
    last_at: datetime | None = None
    """When something was last heard of it: a wait without an outcome began then."""
    changed: bool = False
    """Whether any change was sent; a work with one such step is never plain Cancelled."""
    typed: Asked | None = None
    """What a person is asked to type at the host, until its outcome is told."""
    shown: set[str] = field(default_factory=set)
    """The digests of all that a person was asked to type in this step."""
    doubted: bool = False
    """Whether it was in doubt before, so that the log knows of it."""

    @property
    def unreached(self) -> bool:
        """Whether it ended because its host could not be reached, and not a way beside that."""
        if self.ended is None or self.ended.outcome != Outcome.UNREACHABLE.value:
            return False
        last = self.history.get(max(self.history, default=-1))
        return last is None or last.settled is None or "via" not in last.settled.command

    @property
    def doubt(self) -> Past | None:
        """The change of which nobody knows what became; None where there is none."""
        if self.ended is None or self.ended.outcome != Outcome.IN_DOUBT.value:
            return None
        pasts = (self.history[n] for n in sorted(self.history, reverse=True))
        return next((past for past in pasts if past.settled and past.settled.how == "lost"), None)

    @property
    def question(self) -> Asked | None:
        """The action's question that waits for an answer, if one does."""
        last = self.history.get(max(self.history, default=-1))
        return last.asked if last and last.asked and last.open else None


class RunState(Struct):
    """What is known of a run. Built by ``apply`` only."""

    run: str = ""
    seq: int = 0
    opened: RunOpened | None = None
    opened_at: datetime | None = None
    closed: RunClosed | None = None
    last_at: datetime | None = None
    head: str = ""
    lanes: dict[LaneKey, Lane] = field(default_factory=dict)
    works: dict[int, WorkEnded] = field(default_factory=dict)
    works_started: set[int] = field(default_factory=set)
    attending: list[str] = field(default_factory=list)
    cancel: CancelAsked | None = None
    cancel_who: str = ""
    connected: dict[str, Connected] = field(default_factory=dict)
    bad: dict[LaneKey, Outcome] = field(default_factory=dict)
    """The lanes whose step ended, and not well."""
    troubles: dict[str, Trouble] = field(default_factory=dict)
    """The steps a person was asked about, by id; one that is tried again is none any more."""
    undos: dict[str, Trouble] = field(default_factory=dict)
    """The steps that may be undone, by id, and what a person said to that."""
    window: Window = field(default_factory=Window)
    stop: StopAsked | None = None
    """Until a person has decided how to go on."""
    locked: set[str] = field(default_factory=set)
    """The hosts whose lock was taken."""
    by_hand: set[str] = field(default_factory=set)
    """The hosts at which a person types what there is no session for."""
    executed: set[LaneKey] = field(default_factory=set)
    """The lanes whose scheduled shutdown is known to have been carried out."""
    inputs: dict[str, Any] = field(default_factory=dict)
    """Inputs that were changed on the way."""
    called: set[str] = field(default_factory=set)
    """With which sentences the operators were called."""
    decisions: int = 0
    started_by: str = ""
    epoch: int = 1

    def unreached(self, step: str) -> list[str]:
        """The hosts on which a step ended because no session with them could be had."""
        lanes = ((host, self.lanes[host, bad]) for host, bad in self.bad if bad == step and host)
        return [host for host, lane in lanes if lane.unreached]

    @property
    def in_doubt(self) -> bool:
        """Whether it is not known what became of a step."""
        return Outcome.IN_DOUBT in self.bad.values()

    def doubts(self, step: str) -> dict[str, Past]:
        """The changes of a step of which nobody knows what became, by host."""
        lanes = ((host, self.lanes[host, bad].doubt) for host, bad in self.bad if bad == step)
        return {host: past for host, past in lanes if past is not None}

    def open_doubts(self) -> list[str]:
        """The steps that wait for a person's word, and whose hosts may know by now."""
        return [
            step
            for step, trouble in self.troubles.items()
            if not trouble.answer
            and any(p.settled and not p.settled.final for p in self.doubts(step).values())
        ]

    def lane(self, host: str, step: str) -> Lane:
        """The lane, made when first spoken of."""
        return self.lanes.setdefault((host, step), Lane())

    def question(self, at: Address) -> Asked | None:
        """The question that waits for an answer at this lane or step, if one does."""
        trouble = self.troubles.get(at.step)
        if trouble is not None and not at.host and not trouble.answer:
            return trouble.asked
        undo = self.undos.get(at.step)
        if undo is not None and not at.host and not undo.answer:
            return undo.asked
        begin = self.window.asked.get(at.step)
        if begin is not None and not at.host and not begin.answer:
            return begin.asked
        lane = self.lanes.get((at.host, at.step))
        return (lane.typed or lane.question) if lane is not None and lane.ended is None else None

    def decider(self, step: str) -> str:
        """Who gave the answer that is about to become a decision; empty where there is none."""
        found = (each.get(step) for each in (self.troubles, self.window.asked))
        return next((each.who for each in found if each and each.answer and not each.decision), "")

    def questions(self) -> list[tuple[Address, Asked]]:
        """Everything that waits for an answer."""
        found = [
            (Address(host, step, lane.attempt, max(lane.history, default=0)), question)
            for (host, step), lane in self.lanes.items()
            if lane.ended is None and (question := lane.typed or lane.question) is not None
        ]
        asked = (self.troubles, self.undos, self.window.asked)
        open_ones = [each for kind in asked for each in kind.items()]
        steps = [(s, t.asked) for s, t in open_ones if not t.answer]
        return [*found, *((Address(step=step), asked) for step, asked in steps)]

    def apply(self, event: Event, load: Load | None = None) -> None:
        """Takes one event in. ``load`` reads blobs by digest."""
        self.run, self.seq, self.head = event.run, event.seq, event.hash
        self.epoch = event.epoch
        self.last_at = event.happened_at
        _apply(self, event, load)


def fold(events: Iterable[Event], load: Load | None = None) -> RunState:
    """The state after these events."""
    state = RunState()
    for event in events:
        state.apply(event, load)
    return state


def result_value(body: Settled, at: datetime, load: Load | None) -> Any:
    """A settled command's result as an action receives it, before any parser."""
    moment = at.timestamp()
    if body.how == "offline":
        return Offline(body.why, moment)
    if body.how != "output":
        return None
    result = body.result
    return Output(
        status=int(result.get("status", 0)),
        out=blob_from_json(result.get("out", {}), load),
        err=blob_from_json(result.get("err", {}), load),
        seconds=float(result.get("seconds", 0.0)),
        at=moment,
        timed_out=bool(result.get("timed_out", False)),
        stopped=bool(result.get("stopped", False)),
        cut=bool(result.get("cut", False)),
    )


def _apply(state: RunState, event: Event, load: Load | None) -> None:
    if event.at.step:
        _apply_to_step(state, event, load)
        return
    body: Body = event.body
    match body:
        case RunOpened():
            state.opened, state.opened_at = body, event.happened_at
            state.started_by = event.who
            state.attending = list(body.attending)
        case RunClosed():
            state.closed = body
        case Connected():
            _met(state, event.at.host, body)
        case WorkStarted(number=number):
            state.works_started.add(number)
        case WorkEnded(number=number):
            state.works[number] = body
        case Joined(name=name) if name not in state.attending:
            state.attending.append(name)
        case CancelAsked() | StopAsked():
            _stop(state, body, event.who)
        case InputChanged(name=name, value=value):
            state.inputs[name] = value
        case Called(sentence=sentence):
            state.called.add(sentence)
        case WindowSet() | WindowBegan() | WindowEnded():
            state.window.take(body)
        case _:
            pass  # notes, remarks on the clock, kinds of other versions: kept, not acted on


def _met(state: RunState, host: str, body: Connected) -> None:
    state.connected[host] = body
    if body.over != HANDS:
        state.locked.add(host)
        state.by_hand.discard(host)


def _stop(state: RunState, body: CancelAsked | StopAsked, who: str) -> None:
    if isinstance(body, CancelAsked):
        state.cancel, state.cancel_who = body, who
    else:
        state.stop = body


def _apply_to_step(state: RunState, event: Event, load: Load | None) -> None:
    body, step = event.body, event.at.step
    match body:
        case Asked(question="failure"):
            state.troubles[step] = Trouble(body)
        case Asked(question="undo"):
            state.undos[step] = Trouble(body)
        case Asked(question="window"):
            state.window.asked[step] = Trouble(body)
        case Answered(value=value) if state.question(event.at) in _about_step(state, event.at):
            _answer(state, step, value, event.who)
        case Decided(decision=decision) if step in state.window.asked and not state.window.word:
            state.window.word, state.window.asked[step].decision = decision, decision
            state.decisions += 1
        case Decided(decision=decision):
            _decide(state, step, decision)
        case ShutdownExecuted():
            state.executed.add((event.at.host, step))
        case Answered(value=value) if (lane := state.lane(event.at.host, step)).typed is not None:
            lane.typed = None
            if value == LEAVE:
                state.by_hand.discard(event.at.host)
        case _:
            _apply_to_lane(state.lane(event.at.host, step), event, load)
    if isinstance(body, StepEnded) and not Outcome(body.outcome).good:
        state.bad[event.at.host, step] = Outcome(body.outcome)


def _about_step(state: RunState, at: Address) -> list[Asked]:
    """The questions that are not a lane's own."""
    found = (each.get(at.step) for each in (state.troubles, state.undos, state.window.asked))
    return [each.asked for each in found if each is not None and not each.answer and not at.host]


def _answer(state: RunState, step: str, value: str, who: str) -> None:
    for asked in (state.troubles, state.undos, state.window.asked):
        found = asked.get(step)
        if found is not None and not found.answer:
            found.answer, found.who = value, who
            return


def _decide(state: RunState, step: str, decision: str) -> None:
    state.stop = None
    state.decisions += 1
    state.troubles[step].decision = decision
    if decision == LOOK:
        _reopen(state, step)
    if decision not in (RETRY, BY_HAND, DONE):
        return
    del state.troubles[step]
    if decision == BY_HAND:
        state.by_hand |= set(state.unreached(step))
    for key in [key for key in state.bad if key[1] == step]:
        del state.bad[key]
        lane = state.lanes[key]
        if decision == DONE:
            lane.ended = StepEnded(Outcome.DONE.value)
        else:
            lane.ended, lane.history, lane.retries, lane.again = None, {}, [], lane.begun


def _reopen(state: RunState, step: str) -> None:
    """Takes a step's doubts back, as if the outcomes of those changes had never been looked for."""
    del state.troubles[step]
    for host, past in state.doubts(step).items():
        del state.bad[host, step]
        lane = state.lanes[host, step]
        lane.ended, lane.doubted = None, True
        past.settled = past.value = None


def _apply_to_lane(lane: Lane, event: Event, load: Load | None) -> None:
    n, body = event.at.n, event.body
    lane.last_at = event.happened_at
    match body:
        case StepStarted():
            lane.attempt, lane.begun, lane.retry_n = event.at.attempt, True, None
            lane.again = False
            lane.history = {0: lane.history[0]} if 0 in lane.history else {}
        case Intended():
            lane.history[n] = Past(body.digest, body.command, body.fate, body.boot_id, body.record)
            lane.changed = True
        case Asked(question=question) if question == TYPED:
            lane.typed = body
            lane.shown.add(body.digest)
        case Asked():
            lane.history[n] = Past(body.digest, asked=body)
        case Answered(value=value):
            past = lane.history.get(n)
            if past is not None and past.open:
                past.settled, past.value = Settled(past.digest, "answered"), value
        case Settled():
            past = lane.history.setdefault(n, Past(body.digest))
            past.settled, past.value = body, result_value(body, event.happened_at, load)
            lane.typed = None
        case Reported():
            settled = Settled(body.digest, "reported")
            lane.history[n] = Past(body.digest, settled=settled, reported=body)
        case AttemptEnded():
            lane.retries.append(body)
            lane.retry_n = n
        case StepEnded():
            lane.ended, lane.typed = body, None
        case _:
            pass
