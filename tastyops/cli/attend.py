"""``attend``: join a run that is under way and read along, or a log that has none."""

from __future__ import annotations

import contextlib
import hashlib
import sys
import threading
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tastyops.app.registry import registry_for
from tastyops.cli import another, project, signals, writing
from tastyops.cli.conduct import failure_menu
from tastyops.errors import ExitCode, JournalDamaged, UsageError
from tastyops.journal.envelope import Event
from tastyops.journal.events import TYPED, Address, Answered, Asked, Body, Joined, RunClosed
from tastyops.journal.public_events import Attends
from tastyops.journal.state import RunState
from tastyops.model.inventory import Inventory
from tastyops.model.public_text import one_line
from tastyops.plan.plan import Plan, make_plan
from tastyops.records.journal_follower import Following
from tastyops.records.logs import Copied, LogFile
from tastyops.records.mailbox import put_joining
from tastyops.records.runs import RUNBOOK, hand_in, is_live, read_events, read_state, taken
from tastyops.ui.plain_lines import PlainLines
from tastyops.ui.prompts import AtTerminal
from tastyops.ui.run_view import RunView

PATIENCE = 10.0
"""Seconds to wait for the run's own process to take the word up."""

LOOK = 0.3
"""Seconds between two looks into the journal."""


def arguments(parser: ArgumentParser) -> None:
    """What ``attend`` takes."""
    project.run_argument(parser)
    parser.add_argument(
        "--as", metavar="NAME", dest="name", type=project.filled,
        help="one of the inventory's operators (default: you)",
    )
    project.inventory_argument(parser)


def perform(args: Namespace, *, dry: bool) -> int:
    """Adds the operator to those who attend; follows the run if there is a live one."""
    inventory = project.load_inventory(args.inventory)
    names = project.attending(args.name, inventory)
    if len(names) != 1:
        raise UsageError("--as takes one name.", still_true=writing.NOTHING)
    found = another.meant(project.record_places(inventory, args), args.run)
    if found is not None:
        return _anothers(found, args, inventory, dry=dry)
    target = writing.find(args, args.run)
    run = _live(target)
    if dry:
        print(f"Would attend, and does not, for this is a dry run: {names[0]}")  # noqa: T201
        return int(ExitCode.COMPLETED)
    if run is None:
        return _in_the_log(target, names[0])
    told = hand_in(run, project.operator(), Joined(names[0]), datetime.now(UTC))
    if not taken(told, PATIENCE):
        project.say(f"The run {run.name} has not taken it yet that {names[0]} attends; it will.")
    return _read_along(run, target.log, inventory)


def _anothers(
    found: another.Another, args: Namespace, inventory: Inventory, *, dry: bool
) -> int:
    """Joins a run of another account, as this one: its name is the login, and nobody else's."""
    another.must_be_known(found, inventory)
    name, board = another.me(), found.board
    if args.name not in (None, name):
        raise UsageError(
            f"{found.words.capitalize()} is joined under your own login, {name}.",
            still_true=writing.NOTHING,
        )
    if dry:
        print(f"Would attend, and does not, for this is a dry run: {name}")  # noqa: T201
        return int(ExitCode.COMPLETED)
    try:
        path = put_joining(found.desk, board)
    except OSError as error:
        raise UsageError(
            f"{found.words.capitalize()} cannot be told: {error.strerror}.",
            still_true=writing.NOTHING,
        ) from error
    if found.took(path):
        print(f"{name} attends {board.log or board.run}.")  # noqa: T201
    else:
        print(f"Left for {found.words}, which has not taken it yet that {name} attends.")  # noqa: T201
    print(  # noqa: T201
        f"Its record is {board.started_by}'s alone, so there is no reading along; `invoke show "
        f"{board.log}` has its log, `invoke status` what it asks, `invoke note` adds a remark."
    )
    return int(ExitCode.COMPLETED)


def _live(target: writing.Target) -> Path | None:
    """The run, if it is under way and this account may read it."""
    try:
        return target.run if target.live else None
    except JournalDamaged as error:
        project.say(f"The run is not followed: {error.what}")
        return None


def _in_the_log(target: writing.Target, name: str) -> int:
    log = target.the_log()

    def joining() -> list[Copied]:
        document = log.document()
        if document.closed:
            raise UsageError(
                f"The log {document.number} is closed ({document.status}).",
                still_true=writing.NOTHING,
            )
        here = name in document.attending
        return [] if here else [writing.by_hand(Attends(name), target.present())]

    return writing.write(log, joining, dry=False, done=f"{name} attends {log.number}.")


# -- reading along -----------------------------------------------------------------------------


