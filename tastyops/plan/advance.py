"""``advance(plan, state) → moves``: what every ready lane does next, and how a run ends."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from tastyops.errors import ExitCode
from tastyops.journal.events import (
    Address,
    RunClosed,
    ShutdownExecuted,
    WorkEnded,
    WorkStarted,
)
from tastyops.journal.scheduled_shutdowns import (
    Scheduled,
    scheduled,
    seen_since,
    sentence,
    taken_back,
)
from tastyops.journal.state import LaneKey, RunState
from tastyops.model.outcome import Outcome
from tastyops.model.runbook import Marked, Step, Work
from tastyops.plan import at_risk, failure_policy, recovery
from tastyops.plan.generator_cache import LiveLanes
from tastyops.plan.log_sentences import step_label
from tastyops.plan.moves import Append, Halt, Move
from tastyops.plan.plan import Plan, lane_names
from tastyops.plan.snapshot import Snapshot, bad_lanes

JOIN = "join"
"""The action that waits for steps in the background."""

COMPLETED = "Completed"
NOT_COMPLETED = "Not completed"
CANCELLED = "Cancelled"
NOT_PART = "Not part of this run"
ENDED_WITHOUT = "Ended without completion"

_EXITS = {
    Outcome.IN_DOUBT: ExitCode.IN_DOUBT,
    Outcome.UNREACHABLE: ExitCode.UNREACHABLE,
    Outcome.LOCKED: ExitCode.LOCKED,
    Outcome.FAILED: ExitCode.FAILED,
    Outcome.CANCELLED: ExitCode.CANCELLED,
}
"""Worst first: what a run with several kinds of failure ends with."""

_RUN = Address()


def advance(
    plan: Plan, state: RunState, kept: LiveLanes, busy: Collection[LaneKey] = ()
) -> list[Move]:
    """What is to be done now; empty when all depends on lanes in ``busy`` or the run is closed."""
    if state.closed is not None:
        return []
    noted = _executed_shutdowns(plan, state)
    if noted:
        return noted
    now = Snapshot(plan, state, kept, busy, _stop(plan, state))
    beside = _background_moves(now)
    waiting = False
    for work in plan.runbook.works:
        if work.number in state.works:
            continue
        moves = _work_moves(now, work)
        if moves is not None:
            return [*beside, *moves]
        waiting = True  # only for what runs in its background
    if beside or waiting:
        return beside
    if now.stop is not None and state.works_started:
        moves = recovery.of_run(now)
        if moves is not None:
            return moves
    return [Append(_RUN, _closing(plan, state))]


def _work_moves(now: Snapshot, work: Work) -> list[Move] | None:
    """The moves of an unfinished work; None while only its background is not over."""
    state = now.state
    steps = [step for step in work.steps if step.id not in now.plan.left_out]
    if not steps:
        return [Append(_RUN, WorkEnded(work.number, NOT_PART))]
    begun = work.number in state.works_started
    for step in [] if now.stop and not begun else steps:
        if step.id in now.kept.well:
            continue
        moves = _joined(now, step)
        if moves is not None:
            return moves
        unfinished = now.unfinished(step)
        if step.background:
            unfinished = [host for host in unfinished if not state.lane(host, step.id).begun]
        if not unfinished:
            moves = None if step.background else _judged(now, step)
            if moves is not None:
                return moves
            if now.given_up(step) and not step.background:
                break
            continue
        if now.stop and not any(state.lane(host, step.id).begun for host in unfinished):
            break
        if not any(state.lane(host, step.id).begun for host in now.plan.lanes[step.id]):
            moves = at_risk.moves(now, step)
            if moves is not None:
                return moves
        if not begun:
            return [Append(_RUN, WorkStarted(work.number))]
        return now.lane_moves(step, unfinished)
    return _work_over(now, work, steps)


def _joined(now: Snapshot, step: Step) -> list[Move] | None:
    """What a ``join`` waits for, or what the steps it waited for ask; None when that is over."""
    for awaited in _awaited(now.plan, step):
        moves: list[Move] | None = [] if now.unfinished(awaited) else _judged(now, awaited)
        if moves is not None:
            return moves
    return None


def _work_over(now: Snapshot, work: Work, steps: Sequence[Step]) -> list[Move] | None:
    """What is left once no step of the work is to be begun any more."""
    for step in steps:
        if step.background and any(now.state.lane(h, step.id).begun for h in now.unfinished(step)):
            return None
    for step in steps:
        if step.background and not now.unfinished(step):
            moves = _judged(now, step)
            if moves is not None:
                return moves
    moves = recovery.of_work(now, work)
    if moves is not None:
        return moves
    return [Append(_RUN, _work_end(now.plan, now.state, work))]


def _judged(now: Snapshot, step: Step) -> list[Move] | None:
    """What a step that is over asks for; None when it ended well or that is decided."""
    bad = bad_lanes(now.plan, now.state, step)
    if not bad:
        now.kept.well.add(step.id)
        return None
    if now.stop is not None:
        return None
    found = failure_policy.move(now.plan, now.state, step, bad)
    if found is None:
        return None
    return [] if ("", step.id) in now.busy else [found]


def _ended(state: RunState, host: str, step: Step) -> bool:
    lane = state.lanes.get((host, step.id))
    return lane is not None and lane.ended is not None


def _skipped(state: RunState, host: str, step: Step) -> bool:
    lane = state.lanes.get((host, step.id))
    return lane is not None and lane.ended is not None and lane.ended.outcome == "skipped"


def _worst(outcomes: Collection[Outcome]) -> Outcome:
    return next(outcome for outcome in _EXITS if outcome in outcomes)


def _stop(plan: Plan, state: RunState) -> tuple[Step | None, Outcome] | None:
    """The step that stops the run and how it ended; None while the run goes on."""
    for step in plan.runbook.steps() if state.bad else ():
        bad = bad_lanes(plan, state, step)
        if bad and _stops(state, step):
            return step, _worst(bad)
    return (None, Outcome.CANCELLED) if _given_up(state) else None


def _given_up(state: RunState) -> bool:
    """Whether the whole run is to end, and not for one of its steps."""
    return state.cancel is not None or state.window.word == at_risk.CANCEL


def _stops(state: RunState, step: Step) -> bool:
    decided = failure_policy.decision(state, step)
    return decided == failure_policy.ABORT or (not decided and _given_up(state))


def _why(plan: Plan, state: RunState) -> str:
    """The public reason a run stopped: a fixed phrase with the step's number and name."""
    stop = _stop(plan, state)
    if stop is None:
        return ""
    step, outcome = stop
    if step is not None:
        return _phrase(plan, state, step, outcome)
    return "the run was cancelled" if state.cancel is not None else at_risk.OVER


