"""What needs a person is found before the first step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tastyops.errors import NeedsPerson
from tastyops.model.runbook import Marked, Step
from tastyops.plan.plan import Plan, left_aside


def need_nobody(plan: Plan, *, yes: bool, answers: Mapping[str, str], hands: bool) -> None:
    """Raises NeedsPerson for a step nobody is there to answer. ``--yes`` is plain confirms only.

    ``answers`` are by step id; ``hands`` says that a practice host's hands are there.
    """
    for step in _steps(plan):
        spec = plan.spec(step)
        approved = _approval_of(plan, step)
        if approved and not hands:
            _need(
                step, f"wants the yes of {approved}",
                "Begin it on a terminal: it waits there until somebody says `invoke answer RUN "
                "yes` from a login of their own.",
            )
        if (step.confirm or spec.name == "confirm") and not approved and not yes and not hands:
            _need(step, "asks for confirmation", "Give --yes, or run it on a terminal.")
        if spec.person and not hands:
            _need(step, "is done by a person", "Run it on a terminal.")
        if spec.name == "ask" and step.params.get("default") is None and step.id not in answers:
            name = step.register or "name"
            _need(step, "asks for a value", f"Give --var {name}=…, or run it on a terminal.")


def need_another_operator(plan: Plan, who: str, operators: Sequence[str]) -> None:
    """Raises NeedsPerson where an approval is wanted and the inventory names nobody but ``who``."""
    if not operators or any(name != who for name in operators):
        return
    for step in _steps(plan):
        if wanted := _approval_of(plan, step):
            raise NeedsPerson(
                f"{step.place}: step {step.address} wants the yes of {wanted}, and the inventory "
                f"has no operator but {who}.",
                still_true="No host was touched.",
                next_step="Name the others under `operators:`, by their logins.",
            )


def _steps(plan: Plan) -> Iterator[Step]:
    """Those that may begin."""
    for step in plan.runbook.every_step():
        if step.id not in plan.left_out and not left_aside(plan, step):
            yield step


def wants_another(plan: Plan) -> bool:
    """Whether any step wants another operator's approval."""
    return any(_approval_of(plan, step) for step in plan.runbook.every_step())


def _approval_of(plan: Plan, step: Step) -> str:
    """Whose approval the step wants, as its key or as its action; empty for none."""
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
