"""Performs a plan to its end: who answers, what Ctrl-C and signals do, and how a run is left."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from tastyops.app.announcing import Caller, CommandAnnouncer
from tastyops.app.environment import Environment
from tastyops.app.interventions import Interventions
from tastyops.app.operators import Person
from tastyops.app.record_lookup import Records
from tastyops.app.secrets import Secrets
from tastyops.app.signals import INTERRUPTED, stopping
from tastyops.engine.drive import Drive
from tastyops.engine.run_context import Release, RunContext
from tastyops.errors import ExitCode, LetGo, TastyopsError
from tastyops.journal.events import Address, Body, CancelAsked, Decided, StopAsked
from tastyops.journal.state import LOOK, RunState
from tastyops.model.inventory import Inventory
from tastyops.model.outcome import Outcome
from tastyops.model.runbook import Step
from tastyops.plan.plan import Plan, restart_at
from tastyops.ports import Listener, Operator
from tastyops.records.document.build import Document
from tastyops.records.logs import LogFile, LogKeeper
from tastyops.records.mailbox import DeskKeeper
from tastyops.records.runs import RunJournal, hand_in
from tastyops.redact import Masker


@dataclass(frozen=True)
class RunOptions:
    """What the operator chose for a run, with the defaults of a verb that has no such option."""

    records: Records
    inventory: str | None = None
    """The value of ``--inventory``."""
    yes: bool = False
    json: bool = False
    take_over: bool = False
    detach: bool = False
    window_end: str | None = None
    host: Sequence[str] = ()
    var: Sequence[str] | None = None
    """The ``--var`` options; None for a resumed run, whose inputs are in its journal."""
    attending: str | None = None
    start_at: str | None = None
    into: str | None = None
    accept_changes: bool = False
    wait: bool = False
    handed_over: bytes | None = None
    """The secrets that another process hands over with the run."""

    def same_records(self) -> str:
        """The options that lead another command to the same records, as they are typed."""
        places = (
            ("inventory", self.inventory), ("logs", self.records.logs), ("runs", self.records.runs)
        )
        return "".join(f" --{name} {shlex.quote(place)}" for name, place in places if place)


@dataclass(frozen=True)
class Setting:
    """Everything a run needs besides its plan and its records."""

    options: RunOptions
    environment: Environment
    hidden: Secrets
    masker: Masker
    who: str
    answers: Mapping[str, str]
    patient: bool = False
    """Whether what failed waits for a person even where none is."""
    waits: bool = False
    """Whether questions stay open for ``answer`` and ``attend`` where no terminal is."""
    release: Release = field(default_factory=Release)
    """The request to let go of the run, from a signal or from its terminal."""

    @property
    def inventory(self) -> Inventory:
        """The inventory of the run."""
        return self.options.records.inventory


@dataclass(frozen=True)
class RunRecords:
    """The private journal and the public log that a run writes."""

    journal: RunJournal
    log: LogFile
    keeper: LogKeeper
    """Copies what is public from the journal to the log."""

    @property
    def run(self) -> str:
        """The run's id."""
        return self.journal.directory.name


@dataclass(frozen=True)
class RunEnd:
    """How a run ended, for the last lines that its operator reads."""

    code: int
    run: str
    document: Document
    page: Path
    same_records: str
    held: Sequence[str]
    """The hosts that a run which ended in doubt keeps locked."""
    again: str
    """How to do the steps that are left; empty where nothing is left to do."""


Shown = AbstractContextManager[tuple[Listener, tuple[Operator, ...]]]
"""The listener that shows a run while it is performed, and the operators who answer."""


class Screen(Protocol):
    """Shows a run while it is performed, and has whoever answers its questions."""

    @property
    def person(self) -> Person | None:
        """The person at the keyboard; None where nobody is there or ``--yes`` was given."""

    def say(self, sentence: str) -> None:
        """Tells the operator something."""

    def tell(self, sentence: str) -> None:
        """Tells a result, where results go."""

    def ring(self) -> None:
        """Rings the terminal's bell, for what no prompt rings it for."""

    def show(self, setting: Setting, interventions: Interventions, offset: int) -> Shown:
        """Shows the run. ``offset``: minutes of the log's time zone east of UTC."""

    def tell_end(self, end: RunEnd) -> None:
        """The last lines of a run."""


class Detached(Exception):
    """The run was let go of so that another process goes on with it; its locks are free by then."""

    def __init__(self, directory: Path, hidden: Secrets, *, untouched: bool) -> None:
        super().__init__(directory.name)
        self.directory, self.hidden = directory, hidden
        self.untouched = untouched
        """Whether no host was connected to yet."""


def run_session(
    plan: Plan, state: RunState, setting: Setting, records: RunRecords, screen: Screen,
    first: Sequence[Body],
) -> int:
    """Carries the run on to its end, ``first`` being its first events; returns the exit code.

    Raises LetGo where the run was let go of: by a signal, or at the end of its terminal's input;
    Detached where a process without a terminal is to go on with it.
    """
    hand = _handing_in(records.journal.directory, setting.who)
    caller = _caller(state, setting, screen, hand)
    with ExitStack() as stack:
        interventions = Interventions(plan, state, hand, setting.environment.ways)
        offset = records.log.document().offset
        listener, operators = stack.enter_context(
            screen.show(setting, interventions, offset)
        )
        drive = _drive(plan, state, setting, records, screen, operators, (caller, listener))
        stack.enter_context(_interruptible(state, setting, screen, hand))
        stack.enter_context(_records_flushed(records.keeper, caller))
        for body in first:
            drive.append(body)
        for step in state.open_doubts() if setting.patient else ():
            drive.append(Decided(LOOK), Address(step=step, attempt=state.decisions + 1))
        drive.run()
        if state.closed is None:
            raise _left(state, setting, records)
    end = _end_of(plan, state, setting, records)
    screen.tell_end(end)
    return end.code


