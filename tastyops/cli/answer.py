"""``answer``: answer a question of a run from another terminal, or another login."""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tastyops.cli import project
from tastyops.engine.approval import APPROVAL_WORDS, refusal
from tastyops.errors import ExitCode, UsageError
from tastyops.journal.events import TYPED, Address, Answered, Asked
from tastyops.journal.state import RunState
from tastyops.local.accounts import login_name, login_uid
from tastyops.model.inventory import Inventory
from tastyops.model.public_text import one_line
from tastyops.protocol.typed_command import WORDS, told
from tastyops.records.mailbox import Board, Question, boards, put_answer, read_board
from tastyops.records.runs import hand_in, is_live, read_events, read_state, taken

PATIENCE = 10.0
"""Seconds to wait for the run's own process to take the answer up."""


def arguments(parser: ArgumentParser) -> None:
    """What ``answer`` takes."""
    project.run_argument(parser)
    parser.add_argument("value", metavar="ANSWER", type=project.filled, help="the answer")
    parser.add_argument("--step", metavar="2.1", default="", help="where several steps ask")
    parser.add_argument("--host", metavar="NAME", default="", help="where several hosts ask")
    project.inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Hands the answer to the run's process."""
    inventory = project.load_inventory(args.inventory)
    found = _asking_here(args, inventory)
    if found is not None:
        return _approve(*found, args, inventory, dry=dry)
    run, _ = project.find_record(args, args.run)
    if run is None or not is_live(run):
        raise UsageError(
            f"{args.run} is not under way, so it asks nothing.",
            next_step="`invoke resume` on a terminal goes on with an unfinished run.",
        )
    state = read_state(run)
    at, asked = _question(state, args)
    if asked.choices and args.value not in asked.choices:
        raise UsageError(
            f"{args.value} is no answer to: {one_line(asked.text)}",
            next_step=f"Answers: {', '.join(asked.choices)}.",
        )
    if asked.question == TYPED and told(args.value) is None:
        raise UsageError(
            f"{args.value} is no answer to: {one_line(asked.text)}",
            next_step=f"Answers: an exit status, then on lines of their own what was printed; "
            f"{', '.join(WORDS)}.",
        )
    if dry:
        return _dry()
    who = project.operator()
    handed = hand_in(
        run, who, Answered(args.value), datetime.now(UTC), at=at, question=asked.digest
    )
    if not taken(handed, PATIENCE):
        print(f"Handed to the run {run.name}, which has not taken it yet.")  # noqa: T201
        return int(ExitCode.COMPLETED)
    # One in somebody's own words may stand there in another form: masked, without what was typed.
    if not _stands(run, state.seq, at, who, args.value if asked.choices else None):
        raise UsageError(
            f"Nobody asked that any more when the answer came: {one_line(asked.text)}",
            still_true="The answer was left aside.",
            next_step="`invoke status` shows what is asked now.",
        )
    print(f"Answered as {who}: {one_line(args.value)}")  # noqa: T201
    return int(ExitCode.COMPLETED)


def _stands(run: Path, seq: int, at: Address, who: str, value: str | None) -> bool:
    """Whether an answer of ours stands in the run's journal, after event ``seq``; None: any."""
    return any(
        isinstance(event.body, Answered) and event.seq > seq and event.who == who
        and (event.at.host, event.at.step) == (at.host, at.step)
        and value in (None, event.body.value)
        for event in read_events(run)
    )  # fmt: skip


def _dry() -> int:
    print("Would be answered, and is not, for this is a dry run.")  # noqa: T201
    return int(ExitCode.COMPLETED)


def _question(state: RunState, args: Namespace) -> tuple[Address, Asked]:
    """The run's own question that is meant. One of another operator has its desk."""
    asked = [
        (at, question)
        for at, question in state.questions()
        if args.step in ("", at.step) and args.host in ("", at.host) and not question.by
    ]
    if len(asked) == 1:
        return asked[0]
    raise _none_or_many([(at.step, at.host) for at, _ in asked])