def _phrase(plan: Plan, state: RunState, step: Step, outcome: Outcome) -> str:
    label = step_label(step, lane_names(plan, state, plan.lanes[step.id][0], step))
    skip = failure_policy.decision(state, step) == failure_policy.SKIP
    skipped = " and was skipped" if skip else ""
    return f"{label} {failure_policy.ENDS[outcome]}{skipped}"


def _work_end(plan: Plan, state: RunState, work: Work) -> WorkEnded:
    """A work's status. A half-done one is never plain Cancelled; one never started is."""
    steps = [step for step in work.steps if step.id not in plan.left_out]
    own = [(step, bad) for step in steps if (bad := bad_lanes(plan, state, step))]
    if all(_skipped(state, host, step) for step in steps for host in plan.lanes[step.id]):
        return WorkEnded(work.number, NOT_PART)  # its `when:` was false: nothing of it was done
    done = all(_ended(state, host, step) for step in steps for host in plan.lanes[step.id])
    if done and not own:
        late = f"from step {steps[0].address} on" if len(steps) < len(work.steps) else ""
        return WorkEnded(work.number, COMPLETED, late)
    why = _phrase(plan, state, own[0][0], _worst(own[0][1])) if own else _why(plan, state)
    touched = any(_touched(state, host, step) for step in steps for host in plan.lanes[step.id])
    return WorkEnded(work.number, NOT_COMPLETED if touched else CANCELLED, why)


def _touched(state: RunState, host: str, step: Step) -> bool:
    """Whether a step was begun for more than a question that was declined."""
    lane = state.lanes.get((host, step.id))
    if lane is None or not lane.begun:
        return False
    declined = lane.ended is not None and lane.ended.outcome == Outcome.CANCELLED.value
    return lane.changed or not declined


def _closing(plan: Plan, state: RunState) -> RunClosed:
    """Completed only when every work was, or was cancelled by a person's choice."""
    stop = _stop(plan, state)
    bad = set(state.bad.values())
    unfinished = [w for w in state.works.values() if w.status in (NOT_COMPLETED, CANCELLED)]
    if not unfinished or (stop is None and all(w.status == CANCELLED for w in unfinished)):
        return RunClosed(COMPLETED, int(ExitCode.COMPLETED))
    nothing = all(work.status in (CANCELLED, NOT_PART) for work in state.works.values())
    worst = stop[1] if stop else _worst(bad)
    status = CANCELLED if nothing and worst is Outcome.CANCELLED else ENDED_WITHOUT
    return RunClosed(status, int(_EXITS[worst]), _why(plan, state) or unfinished[0].why)


# -- steps in the background: begun in their place, they go on beside the others -----------------


def _awaited(plan: Plan, step: Step) -> list[Step]:
    """The background steps that a ``join`` waits for; none for other steps."""
    if step.action != JOIN:
        return []
    raw = step.params.get("steps", ())
    wanted = {each.text if isinstance(each, Marked) else str(each) for each in raw}
    return [each for each in plan.runbook.steps() if each.background and each.id in wanted]


def _background_moves(now: Snapshot) -> list[Move]:
    """What every step in the background does next; one whose work was given up is ended."""
    found: list[Move] = []
    for work, step in _begun_background(now):
        halted = now.stop is not None or any(now.given_up(other) for other in work.steps)
        hosts = [host for host in now.unfinished(step) if now.state.lane(host, step.id).begun]
        found += now.lane_moves(step, hosts, halted=halted)
        if halted:
            lanes = [Address(host, step.id) for host in hosts if (host, step.id) in now.busy]
            found += map(Halt, lanes)
    return found


def _begun_background(now: Snapshot) -> Iterator[tuple[Work, Step]]:
    for work in now.plan.runbook.works:
        if work.number in now.state.works_started and work.number not in now.state.works:
            yield from ((work, step) for step in work.steps if step.background)


# -- scheduled shutdowns of this run's own ---------------------------------------------------------


def _executed_shutdowns(plan: Plan, state: RunState) -> list[Move]:
    """Notes that a host has been seen again after its scheduled shutdown."""
    if not plan.shutdowns:
        return []
    label = len(plan.hosts) > 1
    return [
        Append(
            Address(one.host, one.step),
            ShutdownExecuted(one.due, _labelled_shutdown(one, state, label=label)),
        )
        for one in scheduled(state)
        if (one.host, one.step) not in state.executed
        and seen_since(state, one)
        and not taken_back(state, one)
    ]


def _labelled_shutdown(one: Scheduled, state: RunState, *, label: bool) -> str:
    said = sentence(state, one)
    return f"{one.host}: {said}" if label else said
