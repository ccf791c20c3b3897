"""``answer``: answer a question of a run from another terminal, or another login."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime

from tastyops.cli import project
from tastyops.errors import ExitCode, UsageError
from tastyops.journal.events import Address, Answered, Asked
from tastyops.journal.state import RunState
from tastyops.model.text import one_line
from tastyops.store.runs import hand_in, is_live, read_state, taken

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
    who = project.operator()
    if asked.by and who == state.started_by:
        raise UsageError(
            f"{one_line(asked.text)} wants the word of {asked.by}, and {who} began this run.",
            next_step="Have somebody else give it, from a login of their own.",
        )
    if dry:
        print("Would be answered, and is not, for this is a dry run.")  # noqa: T201
        return int(ExitCode.COMPLETED)
    told = hand_in(run, who, Answered(args.value), datetime.now(UTC), at=at)
    print(  # noqa: T201
        f"Answered as {who}: {one_line(args.value)}" if taken(told, PATIENCE)
        else f"Handed to the run {run.name}, which has not taken it yet."
    )
    return int(ExitCode.COMPLETED)


def _question(state: RunState, args: Namespace) -> tuple[Address, Asked]:
    asked = [
        (at, question)
        for at, question in state.questions()
        if args.step in ("", at.step) and args.host in ("", at.host)
    ]
    if len(asked) == 1:
        return asked[0]
    if not asked:
        raise UsageError("The run asks no such question.", next_step="`invoke status` shows all.")
    places = ", ".join(f"{at.step} {at.host}".strip() for at, _ in asked)
    raise UsageError(
        f"{len(asked)} questions wait: {places}.", next_step="Choose with --step and --host."
    )
