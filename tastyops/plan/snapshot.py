"""Everything that one call of ``advance`` looks at."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tastyops.journal.state import LaneKey, RunState
from tastyops.model.outcome import Outcome
from tastyops.model.runbook import Step
from tastyops.plan import failure_policy
from tastyops.plan.generator_cache import LiveLanes
from tastyops.plan.lane import LaneContext, lane_move
from tastyops.plan.moves import Move
from tastyops.plan.plan import Plan


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The plan, the state, and what follows from them for every step. ``stop`` ends the run."""

    plan: Plan
    state: RunState
    kept: LiveLanes
    busy: Collection[LaneKey]
    stop: tuple[Step | None, Outcome] | None

    def unfinished(self, step: Step) -> list[str]:
        """The hosts on which the step has not ended."""
        lanes = self.state.lanes
        return [
            host
            for host in self.plan.lanes[step.id]
            if (lane := lanes.get((host, step.id))) is None or lane.ended is None
        ]

    def given_up(self, step: Step) -> bool:
        """Whether the step ended badly and the rest of its work is not to be done."""
        bad = bad_lanes(self.plan, self.state, step)
        return bool(bad) and failure_policy.decision(self.state, step) != failure_policy.SKIP

    def lane_moves(self, step: Step, hosts: Iterable[str], *, halted: bool = False) -> list[Move]:
        """What the step's lanes do next that are not under way."""
        return [
            lane_move(
                LaneContext(
                    self.plan,
                    self.state,
                    step,
                    host,
                    self.state.lane(host, step.id),
                    self.kept,
                    halted,
                )
            )
            for host in hosts
            if (host, step.id) not in self.busy
        ]


def bad_lanes(plan: Plan, state: RunState, step: Step) -> list[Outcome]:
    """How the lanes of a step ended that did not end well."""
    keys = ((host, step.id) for host in plan.lanes[step.id] if state.bad)
    return [state.bad[key] for key in keys if key in state.bad]
