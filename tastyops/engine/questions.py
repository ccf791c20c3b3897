"""Questions of a run: putting them to the operators who attend, and judging who may answer.

That two operators approve one step rests on the accounts of the system: whose file an answer is,
the kernel recorded (st_uid, inode(7)). Whoever may become another account, with su or sudo, can
answer as that one; root can answer as anybody, so root's own word is nobody's and does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from msgspec import structs

from tastyops.engine.workers import Done
from tastyops.errors import WaitsForPerson
from tastyops.journal.events import Address, Answered
from tastyops.journal.state import LaneKey, RunState
from tastyops.model.approval import APPROVAL_WORDS, refusal, stranger
from tastyops.plan.lane import YES
from tastyops.plan.log_sentences import approved_entry
from tastyops.plan.moves import Parked
from tastyops.plan.plan import Plan, lane_names
from tastyops.ports import HandedIn, Operator, OperatorKind


def ask(
    key: LaneKey,
    move: Parked,
    operators: Sequence[Operator],
    *,
    waits: bool,
    over: Callable[[], bool],
) -> Done | None:
    """The first answer one of them gives; None where the lane has to wait for somebody else's.

    ``over`` says whether the question needs no answer any more. ``waits``: whether one that is
    another operator's to answer may stay open; the run ends with WaitsForPerson where it may not.
    """
    asked = move.question
    question = {"host": move.at.host, "step": move.at.step, **asked.to_json()}
    for operator in operators:
        try:
            answer = operator.answer(question, over=over)
        except Exception as error:  # a bug of ours must end the run, not hang it
            return Done(key, (), fatal=error)
        if answer is not None:
            value, who = answer
            body = Answered(value, hands=operator.kind is OperatorKind.PRACTICE)
            return Done(key, ((move.at, body, who),))
    if (asked.by and waits) or over():
        return None
    return Done(key, (), fatal=WaitsForPerson(asked.text, asked.by))


def answers(
    state: RunState, handed: HandedIn, answer: Answered, approvers: Collection[str] = ()
) -> bool:
    """Whether what was handed in answers a question that is open, by somebody who may.

    ``approvers``: the logins that may approve at all; any, if it is empty.
    """
    question = state.question(handed.at)
    if question is None or (question.choices and answer.value not in question.choices):
        return False
    if not question.by:
        return handed.account is None and handed.question in ("", question.digest)
    return (
        handed.account is not None
        and handed.question == question.digest
        and answer.value.strip().lower() in APPROVAL_WORDS
        and why_not(state, handed.account, handed.who, approvers) == ""
    )


def may_speak(handed: HandedIn, operators: Collection[str] = ()) -> bool:
    """Whether a note, or an operator who joins, is taken: another account's only if it may."""
    return handed.account is None or stranger(handed.who, operators) == ""


def why_not(state: RunState, account: int, who: str, approvers: Collection[str]) -> str:
    """Why that account is not another operator of this run; empty if it is."""
    opened = state.opened
    own = (opened.account, opened.login) if opened else ()
    return refusal(account, who, own, state.started_by, approvers)


def approved(plan: Plan, state: RunState, at: Address, answer: Answered, who: str) -> Answered:
    """An answer; what another operator approves with it gets its entry in the log."""
    question = state.question(at)
    if question is None or not question.by or answer.value.strip().lower() not in YES:
        return answer
    step = next(s for s in plan.runbook.every_step() if s.id == at.step)
    names = lane_names(plan, state, at.host, step)
    return structs.replace(answer, entry=approved_entry(step, names, who, hands=answer.hands))
