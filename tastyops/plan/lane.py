"""One lane: a host in a step. Replays its generator on the journal and says what comes next.

The generator is started anew and fed the journalled result of every command of the attempt; at
the first command without an outcome it is live. Live generators are kept between calls only
because replaying a long watch from its beginning each time would be quadratic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tastyops.errors import (
    ActionStopped,
    CannotKnow,
    Failed,
    ProbeFailed,
    Refused,
    Stopped,
    TemplateError,
)
from tastyops.facts.parsers import parse
from tastyops.journal.events import (
    Address,
    Asked,
    AttemptEnded,
    Body,
    Intended,
    Reported,
    StepEnded,
    StepStarted,
)
from tastyops.journal.state import Lane, Past, RunState
from tastyops.model.action import Registered
from tastyops.model.coercion import coerce
from tastyops.model.commands import (
    Ask,
    Change,
    Command,
    Output,
    Probe,
    Report,
    Sleep,
    Unknown,
    describe,
    digest,
)
from tastyops.model.outcome import Outcome
from tastyops.model.runbook import Marked, Step
from tastyops.plan.generator_cache import Live, LiveLanes
from tastyops.plan.log_sentences import ended_entry, failed_entry, step_label
from tastyops.plan.moves import Append, Move, Parked, Perform, PickUp
from tastyops.plan.plan import Plan, lane_facts, lane_names
from tastyops.templates import rendering

LARGE = 64 * 1024
"""Characters of one value in the end of a step that registers nothing."""

YES = frozenset({"y", "yes", "done", "ok", "true"})


@dataclass(frozen=True, slots=True)
class LaneContext:
    """All that is needed to say what one lane does next."""

    plan: Plan
    state: RunState
    step: Step
    host: str
    lane: Lane
    kept: LiveLanes
    halted: bool = False
    """Whether it runs in the background of what was given up."""

    def at(self, n: int = 0, attempt: int | None = None) -> Address:
        """An address in this lane."""
        number = self.lane.attempt if attempt is None else attempt
        return Address(self.host, self.step.id, number, n)

    @property
    def stopping(self) -> bool:
        """Whether nothing new may be begun: the run is cancelled, or a person wants a say."""
        if self.step.recovery:
            return False
        asked = self.state.stop is not None and not self.step.background
        return self.halted or self.state.cancel is not None or asked

    def names(self) -> dict[str, Any]:
        """The names this lane's templates may use."""
        return lane_names(self.plan, self.state, self.host, self.step)


def lane_move(view: LaneContext) -> Move:
    """What the lane does next. The lane has not ended and nothing of it is under way."""
    try:
        return _move(view)
    except CannotKnow as unknown:
        return _end(view, Outcome.CANNOT_KNOW, unknown=unknown.step)
    except TemplateError as error:
        return _end(view, Outcome.FAILED, why=error.advised)


def _move(view: LaneContext) -> Move:
    lane = view.lane
    if view.stopping and (not lane.begun or lane.question or lane.again):
        return _end(view, Outcome.CANCELLED, why="cancelled before it began")
    if not lane.begun:
        return _before(view)
    if lane.again:
        return _start(view, lane.attempt + 1, view.names())
    if lane.retry_n is not None:
        return _again(view)
    return _replay(view)


def _before(view: LaneContext) -> Move:
    """``when`` and ``confirm``, then the first attempt."""
    step, names = view.step, view.names()
    work = view.plan.work_of(step.id)
    for condition in (None if step.recovery else work.when, step.when):
        if condition is not None and not rendering.holds(condition, names):
            return _end(view, Outcome.SKIPPED)
    if step.confirm is not None or step.approval:
        question = _confirmation(step, names)
        past = view.lane.history.get(0)
        if past is None:
            return Append(view.at(0, 1), _asked(question))
        if past.open:
            return Parked(view.at(0, 1), _asked(question))
        if str(past.value).strip().lower() not in YES:
            return _end(view, Outcome.CANCELLED, why="declined")
    return _start(view, 1, names)


