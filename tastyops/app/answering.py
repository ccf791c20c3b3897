"""Answers a question of a run: one's own from another terminal, or another operator's approval."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tastyops.app.operators import Say, operator
from tastyops.app.record_lookup import Records
from tastyops.errors import UsageError
from tastyops.journal.events import TYPED, Address, Answered, Asked
from tastyops.journal.state import RunState
from tastyops.local.accounts import login_name, login_uid
from tastyops.model.approval import APPROVAL_WORDS, refusal
from tastyops.model.inventory import Inventory
from tastyops.model.public_text import one_line
from tastyops.protocol.typed_command import WORDS, told
from tastyops.records.mailbox import Board, Question, boards, put_answer, read_board
from tastyops.records.runs import hand_in, is_live, read_events, read_state, taken

PATIENCE = 10.0
"""Seconds to wait for the run's own process to take the answer."""

DRY = "Dry run, nothing was answered. The question is still open."


@dataclass(frozen=True)
class Reply:
    """An answer as the operator gives it; ``step`` and ``host`` are empty where none was named."""

    run: str
    value: str
    step: str
    host: str
    dry: bool

    def means(self, step: str, host: str) -> bool:
        """Whether a question there may be the one that is answered."""
        return self.step in ("", step) and self.host in ("", host)


def answer(records: Records, reply: Reply, tell: Say) -> None:
    """Gives the answer to the run's process; ``tell`` takes what became of it.

    Raises UsageError where no such question is open, and for a value that it does not take.
    """
    found = _approval_asked(records, reply)
    if found is not None:
        _approve(*found, reply, records.inventory, tell)
        return
    run, _ = records.find(reply.run)
    if run is None or not is_live(run):
        raise UsageError(
            f"{reply.run} is not under way, so it asks nothing.",
            next_step="`invoke resume` on a terminal goes on with an unfinished run.",
        )
    state = read_state(run)
    at, asked = _question(state, reply)
    _must_be_an_answer(asked, reply.value)
    if reply.dry:
        tell(DRY)
        return
    who = operator()
    handed = hand_in(
        run, who, Answered(reply.value), datetime.now(UTC), at=at, question=asked.digest
    )
    if not taken(handed, PATIENCE):
        tell(f"The run {run.name} has the answer and has not taken it yet.")
        return
    # A free answer may stand in the journal in another form: masked, or without what was typed.
    if not _stands(run, state.seq, at, who, reply.value if asked.choices else None):
        raise UsageError(
            f"The question was no longer open when the answer came: {one_line(asked.text)}",
            still_true="The answer was discarded.",
            next_step="`invoke status` shows the open questions.",
        )
    tell(f"Answered as {who}: {one_line(reply.value)}")


def _must_be_an_answer(asked: Asked, value: str) -> None:
    """Raises UsageError for a value that the question does not take."""
    if asked.choices and value not in asked.choices:
        answers = ", ".join(asked.choices)
    elif asked.question == TYPED and told(value) is None:
        answers = "an exit status, then on lines of their own what was printed; " + ", ".join(WORDS)
    else:
        return
    raise UsageError(
        f"{value} is no answer to: {one_line(asked.text)}", next_step=f"Answers: {answers}."
    )


def _stands(run: Path, seq: int, at: Address, who: str, value: str | None) -> bool:
    """Whether the journal has an answer of ours after event ``seq``; None: with any value."""
    return any(
        isinstance(event.body, Answered) and event.seq > seq and event.who == who
        and (event.at.host, event.at.step) == (at.host, at.step)
        and value in (None, event.body.value)
        for event in read_events(run)
    )  # fmt: skip


def _question(state: RunState, reply: Reply) -> tuple[Address, Asked]:
    """The question to the run's own operator that the reply means."""
    asked = [
        (at, question)
        for at, question in state.questions()
        if reply.means(at.step, at.host) and not question.by
    ]
    if len(asked) == 1:
        return asked[0]
    raise _none_or_many([(at.step, at.host) for at, _ in asked])


