"""``advance(plan, state) → moves``: what every ready lane does next, and how a run ends."""

from __future__ import annotations

from collections.abc import Collection

from tastyops.advance.lane import LaneView, LiveLanes, lane_move
from tastyops.advance.moves import Append, Move
from tastyops.advance.wording import step_label
from tastyops.errors import ExitCode
from tastyops.journal.events import Address, RunClosed, WorkEnded, WorkStarted
from tastyops.journal.state import LaneKey, RunState
from tastyops.model.outcome import Outcome
from tastyops.model.runbook import Step, Work
from tastyops.plan import Plan, lane_names

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
    for work in plan.runbook.works:
        if work.number in state.works:
            continue
        moves = _work_moves(plan, state, kept, busy, work)
        if moves is not None:
            return moves
    return [Append(_RUN, _closing(plan, state))]


def _work_moves(
    plan: Plan, state: RunState, kept: LiveLanes, busy: Collection[LaneKey], work: Work
) -> list[Move] | None:
    """The moves of the first unfinished work."""
    steps = [step for step in work.steps if step.id not in plan.left_out]
    if not steps:
        return [Append(_RUN, WorkEnded(work.number, NOT_PART))]
    stop = _stop(plan, state)
    for step in [] if stop and work.number not in state.works_started else steps:
        if step.id in kept.well:
            continue
        unfinished = [host for host in plan.lanes[step.id] if not _ended(state, host, step)]
        if not unfinished:
            if state.bad and _bad_lanes(plan, state, step):
                break
            kept.well.add(step.id)
            continue
        if stop and not any(state.lane(host, step.id).begun for host in unfinished):
            break
        if work.number not in state.works_started:
            return [Append(_RUN, WorkStarted(work.number))]
        return [
            lane_move(LaneView(plan, state, step, host, state.lane(host, step.id), kept))
            for host in unfinished
            if (host, step.id) not in busy
        ]
    return [Append(_RUN, _work_end(plan, state, work))]


def _ended(state: RunState, host: str, step: Step) -> bool:
    lane = state.lanes.get((host, step.id))
    return lane is not None and lane.ended is not None


def _bad_lanes(plan: Plan, state: RunState, step: Step) -> list[Outcome]:
    keys = ((host, step.id) for host in plan.lanes[step.id])
    return [state.bad[key] for key in keys if key in state.bad]


def _worst(outcomes: Collection[Outcome]) -> Outcome:
    return next(outcome for outcome in _EXITS if outcome in outcomes)


def _stop(plan: Plan, state: RunState) -> tuple[Step | None, Outcome] | None:
    """The step that stops the run and how it ended; None while the run goes on."""
    for step in plan.runbook.steps() if state.bad else ():
        bad = _bad_lanes(plan, state, step)
        if bad:
            return step, _worst(bad)
    return (None, Outcome.CANCELLED) if state.cancel is not None else None


def _why(plan: Plan, state: RunState) -> str:
    """The public reason a run stopped: a fixed phrase with the step's number and name."""
    stop = _stop(plan, state)
    if stop is None:
        return ""
    step, outcome = stop
    if step is None:
        return "the run was cancelled"
    label = step_label(step, lane_names(plan, state, plan.lanes[step.id][0], step))
    words = {
        Outcome.FAILED: "failed",
        Outcome.CANCELLED: "was cancelled",
        Outcome.UNREACHABLE: "could not reach the host",
        Outcome.LOCKED: "found the host in use by another run",
        Outcome.IN_DOUBT: "is in doubt",
    }
    return f"{label} {words[outcome]}"


def _work_end(plan: Plan, state: RunState, work: Work) -> WorkEnded:
    """A work's status. A half-done one is never plain Cancelled; one never started is."""
    steps = [step for step in work.steps if step.id not in plan.left_out]
    bad = [outcome for step in steps for outcome in _bad_lanes(plan, state, step)]
    done = all(_ended(state, host, step) for step in steps for host in plan.lanes[step.id])
    if done and not bad:
        late = f"from step {steps[0].address} on" if len(steps) < len(work.steps) else ""
        return WorkEnded(work.number, COMPLETED, late)
    why = _why(plan, state)
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
    stop = _stop(plan, state)
    unfinished = any(w.status in (NOT_COMPLETED, CANCELLED) for w in state.works.values())
    if stop is None or not unfinished:
        return RunClosed(COMPLETED, int(ExitCode.COMPLETED))
    nothing = all(work.status in (CANCELLED, NOT_PART) for work in state.works.values())
    status = CANCELLED if nothing and stop[1] is Outcome.CANCELLED else ENDED_WITHOUT
    return RunClosed(status, int(_EXITS[stop[1]]), _why(plan, state))