def _none_or_many(places: Sequence[tuple[str, str]]) -> UsageError:
    if not places:
        return UsageError("The run asks no such question.", next_step="`invoke status` shows all.")
    named = ", ".join(f"{step} {host}".strip() for step, host in places)
    return UsageError(
        f"{len(places)} questions wait: {named}.", next_step="Choose with --step and --host."
    )


# -- another operator's word -----------------------------------------------------------------


def _asking_here(args: Namespace, inventory: Inventory) -> tuple[Path, Board, Question] | None:
    """The desk of the run that is meant, and its question; None where another's word is not asked.

    A run may ask its own operator something else at the same time: that is its own to answer.
    """
    found: list[tuple[Path, Board]] = []
    for runs, _ in project.record_places(inventory, args):
        named = runs / f".desk-{args.run}"  # also where the runs cannot be listed
        board = read_board(named) if "/" not in args.run else None
        found += [(named, board)] if board else [
            (desk, each) for desk, each in boards(runs) if _is_meant(args.run, each)
        ]
    if not found:
        return None
    desk, board = max(found, key=lambda pair: pair[1].run)
    asked = [
        question
        for question in board.questions
        if args.step in ("", question.step) and args.host in ("", question.host)
    ]
    ours = os.getuid() == 0 or os.getuid() in board.own
    if ours and (not asked or _asks_its_own(desk.parent / board.run, args)):
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


def _asks_its_own(run: Path, args: Namespace) -> bool:
    """Whether the run asks its own operator something that may be meant."""
    return any(
        not question.by and args.step in ("", at.step) and args.host in ("", at.host)
        for at, question in read_state(run).questions()
    )


def _is_meant(wanted: str, board: Board) -> bool:
    return wanted == "last" or board.run.startswith(wanted) or wanted == board.log


def _approve(
    desk: Path, board: Board, question: Question, args: Namespace, inventory: Inventory, *,
    dry: bool,
) -> int:
    """Lays another operator's word on the run's desk, and waits until the run has it."""
    text, value = one_line(question.text), args.value.strip().lower()
    if value not in APPROVAL_WORDS:
        raise UsageError(f"{args.value} is no answer to: {text}", next_step="Answers: yes, no.")
    who = login_name(os.getuid())
    why = refusal(os.getuid(), who, board.own, board.started_by, inventory.operators)
    if not why and login_uid() >= 0 and login_uid() in board.own:
        why = f"{login_name(login_uid())}, who is at this terminal, began this run"
    if why:
        raise UsageError(
            f"{text} wants the yes of {question.by}, and {why}.",
            still_true="It is still asked.",
            next_step="Have somebody else give it, from a login of their own.",
        )
    told = f"{board.title} on {', '.join(board.hosts)}, begun by {board.started_by}: {text}"
    print(one_line(told))  # noqa: T201
    if dry:
        return _dry()
    try:
        path = put_answer(desk, board, question, value)
    except OSError as error:
        raise UsageError(
            f"The answer cannot be left at {desk}: {error.strerror}.",
            still_true="It is still asked.",
        ) from error
    return _told(desk, question, path, who, value)


def _told(desk: Path, question: Question, path: Path, who: str, value: str) -> int:
    """What became of the answer."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        board = read_board(desk)
        if board is None or question not in board.questions:
            print(f"Answered as {who}: {value}")  # noqa: T201
            return int(ExitCode.COMPLETED)
        time.sleep(0.05)
    if path.exists():
        print(  # noqa: T201
            f"Left as {who} for the run, which is not under way or busy: {value}. `invoke resume` "
            "takes it up."
        )
        return int(ExitCode.COMPLETED)
    raise UsageError(
        "The run did not take the answer.", still_true="It is still asked.",
        next_step="`invoke status` shows what it asks now.",
    )