def _confirmation(step: Step, names: Mapping[str, Any]) -> Ask:
    if step.confirm is None:
        return Ask("confirm", f"May {step_label(step, names)} begin?", step.approval)
    return Ask("confirm", rendering.render(step.confirm, names, "text"), step.approval or None)


def _start(view: LaneContext, attempt: int, names: Mapping[str, Any]) -> Move:
    params = _render(view, names)
    shown = {name: _shown(value) for name, value in params.items()}
    return Append(view.at(attempt=attempt), StepStarted(view.step.action, shown))


def _shown(value: Any) -> Any:
    """A parameter as the journal keeps it."""
    if isinstance(value, Unknown):
        return repr(value)
    if isinstance(value, Marked):
        return value.text
    return list(value) if isinstance(value, tuple) else value


def _again(view: LaneContext) -> Move:
    """The pause after an attempt that did not do, and then the next one."""
    if view.stopping:
        return _end(view, Outcome.CANCELLED, why="cancelled before it was tried again")
    n = view.lane.retry_n or 0
    pause = Sleep(view.lane.retries[-1].delay, "before trying again")
    past = view.lane.history.get(n)
    if past is None:
        return Perform(view.at(n), pause, digest(pause), "", view.step)
    return _start(view, view.lane.attempt + 1, view.names())


def _render(view: LaneContext, names: Mapping[str, Any]) -> dict[str, Any]:
    """The step's parameters with every template rendered and every type checked."""
    spec, step = view.plan.spec(view.step), view.step
    values: dict[str, Any] = {}
    for name, raw in step.params.items():
        param = spec.params[name]
        value = raw
        if param.type == "shell" and isinstance(raw, Marked):
            value = rendering.render(raw, names, "shell")
        elif param.type != "expression":
            value = rendering.render_value(raw, names)
        try:
            values[name] = coerce(param, value)
        except ValueError as error:
            raise Failed(f"parameter {name}: {error}") from error
    return values


def _open(view: LaneContext) -> Live:
    """The lane's live generator, started if it is not."""
    key = (view.host, view.step.id, view.lane.attempt)
    live = view.kept.kept.get(key)
    if live is None:
        names = view.names()
        spec = view.plan.spec(view.step)
        params = spec.build(**_render(view, names))
        facts = lane_facts(view.plan, view.state, view.host, view.step, names)
        live = Live(spec.perform(params, facts))
        live.step(None)
        view.kept.kept[key] = live
    return live


def _replay(view: LaneContext) -> Move:
    try:
        live = _open(view)
    except Failed as error:
        return _end(view, Outcome.FAILED, why=error.why)
    while live.command is not None:
        n = live.sent + 1
        past = view.lane.history.get(n)
        if _to_stop(view, live, past):
            live.stopped = True
            live.step(None, throw=Stopped())
            continue
        if past is None:
            return _first(view, n, live.command)
        if not past.matches(live.command):
            return _end(view, Outcome.IN_DOUBT, why=f"command {n} differs from the one begun")
        if past.open:
            if past.asked:
                return Parked(view.at(n), past.asked)
            return _pick_up(view, n, past, live.command)
        ended = _bad_end(view, n, past, live.command)
        if ended is not None:
            return ended
        live.sent = n
        _feed(live, past, view.step.address)
    return _finish(view, live)


def _pick_up(view: LaneContext, n: int, past: Past, command: Command) -> Move:
    if isinstance(command, Change):
        name = f"{view.step.id}.{view.lane.attempt}.{n}"
        return PickUp(view.at(n), command, past.digest, name, past.boot_id, past.record, view.step)
    return _end(view, Outcome.IN_DOUBT, why=f"command {n} was begun; no outcome is known")


