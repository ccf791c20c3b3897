"""Resumes a run whose controller ended, without doing anything twice; ends one; settles doubts."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from pathlib import Path

from tastyops import __version__
from tastyops.app.at_risk_window import new_end_events
from tastyops.app.detaching import ASKED, go_on
from tastyops.app.environment import connect
from tastyops.app.foreign_run import RecordPairs, not_ours
from tastyops.app.operators import Say, operator
from tastyops.app.rebuild_plan import known_run, rebuild_plan
from tastyops.app.record_lookup import Records
from tastyops.app.run_session import Detached, RunOptions, RunRecords, Screen, Setting, run_session
from tastyops.app.secrets import masked_errors, resolve_secrets, unpacked
from tastyops.app.settle import settle
from tastyops.app.signals import letting_go
from tastyops.engine.run_context import Release
from tastyops.errors import ExitCode, JournalDamaged, RecordsDisagree, UsageError
from tastyops.journal.events import Body, CancelAsked, LineTorn, Resumed
from tastyops.journal.state import RunState
from tastyops.records.locks import Owner, holding_hosts
from tastyops.records.logs import LogFile, LogKeeper
from tastyops.records.runs import RunJournal, read_events, read_state, run_directories
from tastyops.records.settlement import unsettled
from tastyops.records.verify import must_agree
from tastyops.redact import Masker


def unfinished_run(records: Records) -> str | None:
    """The id of the unfinished run, if there is one. Raises UsageError where there are several."""
    every = [run for runs, _ in records.pairs() for run in run_directories(runs)]
    found = [run for run in every if not _finished(run)] or list(filter(_in_doubt, every))
    if len(found) > 1:
        raise UsageError(
            f"{len(found)} runs are unfinished, or were closed in doubt: "
            f"{', '.join(run.name for run in found)}.",
            still_true="No host was touched.", next_step="Choose one with --run R.",
        )
    return found[0].name if found else None


def _finished(run: Path) -> bool:
    """Whether the journal has the run's end, or the run never began. A damaged one has neither."""
    try:
        state = read_state(run)
    except JournalDamaged:
        return False
    return state.closed is not None or state.opened is None


def _in_doubt(run: Path) -> bool:
    """Whether the run was closed in doubt and has not been settled since."""
    try:
        return unsettled(run, read_state(run)) is not None
    except JournalDamaged:
        return False


def run_and_log(records: Records, wanted: str) -> tuple[Path, LogFile]:
    """The run that a word names, with its log. Raises UsageError, RecordsDisagree."""
    run, log = records.find(wanted)
    if run is None or log is None:
        runs, pairs = log.document().runs if log else (), records.pairs()
        theirs = [not_ours(pairs, each) for each in runs]
        raise next(filter(None, theirs), None) or _missing(run, log, pairs) or UsageError(
            f"{wanted} has no run and log to go on with.",
            next_step="Name their directories with --runs DIR and --logs DIR.",
        )
    return run, log


def _missing(run: Path | None, log: LogFile | None, pairs: RecordPairs) -> RecordsDisagree | None:
    """The error for half a record, where the other half names it."""
    if run is not None:
        opened = next((event.body for event in read_events(run)), None)
        number = getattr(opened, "log", "")
        what = f"The log {number}, into which the run {run.name} writes, is not among the logs."
        return _half(what, "--logs DIR") if number else None
    runs = log.document().runs if log else ()
    if log is None or not runs:
        return None
    looked = ", ".join(str(directory) for directory, _ in pairs)
    what = f"The journal of the run {runs[-1]}, which writes into the log {log.number}, is not in"
    return _half(f"{what} {looked}.", "--runs DIR")


def _half(what: str, option: str) -> RecordsDisagree:
    return RecordsDisagree(
        what, still_true="Nothing was written and no host was touched.",
        next_step=f"Put it back from a backup, or name its directory with {option}.",
    )


def resume(
    directory: Path, log: LogFile, options: RunOptions, screen: Screen,
    cancel: CancelAsked | None = None,
) -> int:
    """Resumes a run; with ``cancel``, only to end it. Returns the run's exit code.

    A journal that is older than its log is refused: what it lacks would be sent again.
    """
    must_agree(directory, log)
    try:
        with ExitStack() as stack:
            journal, state, torn = RunJournal.reopen(directory, Masker())
            stack.callback(journal.close)
            records = RunRecords(journal, log, _keeper(log, directory, screen.say))
            if state.closed is not None:
                records.keeper.caught_up()
                if cancel is None and unsettled(directory, state) is not None:
                    return settle(records, state, options, screen)
                screen.tell(f"The run {directory.name} is over: {state.closed.status}.")
                return int(ExitCode.COMPLETED)
            return _go_on(records, state, torn, options, screen, cancel, stack)
    except Detached as detached:
        return go_on(detached, options, screen.say)


def _go_on(
    records: RunRecords, state: RunState, torn: LineTorn | None, options: RunOptions,
    screen: Screen, cancel: CancelAsked | None, stack: ExitStack,
) -> int:
    """Makes the plan again, connects, and performs the rest of it."""
    journal, inventory, accept = records.journal, options.records.inventory, options.accept_changes
    known = known_run(journal.directory, state, inventory, screen.say, accept=accept)
    if any(host.connection != "practice" for host in known.hosts):
        owner = Owner.of(records.run, operator(), known.opened.hosts, epoch=journal.epoch)
        stack.enter_context(holding_hosts(records.log.page.parent.parent, owner))
    if options.handed_over is not None:
        hidden = unpacked(options.handed_over)
    else:
        hidden = resolve_secrets(known.runbook, known.hosts, screen.person)
    release, masker = Release(), hidden.masker()
    if options.detach:
        release.ask(ASKED, detach=True)
    stack.enter_context(letting_go(release.ask))
    stack.enter_context(masked_errors(masker.text))
    journal.mask_with(masker)
    plan = rebuild_plan(known, hidden.inputs, accept=accept)
    environment = connect(stack, known.hosts, hidden)
    setting = Setting(
        options, environment, hidden, masker, operator(), known.opened.answers,
        patient=cancel is None, waits=options.wait, release=release,
    )
    environment.reach(screen.say)
    document, now = records.log.document(), environment.clock.now()
    window = new_end_events(
        options.window_end, inventory.timezone, now, document.offset, document.date
    )
    runbook = hashlib.sha256(known.runbook.source).hexdigest()
    resumed = Resumed(state.seq, runbook, plan.digest, __version__)
    first: list[Body] = [each for each in (torn, resumed, *window, cancel) if each is not None]
    return run_session(plan, state, setting, records, screen, first)


def _keeper(log: LogFile, directory: Path, say: Say) -> LogKeeper:
    """Copies into the log, beginning with everything that a crash may have kept from it."""
    keeper = LogKeeper(log)
    for event in read_events(directory):
        keeper.event(event)
    if keeper.held:
        say(
            f"The log {log.number} lacked {keeper.held} lines that the run had recorded. "
            "They are added now."
        )
    return keeper
