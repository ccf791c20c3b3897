"""What ``run`` and ``resume`` share: the screen, who answers there, signals, the last words."""

from __future__ import annotations

import contextlib
import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from tastyops.app.announcer_command import CommandAnnouncer
from tastyops.app.announcing import Caller
from tastyops.cli import hostshell, output, places, project, signals
from tastyops.cli.detach import ASKED, Detached
from tastyops.cli.hostpower import switch_on
from tastyops.cli.secrets import Secrets
from tastyops.engine.drive import Drive, Release
from tastyops.errors import ExitCode, LetGo, TastyopsError, UsageError
from tastyops.journal.events import (
    Address,
    Body,
    CancelAsked,
    Decided,
    InputChanged,
    StopAsked,
)
from tastyops.journal.state import LOOK, RunState
from tastyops.model.coercion import input_value
from tastyops.model.inventory import Inventory
from tastyops.model.outcome import Outcome
from tastyops.model.runbook import Step
from tastyops.plan.plan import Plan, restart_at
from tastyops.ports import Listener, Operator, OutOfBand
from tastyops.records.logs import LogFile, LogKeeper
from tastyops.records.mailbox import DeskKeeper
from tastyops.records.notes import new_note
from tastyops.records.runs import RunJournal, hand_in
from tastyops.redact import Masker
from tastyops.ui.failure_menu import FailureMenu
from tastyops.ui.plain_lines import JsonLines, PlainLines
from tastyops.ui.prompts import AnsweredElsewhere, AtTerminal, Unattended
from tastyops.ui.run_view import RunView
from tastyops.ui.tolerant_listener import Losable


@dataclass(frozen=True)
class Setting:
    """Everything a run needs besides its plan."""

    args: Namespace
    inventory: Inventory
    place: places.Place
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


def may_ask(args: Namespace) -> bool:
    """Whether a person is at the keyboard and has not said ``--yes``."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not args.yes


def conduct(
    plan: Plan,
    state: RunState,
    setting: Setting,
    journal: RunJournal,
    log: LogFile,
    first: Sequence[Body],
    keeper: LogKeeper,
) -> int:
    """Carries the run on to its end, ``first`` being its first events; returns the exit code.

    Raises LetGo where the run was let go of: by a signal, or at the end of its terminal's input;
    Detached where a process without a terminal is to go on with it.
    """
    run = journal.directory.name

    def hand(body: Body) -> None:
        hand_in(journal.directory, setting.who, body, datetime.now(UTC))

    argv = setting.inventory.announce
    caller = Caller(
        state, CommandAnnouncer(argv) if argv else None, hand=hand, ring=_ring, say=project.say
    )
    offset = log.document().offset
    with _Screen(plan, state, setting, hand, offset) as (listener, operators):
        drive = Drive(
            plan, state, run, journal=journal, dialer=setting.place.dialer,
            clock=setting.place.clock, who=setting.who, operators=operators,
            listeners=(keeper, DeskKeeper(journal.directory, state), caller, Losable(listener)),
            epoch=journal.epoch, take_over=setting.args.take_over,
            approvers=setting.inventory.operators, waits=may_ask(setting.args) or setting.waits,
            ways=setting.place.ways, release=setting.release,
        )

        def stop() -> None:
            why = signals.INTERRUPTED
            hand(StopAsked(why) if may_ask(setting.args) else CancelAsked(why))

        def over() -> bool:
            return state.closed is not None or bool(setting.release.why)

        with signals.stopping(stop, over=over, answered=lambda: state.decisions):
            for body in first:
                drive.append(body)
            for step in state.open_doubts() if setting.patient else ():
                drive.append(Decided(LOOK), Address(step=step, attempt=state.decisions + 1))
            try:
                drive.run()
                if state.closed is None and setting.release.detach:
                    untouched = not state.connected
                    raise Detached(journal.directory, setting.hidden, untouched=untouched)
                if state.closed is None:
                    raise _let_go(run, setting)
            except TastyopsError:
                caller.left()
                raise
            finally:
                with contextlib.suppress(TastyopsError):
                    keeper.flush()
                caller.finish()
    return farewell(plan, state, setting, log, run)


def _let_go(run: str, setting: Setting) -> LetGo:
    """What the operator is told of a run that was let go of, if anybody is there to read it."""
    where = same_records(setting.args)
    return LetGo(
        f"The run {run} was let go: {setting.release.why}.",
        still_true="A command under way on a host goes on there; the log stays In progress.",
        next_step=f"`invoke resume --run {run}{where}` goes on with it; "
        f"`invoke cancel {run}{where}` ends it.",
    )


def same_records(args: Namespace) -> str:
    """The options that lead another command to the same records, as they are typed."""
    places = (("inventory", args.inventory), ("logs", args.logs), ("runs", args.runs))
    return "".join(f" --{name} {shlex.quote(place)}" for name, place in places if place)


def _ring() -> None:
    """The terminal's bell, for what no prompt rings it for."""
    if sys.stderr.isatty():
        with contextlib.suppress(OSError):
            sys.stderr.write("\a")
            sys.stderr.flush()


