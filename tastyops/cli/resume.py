"""``resume``: go on with a run whose controller ended, without doing anything twice."""

from __future__ import annotations

import hashlib
import sys
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tastyops import __version__
from tastyops.cli import detach, places, project, secrets, signals
from tastyops.cli.another import not_ours
from tastyops.cli.asitwas import as_it_was
from tastyops.cli.conduct import Setting, conduct, may_ask, same_records
from tastyops.cli.settle import settle
from tastyops.cli.window import moved, window_end_argument
from tastyops.engine.drive import Release
from tastyops.errors import ExitCode, JournalDamaged, RecordsDisagree, UsageError
from tastyops.journal.events import Body, CancelAsked, LineTorn, Resumed
from tastyops.journal.state import RunState
from tastyops.model.inventory import Inventory
from tastyops.records.locks import Owner, holding_hosts
from tastyops.records.logs import LogBook, LogFile, LogKeeper
from tastyops.records.runs import RunJournal, read_events, read_state, run_directories
from tastyops.records.settlement import unsettled
from tastyops.records.verify import must_agree
from tastyops.redact import Masker


def arguments(parser: ArgumentParser) -> None:
    """What ``resume`` takes."""
    parser.add_argument(
        "--run", metavar="R", type=project.filled,
        help="a run's id or its beginning, `last`, or a log's number (default: the unfinished one)",
    )
    project.inventory_argument(parser)
    parser.add_argument("--yes", "-y", action="store_true", help="answer plain confirmations")
    parser.add_argument(
        "--accept-changes", action="store_true", help="go on with the runbook as it is now"
    )
    project.take_over_argument(parser)
    window_end_argument(parser)
    parser.add_argument(
        "--wait", action="store_true",
        help="without a terminal, leave questions open for `answer` and `attend`",
    )
    parser.add_argument(
        "--detach", action="store_true",
        help="let the run go on without this terminal; `attend` joins it",
    )
    parser.add_argument("--handed-over", action="store_true", help=SUPPRESS)
    parser.add_argument("--json", action="store_true", help="events as JSON lines")


def perform(args: Namespace, *, dry: bool) -> int:
    """Takes the run up where its journal ends; returns its exit code."""
    if dry:
        raise UsageError(
            "resume has no dry run: `invoke show RUN --commands` tells how far the run came.",
            still_true="No host was touched.",
        )
    wanted = args.run or _the_unfinished_one(args)
    if wanted is None:
        print("There is no unfinished run.")  # noqa: T201
        return int(ExitCode.COMPLETED)
    run, log = run_and_log(args, wanted)
    return take_up(run, log, args, project.load_inventory(args.inventory))


def _the_unfinished_one(args: Namespace) -> str | None:
    """The run to go on with, if there is one. Raises UsageError where there are several."""
    places_ = project.record_places(project.load_inventory(args.inventory), args)
    every = [run for runs, _ in places_ for run in run_directories(runs)]
    found = [run for run in every if not _finished(run)] or list(filter(_in_doubt, every))
    if len(found) > 1:
        raise UsageError(
            f"{len(found)} runs are unfinished, or were closed in doubt: "
            f"{', '.join(run.name for run in found)}.",
            still_true="No host was touched.", next_step="Choose with --run R.",
        )
    return found[0].name if found else None


def _finished(run: Path) -> bool:
    """Whether its journal tells its end, or that it never began; a damaged one tells neither."""
    try:
        state = read_state(run)
    except JournalDamaged:
        return False
    return state.closed is not None or state.opened is None


def _in_doubt(run: Path) -> bool:
    """Whether it was closed in doubt, and that was not settled since."""
    try:
        return unsettled(run, read_state(run)) is not None
    except JournalDamaged:
        return False


def run_and_log(args: Namespace, wanted: str) -> tuple[Path, LogFile]:
    """The run somebody means, with its log. Raises UsageError."""
    run, log = project.find_record(args, wanted)
    if run is None or log is None:
        runs = log.document().runs if log else ()
        places_ = project.record_places(project.load_inventory(args.inventory), args)
        theirs = [not_ours(places_, each) for each in runs]
        raise next(filter(None, theirs), None) or _missing(run, log, places_) or UsageError(
            f"{wanted} has no run and log to go on with.",
            next_step="Say where they are with --runs DIR and --logs DIR.",
        )
    return run, log


