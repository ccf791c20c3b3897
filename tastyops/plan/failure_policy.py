"""A step that did not end well: the question to a person, and what each answer means."""

from __future__ import annotations

from collections.abc import Sequence

from tastyops.journal.events import Address, Asked, Decided, question_digest
from tastyops.journal.state import BY_HAND, DONE, LOOK, RETRY, RunState
from tastyops.model.outcome import Outcome
from tastyops.model.runbook import Step
from tastyops.plan.log_sentences import step_label
from tastyops.plan.moves import Append, Move, Parked
from tastyops.plan.plan import Plan, lane_names

SKIP, CANCEL_WORK, ABORT = "skip", "cancel-work", "abort"
CHOICES = (RETRY, SKIP, CANCEL_WORK, ABORT)

ENDS = {
    Outcome.FAILED: "failed",
    Outcome.CANCELLED: "was cancelled",
    Outcome.UNREACHABLE: "could not reach the host",
    Outcome.LOCKED: "found the host in use by another run",
    Outcome.IN_DOUBT: "is in doubt",
}
_ENTRIES = {
    RETRY: "{label}{where} is tried again.",
    BY_HAND: "{label}{where} is tried again.",
    SKIP: "{label}{where} was skipped.",
    DONE: "{label}{where} was done, as an operator found.",
    CANCEL_WORK: "The rest of '{work}' was cancelled.",
}


def decision(state: RunState, step: Step) -> str:
    """What was decided about the step; empty while nothing is."""
    found = state.troubles.get(step.id)
    return found.decision if found else ""


def move(plan: Plan, state: RunState, step: Step, bad: Sequence[Outcome]) -> Move | None:
    """The question, the wait for its answer, or the decision; None once that is made."""
    at = Address(step=step.id, attempt=state.decisions + 1)
    found = state.troubles.get(step.id)
    if found is None:
        return Append(at, _question(plan, state, step, bad))
    if found.decision:
        return None
    if not found.answer:
        return Parked(at, found.asked)
    answer = found.answer if found.answer in found.asked.choices else ABORT
    return Append(at, Decided(answer, _entry(plan, state, step, answer)))


def _question(plan: Plan, state: RunState, step: Step, bad: Sequence[Outcome]) -> Asked:
    where = _where(plan, state, step)
    ends = ", ".join(dict.fromkeys(ENDS[outcome] for outcome in bad))
    choices = [DONE, *CHOICES] if Outcome.IN_DOUBT in bad else list(CHOICES)
    if any(p.settled and not p.settled.final for p in state.doubts(step.id).values()):
        choices.insert(1, LOOK)
    if set(state.unreached(step.id)) - state.by_hand:
        choices.append(BY_HAND)
    text = f"{_capital(_label(plan, state, step))} {ends}{where}."
    mark = question_digest(step.id, state.decisions, text)
    return Asked(mark, "failure", text, choices=choices)


def _entry(plan: Plan, state: RunState, step: Step, answer: str) -> str | None:
    sentence = _ENTRIES.get(answer)
    if sentence is None:
        return None
    work = plan.work_titles[plan.work_of(step.id).number]
    where = _where(plan, state, step)
    return _capital(sentence.format(label=_label(plan, state, step), where=where, work=work))


def _where(plan: Plan, state: RunState, step: Step) -> str:
    """`` on web1, web2``: the hosts on which the step ended badly; empty in a run on one host."""
    hosts = [host for host in plan.lanes[step.id] if (host, step.id) in state.bad]
    return f" on {', '.join(hosts)}" if len(plan.hosts) > 1 and any(hosts) else ""


def _label(plan: Plan, state: RunState, step: Step) -> str:
    return step_label(step, lane_names(plan, state, plan.lanes[step.id][0], step))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