def _none_or_many(questions: Sequence[tuple[str, str]]) -> UsageError:
    if not questions:
        return UsageError("The run asks no such question.", next_step="`invoke status` shows all.")
    named = ", ".join(f"{step} {host}".strip() for step, host in questions)
    return UsageError(
        f"{len(questions)} questions wait: {named}.", next_step="Choose with --step and --host."
    )


# -- another operator's approval ------------------------------------------------------------------


def _approval_asked(records: Records, reply: Reply) -> tuple[Path, Board, Question] | None:
    """The mailbox of a run that asks another operator, and its question; None for any other run.

    A run may ask its own operator something else at the same time.
    """
    found: list[tuple[Path, Board]] = []
    for runs, _ in records.pairs():
        named = runs / f".desk-{reply.run}"  # also where the runs cannot be listed
        board = read_board(named) if "/" not in reply.run else None
        found += [(named, board)] if board else [
            (desk, each) for desk, each in boards(runs) if _is_meant(reply.run, each)
        ]
    if not found:
        return None
    desk, board = max(found, key=lambda pair: pair[1].run)
    asked = [
        question
        for question in board.questions
        if reply.means(question.step, question.host)
    ]
    ours = os.getuid() == 0 or os.getuid() in board.own
    if ours and (not asked or _asks_its_own(desk.parent / board.run, reply)):
        return None
    if not board.questions:
        raise UsageError(
            f"The run {board.run} of {board.started_by} asks nothing of another operator now.",
            still_true="Nothing was answered.",
            next_step=f"What it asks its own operator is for {board.started_by} to answer; "
            "`invoke note` and `invoke attend` reach the run from here.",
        )
    if len(asked) != 1:
        raise _none_or_many([(question.step, question.host) for question in asked])
    return desk, board, asked[0]


def _asks_its_own(run: Path, reply: Reply) -> bool:
    """Whether the reply may mean a question to the run's own operator."""
    return any(
        not question.by and reply.means(at.step, at.host)
        for at, question in read_state(run).questions()
    )


def _is_meant(wanted: str, board: Board) -> bool:
    return wanted == "last" or board.run.startswith(wanted) or wanted == board.log


def _approve(
    desk: Path, board: Board, question: Question, reply: Reply, inventory: Inventory, tell: Say
) -> None:
    """Leaves an approval in the run's mailbox, and waits until the run has taken it."""
    text, value = one_line(question.text), reply.value.strip().lower()
    if value not in APPROVAL_WORDS:
        raise UsageError(f"{reply.value} is no answer to: {text}", next_step="Answers: yes, no.")
    who = login_name(os.getuid())
    why = refusal(os.getuid(), who, board.own, board.started_by, inventory.operators)
    if not why and login_uid() >= 0 and login_uid() in board.own:
        why = f"{login_name(login_uid())}, who is at this terminal, began this run"
    if why:
        raise UsageError(
            f"{text} wants the yes of {question.by}, and {why}.",
            still_true="It is still asked.",
            next_step="Ask another operator to answer, from a login of their own.",
        )
    title = f"{board.title} on {', '.join(board.hosts)}, begun by {board.started_by}: {text}"
    tell(one_line(title))
    if reply.dry:
        tell(DRY)
        return
    try:
        path = put_answer(desk, board, question, value)
    except OSError as error:
        raise UsageError(
            f"The answer cannot be left at {desk}: {error.strerror}.",
            still_true="It is still asked.",
        ) from error
    tell(_outcome(desk, question, path, who, value))


def _outcome(desk: Path, question: Question, path: Path, who: str, value: str) -> str:
    """A sentence on whether the run took the answer. Raises UsageError where it did not."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        board = read_board(desk)
        if board is None or question not in board.questions:
            return f"Answered as {who}: {value}"
        time.sleep(0.05)
    if path.exists():
        return (
            f"The answer {value} of {who} was left for the run, which is busy or not under way. "
            "`invoke resume` takes it."
        )
    raise UsageError(
        "The run did not take the answer.", still_true="It is still asked.",
        next_step="`invoke status` shows what it asks now.",
    )

