"""Puts a question to the operators who attend a run, on a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tastyops.engine.workers import Done
from tastyops.errors import WaitsForPerson
from tastyops.journal.events import Answered
from tastyops.journal.state import LaneKey
from tastyops.plan.moves import Parked
from tastyops.ports import Operator, OperatorKind


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