class _Screen:
    """The listener that fits where standard output goes, and who answers there."""

    def __init__(
        self, plan: Plan, state: RunState, setting: Setting, hand: hostshell.Hand, offset: int
    ) -> None:
        self._plan, self._state, self._setting, self._hand = plan, state, setting, hand
        self._offset = offset
        self._stack = ExitStack()

    def __enter__(self) -> tuple[Listener, tuple[Operator, ...]]:
        setting, args = self._setting, self._setting.args
        unattended = Unattended(
            setting.who, yes=args.yes, answers=setting.answers,
            alone=args.yes or not (may_ask(args) or setting.waits), patient=setting.patient,
        )
        operators: list[Operator] = [unattended]
        listener: Listener
        detach = partial(setting.release.ask, ASKED, detach=True)
        practice = any(host.connection == "practice" for host in self._plan.hosts)
        menu = failure_menu(
            self._plan, self._state, self._hand, setting.place.ways,
            detach=None if practice else detach,
        )
        gone = partial(setting.release.ask, "its terminal's input ended at a question")
        person = AtTerminal(setting.who, menu=menu, gone=gone)
        view = RunView(self._plan)
        now = setting.place.clock.now
        if args.json:
            listener = JsonLines(sys.stdout)
        elif sys.stdout.isatty():
            from tastyops.ui.live_screen import LiveScreen

            live = self._stack.enter_context(LiveScreen(view, self._offset, now))
            person = AtTerminal(
                setting.who, pause=live.pause, resume=live.resume, menu=menu, gone=gone
            )
            listener = live
        else:
            listener = PlainLines(view, sys.stdout, self._offset)
        if may_ask(args):
            if setting.place.hands is not None:
                operators.append(setting.place.hands.helping())
            operators.append(person)
        elif setting.place.hands is not None:
            operators.append(setting.place.hands)
        if setting.waits and not may_ask(args):
            operators.append(AnsweredElsewhere())
        return listener, tuple(operators)

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def failure_menu(
    plan: Plan, state: RunState, hand: hostshell.Hand, ways: OutOfBand | None = None, *,
    detach: Callable[[], None] | None = None,
) -> FailureMenu:
    """What a person may choose when a step did not end well.

    ``ways`` lead to power switches and ``detach`` lets the run go on without the terminal; where
    either is None its choice is left out.
    """
    inputs = plan.runbook.inputs
    reachable = {host.name for host in plan.hosts if host.connection == "ssh"}
    switches = {host.name: host for host in plan.hosts if host.power is not None and ways}

    def change(name: str, value: str) -> str:
        if name not in inputs or inputs[name].secret:
            return f"There is no input {name} that could be changed here."
        try:
            hand(InputChanged(name, input_value(inputs[name], value)))
        except UsageError as error:
            return str(error)
        return ""

    def power_on(host: str) -> str:
        return switch_on(switches[host], ways, hand) if ways else ""

    return FailureMenu(
        note=lambda text: hand(new_note(text, public=True)),
        inputs={name: plan.inputs[name] for name in inputs if not inputs[name].secret},
        change=change,
        open_shell=lambda host: hostshell.open_shell(plan, host, hand),
        hosts=lambda step: [h for h, bad in state.bad if bad == step and h in reachable],
        power_on=power_on,
        powered=lambda step: [h for h, bad in state.bad if bad == step and h in switches],
        detach=detach,
    )


def farewell(plan: Plan, state: RunState, setting: Setting, log: LogFile, run: str) -> int:
    """The last lines of a run, with commands that work as they stand; its exit code."""
    closed, args = state.closed, setting.args
    code = closed.exit_code if closed else int(ExitCode.IN_DOUBT)
    if not args.json:
        document = log.document()
        where = same_records(args)
        with contextlib.suppress(OSError):
            print(f"\n{document.tag} {document.status}.")  # noqa: T201
            print(f"Log: {log.page}\nRun: {run}  (`invoke show {document.number}{where}`)")  # noqa: T201
            into = "" if document.closed else document.number
            if held := _held(plan, state):
                print(  # noqa: T201
                    f"{', '.join(held)} stays locked by this run, which ended in doubt: "
                    f"`invoke resume --run {run}{where}` settles that and lets it go."
                )
            if again := setting.masker.text(_to_go_on(plan, state, args, into)):
                print(again)  # noqa: T201
    output.settle()  # a reader that went away does not change how the run ended
    return code


def _held(plan: Plan, state: RunState) -> list[str]:
    """The hosts that a run which ended in doubt keeps; a practice host ends with its run."""
    real = [host.name for host in plan.hosts if host.connection != "practice"]
    return [name for name in real if state.in_doubt and name in state.locked]


def _to_go_on(plan: Plan, state: RunState, args: Namespace, into: str) -> str:
    """After an end without completion: the command that does the steps which are left.

    Empty where nothing is left, and in doubt, since a step that may have been done must not be
    begun again without a look. ``into``: the log, where it takes further works.
    """
    if state.in_doubt or not state.closed or not state.closed.exit_code:
        return ""
    given = vars(args)
    if any(host.connection == "practice" for host in plan.hosts):
        return ""  # another run starts practice hosts of its own, where nothing was done
    left = next((step for step in plan.runbook.steps() if not _is_over(plan, state, step)), None)
    if left is None or not Path(plan.runbook.path).exists():
        return ""
    words = ["invoke", "run", plan.runbook.path, "--start-at", restart_at(plan, left)]
    words += ["--into", into] if into else []
    for option in ("var", "host"):
        words += [word for each in given.get(option, ()) for word in (f"--{option}", each)]
    words += ["--yes"] if "var" in given and args.yes else []
    inputs = "" if "var" in given or not plan.runbook.inputs else " and the run's --var inputs"
    return f"To do the steps that are left: `{shlex.join(words)}{same_records(args)}`{inputs}"


def _is_over(plan: Plan, state: RunState, step: Step) -> bool:
    """Whether the step ended well on each of its hosts, or is no part of this run."""
    if step.id in plan.left_out:
        return True
    lanes = [state.lane(host, step.id) for host in plan.lanes[step.id]]
    return all(lane.ended is not None and Outcome(lane.ended.outcome).good for lane in lanes)
