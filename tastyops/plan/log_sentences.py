"""The sentences a step leaves in the public log: the author's, the action's, or fixed words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tastyops.errors import CannotKnow
from tastyops.model.action import DONE, ActionSpec, Registered
from tastyops.model.commands import Unknown
from tastyops.model.outcome import Outcome
from tastyops.model.public_text import PRIVATE, is_fact, one_line
from tastyops.model.runbook import Marked, Step
from tastyops.plan.plan import Plan
from tastyops.templates import rendering

_ENDS = {
    Outcome.FAILED: "failed",
    Outcome.CANCELLED: "was cancelled",
    Outcome.UNREACHABLE: "failed: the host could not be reached",
    Outcome.LOCKED: "was not done: another run holds the host",
    Outcome.IN_DOUBT: "is in doubt: what became of it is not known",
}


def step_label(step: Step, names: Mapping[str, Any]) -> str:
    """``step 2.1 'Build the kernel'``, or ``step 2.1 (run)`` for one without a name."""
    if step.name is None:
        return f"step {step.address} ({step.action})"
    try:
        name = rendering.render_public(step.name, names, {}).text
    except Exception:  # a name that cannot be rendered must not hide the failure it would label
        name = one_line(step.name.text)
    return f"step {step.address} '{name}'"


def approved_entry(step: Step, names: Mapping[str, Any], who: str, *, hands: bool) -> str:
    """What the log says of a step that another operator approved; ``hands``: it was played."""
    label = step_label(step, names)
    played = ", which play the other operator" if hands else ""
    return f"{label[0].upper()}{label[1:]} was approved by {who}{played}."


def failed_entry(step: Step, names: Mapping[str, Any], outcome: Outcome) -> str:
    """What the log says of a step that did not end well: fixed words, never an error's text."""
    label = step_label(step, names)
    return f"{label[0].upper()}{label[1:]} {_ENDS[outcome]}."


def ended_entry(
    plan: Plan,
    step: Step,
    names: Mapping[str, Any],
    registered: Registered,
    outcome: Outcome,
    unknown: str,
) -> str | None:
    """What the log says of a step that was done; None where the author wants no entry.

    A sentence claims something, so what the action registered chooses it: the runbook's ``log:``
    is for the action's main ending, and for the others only where it names them.
    """
    if step.log_silent:
        return None
    spec = plan.spec(step)
    ending = spec.ending(registered)
    result = dict.fromkeys(spec.returns, Unknown(unknown)) if unknown else registered
    own = step.log if ending == DONE else step.logs.get(ending)
    sentence = spec.sentence if ending == DONE else spec.endings.get(ending, "")
    if ending in step.logs and own is None:
        return None
    if own is not None:
        known = {**names, step.register or "result": result}
        text = _render(own, known, private_names(plan, step))
    elif sentence:
        fields = result if unknown else checked(spec, registered)
        marked = Marked(sentence, step.place)
        text = _render(marked, {**fields, "host": names.get("host", "")}, {})
    else:
        label = step_label(step, names)
        text = f"{label[0].upper()}{label[1:]} {'completed' if ending == DONE else 'had no work'}."
    if step.force is not None:
        text += f" (Forced: {rendering.render_public(step.force, names, {}).text})"
    return text + (" (Already so; nothing was changed.)" if outcome is Outcome.ALREADY else "")


def _render(
    sentence: Marked, names: Mapping[str, Any], private: Mapping[str, frozenset[str]]
) -> str:
    try:
        return rendering.render_public(sentence, names, private).text
    except CannotKnow:  # a dry run: what a withheld change would tell is shown as a gap
        return one_line(_with_gaps(sentence.text))


def _with_gaps(text: str) -> str:
    """A sentence before its facts are there; of two wordings the first, which is the usual one."""
    text = re.sub(r"(?s)\{%\s*if\b.*?%\}(.*?)(\{%\s*el.*?)?\{%\s*endif\s*%\}", r"\1", text)
    text = re.sub(r"\{\{\s*'([^']*)' if\b.*?\}\}", r"\1", text)
    return re.sub(r"(?s)\{\{.*?\}\}", "…", text)


def checked(spec: ActionSpec, registered: Registered) -> Registered:
    """The registered values that really are what their kind says; others are left out."""
    return {
        name: value
        for name, value in registered.items()
        if spec.returns.get(name, PRIVATE) != PRIVATE and is_fact(spec.returns[name], value)
    }


def private_names(plan: Plan, step: Step) -> dict[str, frozenset[str]]:
    """For each registered name, the fields a ``log:`` may not use.

    ``publish: true`` on the step that *uses* them lifts it: its author takes the responsibility.
    """
    if step.publish:
        return {}
    hidden: dict[str, frozenset[str]] = {}
    for other in plan.runbook.steps():
        name = other.register or ("result" if other.id == step.id else None)
        if name:
            kinds = plan.spec(other).returns
            hidden[name] = frozenset(f for f, kind in kinds.items() if kind == PRIVATE)
        if other.id == step.id:
            break
    return hidden
