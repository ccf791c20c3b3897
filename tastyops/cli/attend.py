"""``attend``: join a run that is under way and follow it, or join a log that has none."""

from __future__ import annotations

import sys
import threading
from argparse import ArgumentParser, Namespace
from pathlib import Path

from tastyops.app.attending import (
    Attendance,
    FollowedRun,
    OpenQuestion,
    attendance,
    join,
    join_foreign,
    join_log,
)
from tastyops.app.operators import operator
from tastyops.app.signals import like_ctrl_c
from tastyops.cli.chosen_records import load_records
from tastyops.cli.log_verbs import write
from tastyops.cli.options import filled, inventory_argument, run_argument
from tastyops.cli.terminal import failure_menu
from tastyops.errors import ExitCode
from tastyops.model.inventory import Inventory
from tastyops.model.public_text import one_line
from tastyops.records.logs import LogFile
from tastyops.ui.messages import say, tell
from tastyops.ui.plain_lines import PlainLines
from tastyops.ui.prompts import AtTerminal
from tastyops.ui.run_view import RunView


def arguments(parser: ArgumentParser) -> None:
    """What ``attend`` takes."""
    run_argument(parser)
    parser.add_argument(
        "--as", metavar="NAME", dest="name", type=filled,
        help="one of the inventory's operators (default: you)",
    )
    inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Adds the operator to those who attend; follows the run if there is a live one."""
    records = load_records(args)
    found = attendance(records, args.run, args.name)
    if dry:
        tell(f"Dry run, nothing was written. {found.name} would attend.")
        return int(ExitCode.COMPLETED)
    if found.foreign is not None:
        return _join_foreign(found)
    if found.run is not None:
        if not join(found.run, found.name):
            say(f"The run {found.run.name} has not taken yet that {found.name} attends.")
        log = found.target.log if found.target else None
        return _read_along(found.run, log, records.inventory)
    if found.target is None:
        raise AssertionError("an attendance is of a foreign run or of a target")
    return write(join_log(found.target, found.name), dry=False)


def _join_foreign(found: Attendance) -> int:
    """Joins another account's run, whose record this account cannot read."""
    foreign = found.foreign
    if foreign is None:
        raise AssertionError("there is no foreign run")
    board = foreign.board
    if join_foreign(foreign):
        tell(f"{found.name} attends {board.log or board.run}.")
    else:
        tell(f"The name {found.name} was left for {foreign.words}, which has not taken it yet.")
    tell(
        f"The record is private to {board.started_by}, so the run cannot be followed from here. "
        f"`invoke show {board.log}` has its log, `invoke status` what it asks, and `invoke note` "
        "adds a remark."
    )
    return int(ExitCode.COMPLETED)


def _read_along(directory: Path, log: LogFile | None, inventory: Inventory) -> int:
    """Shows the run's events as they come, until it ends or the operator leaves.

    On a terminal the operator is asked what the run asks.
    """
    run = FollowedRun(directory, inventory)
    view, offset = RunView(run.plan), log.document().offset if log else 0
    for event in run.past():
        view.take(event)
    say(f"Following {directory.name}; Ctrl-C leaves, and the run goes on.")
    asker = _Asker(run)
    try:
        with like_ctrl_c():
            for question in run.questions():
                asker.ask(question)
            return _follow(run, PlainLines(view, sys.stdout, offset), asker)
    except KeyboardInterrupt:
        say(f"\nYou have left; the run {directory.name} goes on.")
        return int(ExitCode.COMPLETED)


def _follow(run: FollowedRun, lines: PlainLines, asker: _Asker) -> int:
    for event in run.events():
        lines.event(event)
        lines.caught_up()
        question = run.question_of(event)
        if question is not None:
            asker.ask(question)
    name = run.directory.name
    if run.ended:
        tell(f"The run is over: {one_line(run.ended)}.")
    else:
        tell(f"The run's controller ended; `invoke resume --run {name}` goes on with it.")
    return int(ExitCode.COMPLETED)


class _Asker:
    """Puts the run's questions to the operator who attends, or says how each is answered."""

    def __init__(self, run: FollowedRun) -> None:
        self._run = run.directory.name
        self._person = AtTerminal(operator(), menu=failure_menu(run.interventions))
        self._here = sys.stdin.isatty() and sys.stderr.isatty()

    def ask(self, question: OpenQuestion) -> None:
        """Asks on a thread of its own, so that the run is followed meanwhile."""
        if self._here and question.here:
            threading.Thread(target=self._put, args=(question,), daemon=True).start()
        else:
            self._tell(question)

    def _put(self, question: OpenQuestion) -> None:
        answer = self._person.answer(question.data, over=question.over)
        if answer is not None:
            question.answer(answer[0])
        elif not question.over():
            self._tell(question)

    def _tell(self, question: OpenQuestion) -> None:
        print(question.words)  # noqa: T201
        tell(f"  `invoke answer {self._run} {question.answers}`")
        sys.stdout.flush()