def _to_stop(view: LaneContext, live: Live, past: Past | None) -> bool:
    """Whether the generator is to be told of a cancel instead of having its next command done.

    On replay that is where the journal goes on with another command than the one it yields.
    """
    if not view.stopping or live.stopped or live.command is None:
        return False
    return past is None or not past.matches(live.command)


def _first(view: LaneContext, n: int, command: Command) -> Move:
    """A command met for the first time: questions and reports are events, the rest is performed."""
    at, mark = view.at(n), digest(command)
    if isinstance(command, Ask):
        return Append(at, _asked(command))
    if isinstance(command, Report):
        entry = command.entry.text if command.entry else None
        return Append(at, Reported(mark, command.done, _labelled(view, entry), command.note))
    name = f"{view.step.id}.{view.lane.attempt}.{n}"
    return Perform(at, command, mark, name, view.step)


def _asked(question: Ask) -> Asked:
    return Asked(
        digest(question), question.kind, question.text, question.by or "", question.default
    )


def _bad_end(view: LaneContext, n: int, past: Past, command: Command) -> Move | None:
    """Ends that the action is not asked about: no host, no outcome, a declined confirmation."""
    settled = past.settled
    if settled is None:
        return None
    if settled.how == "unreachable":
        return _end(view, Outcome.UNREACHABLE, why=settled.why)
    if settled.how == "locked":
        return _end(view, Outcome.LOCKED, why=settled.why)
    if settled.how == "lost":
        return _end(view, Outcome.IN_DOUBT, why=settled.why, cause=n)
    if settled.how == "undone":
        return _end(view, Outcome.FAILED, why=settled.why)
    declined = str(past.value).strip().lower() not in YES
    if (
        isinstance(command, Ask)
        and command.kind != "ask"
        and settled.how == "answered"
        and declined
    ):
        return _end(view, Outcome.CANCELLED, why="declined")
    return None


def _feed(live: Live, past: Past, address: str) -> None:
    """Gives the generator the value its command came to, parsed if it was a probe."""
    command, value = live.command, past.value
    if past.settled is not None and past.settled.how == "unknown":
        live.step(Unknown(address))
    elif past.settled is not None and past.settled.how == "untold":
        live.step(None, throw=ProbeFailed(past.settled.why))
    elif isinstance(command, Probe) and isinstance(value, Output):
        try:
            fact = parse(command.parser, value)
        except ProbeFailed as error:
            live.step(None, throw=error)
        else:
            live.step(fact)
    else:
        live.step(value)


def _finish(view: LaneContext, live: Live) -> Move:
    """The generator returned or raised: retry, or end the step."""
    error = live.error
    if isinstance(error, CannotKnow):
        changed = any(p.settled and p.settled.how == "unknown" for p in view.lane.history.values())
        return _end(view, Outcome.DONE if changed else Outcome.CANNOT_KNOW, unknown=error.step)
    registered, why = live.returned or {}, ""
    if isinstance(error, Failed):
        registered, why = error.registered, error.why
    elif isinstance(error, ActionStopped):
        why = str(getattr(error, "why", error))
    elif error is not None:
        why = f"an error in the action itself: {type(error).__name__}: {error}"
    failed = error is not None
    if (view.step.until is not None and not isinstance(error, ActionStopped)) or _may_retry(
        view, error
    ):
        again = _until(view, registered, failed, why, _cause(view.lane, live))
        if again is not None:
            return again
    if failed:
        refused, cause = isinstance(error, Refused), _cause(view.lane, live)
        return _end(view, Outcome.FAILED, registered, why=why, refused=refused, cause=cause)
    withheld = any(p.settled and p.settled.how == "unknown" for p in view.lane.history.values())
    outcome = Outcome.ALREADY if registered.get("changed") is False else Outcome.DONE
    return _end(view, outcome, registered, unknown=view.step.address if withheld else "")