def _missing(
    run: Path | None, log: LogFile | None, places_: Sequence[tuple[Path, LogBook]]
) -> RecordsDisagree | None:
    """Which half of a record is not there, where the other one names it."""
    if run is not None:
        opened = next((event.body for event in read_events(run)), None)
        number = getattr(opened, "log", "")
        what = f"The log {number}, into which the run {run.name} writes, is not among the logs."
        return _half(what, "--logs DIR") if number else None
    runs = log.document().runs if log else ()
    if log is None or not runs:
        return None
    looked = ", ".join(str(directory) for directory, _ in places_)
    what = f"The journal of the run {runs[-1]}, which writes into the log {log.number}, is not in"
    return _half(f"{what} {looked}.", "--runs DIR")


def _half(what: str, option: str) -> RecordsDisagree:
    return RecordsDisagree(
        what, still_true="Nothing was written and no host was touched.",
        next_step=f"Put it back from a backup, or say where it is with {option}.",
    )


def take_up(
    directory: Path,
    log: LogFile,
    args: Namespace,
    inventory: Inventory,
    cancel: CancelAsked | None = None,
) -> int:
    """Goes on with a run; with ``cancel``, only to end it. Returns the run's exit code.

    A journal that is older than its log is refused: what it lacks would be sent again.
    """
    must_agree(directory, log)
    try:
        return _take_up(directory, log, args, inventory, cancel)
    except detach.Detached as detached:
        return detach.go_on(detached, args, same_records(args))


def _take_up(
    directory: Path, log: LogFile, args: Namespace, inventory: Inventory, cancel: CancelAsked | None
) -> int:
    with ExitStack() as stack:
        journal, state, torn = RunJournal.reopen(directory, Masker())
        stack.callback(journal.close)
        if state.closed is not None:
            _keeper(log, directory).caught_up()
            if cancel is None and unsettled(directory, state) is not None:
                return settle(directory, log, args, inventory, journal, state)
            print(f"The run {directory.name} is over: {state.closed.status}.")  # noqa: T201
            return int(ExitCode.COMPLETED)
        accept = args.accept_changes
        was = as_it_was(directory, state, inventory, accept=accept)
        if any(host.connection != "practice" for host in was.hosts):
            owner = Owner.of(
                directory.name, project.operator(), was.opened.hosts, epoch=journal.epoch
            )
            stack.enter_context(holding_hosts(log.page.parent.parent, owner))
        if args.handed_over:
            hidden = secrets.unpacked(sys.stdin.buffer.read())
        else:
            hidden = secrets.resolve_secrets(was.runbook, was.hosts, ask=may_ask(args))
        release = Release()
        if args.detach:
            release.ask(detach.ASKED, detach=True)
        stack.enter_context(signals.letting_go(release.ask))
        masker = hidden.masker()
        stack.enter_context(secrets.masked_errors(masker.text))
        journal.mask_with(masker)
        plan = was.plan(hidden, accept=accept)
        place = places.enter(stack, was.hosts, hidden)
        setting = Setting(
            args, inventory, place, hidden, masker, project.operator(), was.opened.answers,
            patient=cancel is None, waits=args.wait, release=release,
        )
        document = log.document()
        window = moved(
            args.window_end, inventory.timezone, place.clock.now(), document.offset, document.date
        )
        first = _first_words(state, torn, plan.digest, was.runbook.source, cancel, window)
        return conduct(plan, state, setting, journal, log, first, _keeper(log, directory))


def _first_words(
    state: RunState, torn: LineTorn | None, plan: str, source: bytes, cancel: CancelAsked | None,
    window: Sequence[Body] = (),
) -> list[Body]:
    runbook = hashlib.sha256(source).hexdigest()
    resumed = Resumed(state.seq, runbook, plan, __version__)
    return [body for body in (torn, resumed, *window, cancel) if body is not None]


def _keeper(log: LogFile, directory: Path) -> LogKeeper:
    """What copies into the log, told again of all that a crash may have kept from it."""
    keeper = LogKeeper(log)
    for event in read_events(directory):
        keeper.event(event)
    if keeper.held:
        project.say(
            f"The log {log.number} lacked {keeper.held} lines that the run had recorded. "
            "They are added now."
        )
    return keeper
