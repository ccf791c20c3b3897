"""Steps with ``background: true``: begun in their place, they go on beside the others."""

from __future__ import annotations

from collections.abc import Iterator

from tastyops.journal.events import Address
from tastyops.model.runbook import Marked, Step, Work
from tastyops.plan.moves import Halt, Move
from tastyops.plan.plan import Plan
from tastyops.plan.snapshot import Now

JOIN = "join"


def awaited(plan: Plan, step: Step) -> list[Step]:
    """The background steps that a ``join`` waits for; none for other steps."""
    if step.action != JOIN:
        return []
    raw = step.params.get("steps", ())
    wanted = {each.text if isinstance(each, Marked) else str(each) for each in raw}
    return [each for each in plan.runbook.steps() if each.background and each.id in wanted]


def moves(now: Now) -> list[Move]:
    """What every step in the background does next; one whose work was given up is ended."""
    found: list[Move] = []
    for work, step in _begun(now):
        halted = now.stop is not None or any(now.given_up(other) for other in work.steps)
        hosts = [host for host in now.unfinished(step) if now.state.lane(host, step.id).begun]
        found += now.lane_moves(step, hosts, halted=halted)
        if halted:
            lanes = [Address(host, step.id) for host in hosts if (host, step.id) in now.busy]
            found += map(Halt, lanes)
    return found


def _begun(now: Now) -> Iterator[tuple[Work, Step]]:
    for work in now.plan.runbook.works:
        if work.number in now.state.works_started and work.number not in now.state.works:
            yield from ((work, step) for step in work.steps if step.background)
