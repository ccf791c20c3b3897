"""Fails before the first step of a run that needs an operator who is not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tastyops.errors import NeedsPerson
from tastyops.model.runbook import Marked, Step
from tastyops.plan.plan import Plan, left_aside


def need_nobody(plan: Plan, *, yes: bool, answers: Mapping[str, str], hands: bool) -> None:
    """Raises NeedsPerson for a step that nobody is there to answer.

    ``yes`` answers plain confirmations only. ``answers`` are by step id. ``hands``: a practice
    host plays the operator.
    """
    for step in _steps(plan):
        spec = plan.spec(step)
        approved = _approval_of(plan, step)
        if approved and not hands:
            _need(
                step, f"wants the yes of {approved}",
                "Start it on a terminal: it waits there until another operator runs `invoke answer "
                "RUN yes` from a login of their own.",
            )
        if (step.confirm or spec.name == "confirm") and not approved and not yes and not hands:
            _need(step, "asks for confirmation", "Give --yes, or start the run on a terminal.")
        if spec.person and not hands:
            _need(step, "is done by a person", "Start the run on a terminal.")
        if spec.name == "ask" and step.params.get("default") is None and step.id not in answers:
            name = step.register or "name"
            _need(step, "asks for a value", f"Give --var {name}=…, or start the run on a terminal.")


def need_another_operator(plan: Plan, who: str, operators: Sequence[str]) -> None:
    """Raises NeedsPerson for an approval where the inventory's only operator is ``who``."""
    if not operators or any(name != who for name in operators):
        return
    for step in _steps(plan):
        if wanted := _approval_of(plan, step):
            raise NeedsPerson(
                f"{step.place}: step {step.address} wants the yes of {wanted}, and the inventory "
                f"has no operator but {who}.",
                still_true="No host was touched.",
                next_step="Add the logins of the other operators to `operators:`.",
            )


def _steps(plan: Plan) -> Iterator[Step]:
    """The steps of this run that may begin."""
    for step in plan.runbook.every_step():
        if step.id not in plan.left_out and not left_aside(plan, step):
            yield step


def wants_another(plan: Plan) -> bool:
    """Whether any step wants another operator's approval."""
    return any(_approval_of(plan, step) for step in plan.runbook.every_step())


def _approval_of(plan: Plan, step: Step) -> str:
    """Whose approval the step needs, by its key or by its action; empty for none."""
    if step.approval or plan.spec(step).name != "confirm":
        return step.approval
    by = step.params.get("by")
    return by.text if isinstance(by, Marked) else str(by or "")


def _need(step: Step, what: str, next_step: str) -> None:
    raise NeedsPerson(
        f"{step.place}: step {step.address} {what}, and nobody is here to answer.",
        still_true="No host was touched.",
        next_step=next_step,
    )
