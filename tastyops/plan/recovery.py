"""What is done when things went wrong: ``on_failure``, ``undo`` in reverse order, ``rescue``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tastyops.journal.events import Address, Asked, question_digest
from tastyops.model.outcome import Outcome
from tastyops.model.runbook import Step, Work
from tastyops.plan import failure_policy
from tastyops.plan.log_sentences import step_label
from tastyops.plan.moves import Append, Move, Parked
from tastyops.plan.plan import lane_names
from tastyops.plan.snapshot import Snapshot, bad_lanes

UNDO_CHOICES = ["yes", "no"]


def of_work(now: Snapshot, work: Work) -> list[Move] | None:
    """The moves that a work which was given up still needs; None when there are none."""
    given_up = [step for step in work.steps if now.given_up(step)]
    if not given_up:
        return None
    for step in given_up:
        moves = _group(now, step.on_failure, _where_it_failed(now, step))
        if moves is not None:
            return moves
    moves = _group(now, work.on_failure)
    if moves is None and any(
        failure_policy.decision(now.state, step) == failure_policy.CANCEL_WORK for step in given_up
    ):
        moves = _undo(now, work.steps)
    return moves


def of_run(now: Snapshot) -> list[Move] | None:
    """The moves that a run which stops on its way still needs; None when there are none."""
    moves = _undo(now, list(now.plan.runbook.steps()))
    return _group(now, now.plan.runbook.rescue) if moves is None else moves


def _group(
    now: Snapshot, steps: Iterable[Step], where: Callable[[str], bool] = lambda host: True
) -> list[Move] | None:
    """Steps one after the other, until one of them fails; that ends only this group."""
    for step in steps:
        hosts = [host for host in now.unfinished(step) if where(host) or not host]
        if hosts:
            return now.lane_moves(step, hosts)
        if bad_lanes(now.plan, now.state, step):
            return None
    return None


def _where_it_failed(now: Snapshot, step: Step) -> Callable[[str], bool]:
    """Where a step failed, as a test on hosts; everywhere for one that has no host."""
    hosts = {host for host, bad in now.state.bad if bad == step.id}
    return lambda host: host in hosts or "" in hosts


def _undo(now: Snapshot, steps: Sequence[Step]) -> list[Move] | None:
    for step in reversed(steps):
        if not step.undo:
            continue
        hosts = _changed(now, step)
        moves = _undo_one(now, step, hosts) if hosts else None
        if moves is not None:
            return moves
    return None


def _undo_one(now: Snapshot, step: Step, hosts: set[str]) -> list[Move] | None:
    if not step.undo_automatic:
        at = Address(step=step.id)
        asked = now.state.undos.get(step.id)
        if asked is None:
            return [Append(at, _question(now, step))]
        if not asked.answer:
            return [] if ("", step.id) in now.busy else [Parked(at, asked.asked)]
        if asked.answer.lower() not in ("y", "yes"):
            return None
    return _group(now, step.undo, lambda host: host in hosts or "" in hosts)


def _changed(now: Snapshot, step: Step) -> set[str]:
    """The hosts the step was done on, and not only found to be so."""
    lanes = ((host, now.state.lanes.get((host, step.id))) for host in now.plan.lanes[step.id])
    done = Outcome.DONE.value
    return {h for h, lane in lanes if lane and lane.ended and lane.ended.outcome == done}


def _question(now: Snapshot, step: Step) -> Asked:
    names = lane_names(now.plan, now.state, now.plan.lanes[step.id][0], step)
    text = f"Undo {step_label(step, names)}?"
    mark = question_digest("undo", step.id)
    return Asked(mark, "undo", text, choices=UNDO_CHOICES)