def _handing_in(directory: Path, who: str) -> Callable[[Body], None]:
    """Hands events to the run's journal from threads other than the run's own."""

    def hand(body: Body) -> None:
        hand_in(directory, who, body, datetime.now(UTC))

    return hand


def _caller(
    state: RunState, setting: Setting, screen: Screen, hand: Callable[[Body], None]
) -> Caller:
    argv = setting.inventory.announce
    announcer = CommandAnnouncer(argv) if argv else None
    return Caller(state, announcer, hand=hand, ring=screen.ring, say=screen.say)


def _drive(
    plan: Plan, state: RunState, setting: Setting, records: RunRecords, screen: Screen,
    operators: Sequence[Operator], listeners: Sequence[Listener],
) -> Drive:
    journal = records.journal
    context = RunContext(
        run=records.run, who=setting.who, journal=journal, dialer=setting.environment.dialer,
        clock=setting.environment.clock, operators=operators,
        listeners=(records.keeper, DeskKeeper(journal.directory, state), *listeners),
        epoch=journal.epoch, take_over=setting.options.take_over,
        approvers=setting.inventory.operators,
        waits=screen.person is not None or setting.waits,
        out_of_band=setting.environment.ways, release=setting.release,
    )  # fmt: skip
    return Drive(plan, state, context)


@contextlib.contextmanager
def _interruptible(
    state: RunState, setting: Setting, screen: Screen, hand: Callable[[Body], None]
) -> Iterator[None]:
    """Ctrl-C stops the run for a person to decide; where nobody is there, it cancels the run."""

    def stop() -> None:
        asked = StopAsked if screen.person is not None else CancelAsked
        hand(asked(INTERRUPTED))

    def over() -> bool:
        return state.closed is not None or bool(setting.release.why)

    with stopping(stop, over=over, answered=lambda: state.decisions):
        yield


@contextlib.contextmanager
def _records_flushed(keeper: LogKeeper, caller: Caller) -> Iterator[None]:
    """Writes the log's page and waits for calls of the operators, however the run is left."""
    try:
        yield
    except TastyopsError:
        caller.left()
        raise
    finally:
        with contextlib.suppress(TastyopsError):
            keeper.flush()
        caller.finish()


def _left(state: RunState, setting: Setting, records: RunRecords) -> LetGo | Detached:
    """What a run that was let go of is left with: another process, or a sentence."""
    if setting.release.detach:
        untouched = not state.connected
        return Detached(records.journal.directory, setting.hidden, untouched=untouched)
    run, where = records.run, setting.options.same_records()
    return LetGo(
        f"The run {run} was let go: {setting.release.why}.",
        still_true="A command under way on a host goes on there; the log stays In progress.",
        next_step=f"`invoke resume --run {run}{where}` goes on with it; "
        f"`invoke cancel {run}{where}` ends it.",
    )


def _end_of(plan: Plan, state: RunState, setting: Setting, records: RunRecords) -> RunEnd:
    closed, document = state.closed, records.log.document()
    into = "" if document.closed else document.number
    return RunEnd(
        code=closed.exit_code if closed else int(ExitCode.IN_DOUBT), run=records.run,
        document=document, page=records.log.page, same_records=setting.options.same_records(),
        held=_held(plan, state),
        again=setting.masker.text(_to_go_on(plan, state, setting.options, into)),
    )


def _held(plan: Plan, state: RunState) -> list[str]:
    """The hosts that a run which ended in doubt keeps; a practice host ends with its run."""
    real = [host.name for host in plan.hosts if host.connection != "practice"]
    return [name for name in real if state.in_doubt and name in state.locked]


def _to_go_on(plan: Plan, state: RunState, options: RunOptions, into: str) -> str:
    """After an end without completion: the command that does the steps which are left.

    Empty where nothing is left, and in doubt, since a step that may have been done must not be
    begun again without a look. ``into``: the log, where it takes further work items.
    """
    if state.in_doubt or not state.closed or not state.closed.exit_code:
        return ""
    if any(host.connection == "practice" for host in plan.hosts):
        return ""  # another run starts practice hosts of its own, where nothing was done
    left = next((step for step in plan.runbook.steps() if not _is_over(plan, state, step)), None)
    if left is None or not Path(plan.runbook.path).exists():
        return ""
    words = ["invoke", "run", plan.runbook.path, "--start-at", restart_at(plan, left)]
    words += ["--into", into] if into else []
    for option, values in (("var", options.var or ()), ("host", options.host)):
        words += [word for each in values for word in (f"--{option}", each)]
    resumed = options.var is None
    words += ["--yes"] if options.yes and not resumed else []
    inputs = " and the run's --var inputs" if resumed and plan.runbook.inputs else ""
    command = f"{shlex.join(words)}{options.same_records()}"
    return f"To do the steps that are left: `{command}`{inputs}"


def _is_over(plan: Plan, state: RunState, step: Step) -> bool:
    """Whether the step ended well on each of its hosts, or is no part of this run."""
    if step.id in plan.left_out:
        return True
    lanes = [state.lane(host, step.id) for host in plan.lanes[step.id]]
    return all(lane.ended is not None and Outcome(lane.ended.outcome).good for lane in lanes)
