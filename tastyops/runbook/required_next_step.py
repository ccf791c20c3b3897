"""Steps that must be followed by a certain other one, such as a reboot: found beforehand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tastyops.model.action import Registry
from tastyops.model.runbook import Step, Work
from tastyops.runbook.findings import Findings


def need_next_steps(findings: Findings, works: Sequence[Work], registry: Registry) -> None:
    """A problem for each step whose action must be followed by another and is not.

    That one must be the very next step, of the next work where need be, on the same hosts, and
    nothing may be able to leave it out.
    """
    for step, after in _pairs(works):
        wanted = registry[step.action].followed_by if step.action in registry else ()
        if not wanted:
            continue
        known = [name for name in wanted if name in registry]
        message = f"{step.action} must be followed by a step that does {' or '.join(known)}"
        if step.background:
            findings.add(step.place, f"{step.action} cannot run in the background")
        if after is None or after[0].action not in wanted:
            findings.add(step.place, message, f"make the next step `{known[0]}`")
        elif after[1] or after[0].background or not _same_hosts(step, after[0]):
            findings.add(
                after[0].place, f"{message}, on the same hosts, whatever happens",
                "leave `when`, `confirm`, `hosts` and `background` out of it",
            )  # fmt: skip


def _pairs(works: Sequence[Work]) -> Iterator[tuple[Step, tuple[Step, bool] | None]]:
    """Every step with the one after it, and whether that one may be left out."""
    main = [(step, work) for work in works for step in work.steps]
    for number, (step, work) in enumerate(main):
        if number + 1 == len(main):
            yield step, None
            continue
        after, later = main[number + 1]
        skipped = after.when is not None or after.confirm is not None
        yield step, (after, skipped or (later is not work and later.when is not None))
    for work in works:
        for step in work.every_step():
            if step.recovery:
                yield step, None


def _same_hosts(step: Step, after: Step) -> bool:
    return after.hosts is None or after.hosts == step.hosts