def _read_along(run: Path, log: LogFile | None, inventory: Inventory) -> int:
    """Shows the run's events as they come, until it ends or the operator has seen enough.

    On a terminal the operator is asked what the run asks.
    """
    following = Following(run)
    state = RunState()
    plan = _plan(run, inventory)
    view, offset = RunView(plan), log.document().offset if log else 0
    lines = PlainLines(view, sys.stdout, offset)
    for event in following.more():
        state.apply(event)
        view.take(event)
    project.say(f"Reading along with {run.name}; Ctrl-C leaves, and the run goes on.")
    asker = _Asker(run, plan, state)
    try:
        with signals.like_ctrl_c():
            for at, asked in state.questions():
                asker.ask(at, asked)
            return _follow(run, following, lines, asker)
    except KeyboardInterrupt:
        project.say(f"\nYou have left; the run {run.name} goes on.")
        return int(ExitCode.COMPLETED)


class _Asker:
    """Puts the run's questions to the operator who attends, or says how each is answered.

    Another operator's approval and what is typed at a host by hand are not asked here.
    """

    def __init__(self, run: Path, plan: Plan, state: RunState) -> None:
        self._run, self._state = run, state
        who = project.operator()
        self._person = AtTerminal(who, menu=failure_menu(plan, state, self._hand))
        self._here = sys.stdin.isatty() and sys.stderr.isatty()

    def take(self, event: Event) -> None:
        """Takes an event in: a question is asked, one that was answered elsewhere is withdrawn."""
        self._state.apply(event)
        if isinstance(event.body, Asked):
            self.ask(event.at, event.body)

    def ask(self, at: Address, asked: Asked) -> None:
        """Asks on a thread of its own, so that reading along goes on meanwhile."""
        if not self._here or asked.by or asked.question == TYPED:
            _tell_question(self._run, at.step, at.host, asked)
            return
        threading.Thread(target=self._put, args=(at, asked), daemon=True).start()

    def _put(self, at: Address, asked: Asked) -> None:
        def over() -> bool:
            now = self._state.question(at)
            return now is None or now.digest != asked.digest

        question = {"host": at.host, "step": at.step, **asked.to_json()}
        answer = self._person.answer(question, over=over)
        if answer is not None:
            self._hand(Answered(answer[0]), at, asked.digest)
        elif not over():
            _tell_question(self._run, at.step, at.host, asked)

    def _hand(self, body: Body, at: Address | None = None, question: str = "") -> None:
        hand_in(
            self._run, project.operator(), body, datetime.now(UTC), at=at, question=question
        )


def _follow(run: Path, following: Following, lines: PlainLines, asker: _Asker) -> int:
    for event in _events(run, following):
        lines.event(event)
        asker.take(event)
        if isinstance(event.body, RunClosed):
            print(f"The run is over: {one_line(event.body.status)}.")  # noqa: T201
            return int(ExitCode.COMPLETED)
    print(f"The run's controller ended; `invoke resume --run {run.name}` goes on with it.")  # noqa: T201
    return int(ExitCode.COMPLETED)


def _events(run: Path, following: Following) -> Iterator[Event]:
    """Until nobody writes any more."""
    live = True
    while live:
        live = is_live(run)
        yield from following.more()  # once more after its end: it may just have written them
        time.sleep(LOOK if live else 0)


def _tell_question(run: Path, step: str, host: str, asked: Asked) -> None:
    if asked.by:
        words, whom = "yes|no", f" {asked.by}"
    else:
        words, whom = "|".join(asked.choices) or _WORDS.get(asked.question, "…"), ""
    print(one_line(f"At {step} {host} it asks{whom}: {asked.text}".replace("  ", " ")))  # noqa: T201
    print(f"  `invoke answer {run.name} {words}`")  # noqa: T201
    sys.stdout.flush()


_WORDS = {"confirm": "yes|no", "manual": "done|no", "undo": "yes|no", TYPED: "EXIT-STATUS|WORD"}


def _runbook(run: Path, path: Path) -> bytes:
    """The runbook that is carried out: the one kept, or the edited one that was accepted."""
    wanted = [str(getattr(event.body, "runbook", "")) for event in read_events(run)]
    digest = next((each for each in reversed(wanted) if each), "")
    kept = project.read_bounded(run / RUNBOOK, "a runbook")
    if hashlib.sha256(kept).hexdigest() != digest:
        with contextlib.suppress(UsageError):
            now = project.read_bounded(path, "a runbook")
            if hashlib.sha256(now).hexdigest() == digest:
                return now
    return kept


def _plan(run: Path, inventory: Inventory) -> Plan:
    """The run's plan as far as it is shown: nothing secret is fetched for it."""
    opened = read_state(run).opened
    if opened is None:
        raise JournalDamaged(
            f"{run.name}: the journal does not begin with the run's opening.",
            next_step=f"`invoke verify {run.name}`.",
        )
    path = Path(opened.path)
    book = project.parse_runbook(_runbook(run, path), path, inventory)
    hidden = {name: "********" for name, wanted in book.inputs.items() if wanted.secret}
    hosts = tuple(inventory.hosts[name] for name in opened.hosts if name in inventory.hosts)
    return make_plan(
        book, hosts, {**opened.inputs, **hidden}, registry_for(book, path.parent),
        start_at=opened.start_at,
    )