def _cause(lane: Lane, live: Live) -> int:
    """The number of the command whose failure ended the attempt; 0 where the reason says all.

    What an action read in order to judge is no cause: only a probe that gave no fact at all, or one
    that is the step's own command, can be. Where the action itself is content (``until`` is not),
    that is its last command.
    """
    if isinstance(live.error, Refused | Stopped):
        return 0
    if isinstance(live.error, ProbeFailed):
        return live.sent
    outputs = {n: past for n, past in lane.history.items() if isinstance(past.value, Output)}
    changes = [n for n, past in outputs.items() if "change" in past.command]
    if changes and not outputs[max(changes)].value.ok:
        return max(changes)
    last = outputs.get(live.sent)
    if last is None or last.settled is None or (live.error is not None and last.value.ok):
        return 0
    own = "change" in last.command or last.settled.command.get("parser") == "output"
    return live.sent if own else 0


def _may_retry(view: LaneContext, error: BaseException | None) -> bool:
    return view.step.until is not None and isinstance(error, Failed)


def _until(
    view: LaneContext, registered: Registered, failed: bool, why: str, cause: int
) -> Move | None:
    """Another attempt if ``until`` does not hold and retries are left; None when it is over."""
    step = view.step
    if step.until is None:
        return None
    names = {**view.names(), step.register or "result": registered}
    try:
        good = rendering.holds(step.until, names)
    except TemplateError as error:
        if not failed:
            return _end(view, Outcome.FAILED, registered, why=error.advised)
        good = False
    if good:
        return _end(view, Outcome.DONE, registered)
    if len(view.lane.retries) < step.retries:
        n = max(view.lane.history, default=0) + 1
        return Append(view.at(n), AttemptEnded(_kept(step, registered), why, step.delay))
    why = why or "`until` did not hold after the last attempt"
    return _end(view, Outcome.FAILED, registered, why=why, cause=cause)


def _labelled(view: LaneContext, entry: str | None) -> str | None:
    many = len(view.plan.hosts) > 1 and view.host
    return f"{view.host}: {entry}" if entry and many else entry


def _end(
    view: LaneContext,
    outcome: Outcome,
    registered: Registered | None = None,
    *,
    why: str = "",
    unknown: str = "",
    refused: bool = False,
    cause: int = 0,
) -> Append:
    """The step's end on this host, with its entry for the log."""
    registered = registered or {}
    if view.stopping and outcome is Outcome.FAILED:
        outcome = Outcome.CANCELLED
    entry = None
    if outcome in (Outcome.DONE, Outcome.ALREADY):
        try:
            entry = ended_entry(view.plan, view.step, view.names(), registered, outcome, unknown)
        except (TemplateError, ActionStopped) as error:
            why = f"the step was done, but its `log:` could not be written: {error}"
            entry = None
    elif outcome is Outcome.IN_DOUBT and view.lane.doubted:
        entry = None  # the log has said so
    elif not outcome.good and (view.lane.begun or view.state.stop is None):
        entry = failed_entry(view.step, view.names(), outcome)
    told = _labelled(view, entry)
    kept = _kept(view.step, registered)
    body: Body = StepEnded(outcome.value, kept, told, why, unknown, refused, cause)
    return Append(view.at(), body)


def _kept(step: Step, registered: Registered) -> Registered:
    """The registered values for the journal.

    A large one of a step without ``register`` cannot be read by any step. A reference stands in its
    place; the output itself is kept once, with the command that gave it.
    """
    if step.register:
        return registered
    return {name: _reference(value) for name, value in registered.items()}


def _reference(value: Any) -> Any:
    lines = isinstance(value, list) and all(isinstance(each, str) for each in value)
    if not (lines or isinstance(value, str)):
        return value  # facts, which later steps of the same kind may look at
    size = sum(len(each) + 1 for each in value) if lines else len(value)
    return value if size <= LARGE else {"kept with": "the command's output", "characters": size}


def intended(perform: Perform, fate: str, boot_id: str, record: str = "") -> Intended:
    """The event that precedes a change."""
    return Intended(perform.digest, describe(perform.command), fate, boot_id, record)
