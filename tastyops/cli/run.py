"""``run``: carry out a runbook and write its log; or, dry, say what it would do."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from tastyops import __version__
from tastyops.catalogue import registry
from tastyops.cli import output, places, project, secrets, signals
from tastyops.cli.dryrun import show_preview
from tastyops.cli.inputs import resolve
from tastyops.document.times import offset_minutes
from tastyops.engine.drive import Drive
from tastyops.engine.preview import preview
from tastyops.errors import ExitCode, JournalUnwritable, UsageError, did_you_mean
from tastyops.inventory import Inventory
from tastyops.journal.events import CancelAsked, RunOpened
from tastyops.journal.state import RunState
from tastyops.model.text import one_line
from tastyops.plan import Plan, make_plan, need_nobody
from tastyops.ports import Listener, Operator
from tastyops.redact import Masker
from tastyops.store.blobs import OutputCapture
from tastyops.store.locks import Owner, holding_hosts, owning
from tastyops.store.logs import LogFile, LogHead, LogKeeper
from tastyops.store.runs import RunJournal, hand_in, new_run_id
from tastyops.terminal.losable import Losable
from tastyops.terminal.people import AtTerminal, Unattended
from tastyops.terminal.plain import JsonLines, PlainLines
from tastyops.terminal.view import RunView


def arguments(parser: ArgumentParser) -> None:
    """What ``run`` takes."""
    parser.add_argument("runbook", metavar="RUNBOOK", type=project.filled_path)
    project.inventory_argument(parser)
    parser.add_argument(
        "--host", action="append", default=[], metavar="NAME", type=project.filled,
        help="only this host; repeatable",
    )
    parser.add_argument(
        "--var", action="append", default=[], metavar="K=V", help="an input's value; repeatable"
    )
    parser.add_argument(
        "--dry-run", "--dry", "-R", action="store_true", dest="dry_run",
        help="only say what would be done",
    )
    parser.add_argument("--yes", "-y", action="store_true", help="answer plain confirmations")
    parser.add_argument(
        "--attending", metavar="A,B", type=project.filled, help="who attends (default: you)"
    )
    parser.add_argument(
        "--start-at", default=None, metavar="2.1", type=project.filled,
        help="leave out the steps before",
    )
    parser.add_argument(
        "--take-over", action="store_true", dest="take_over",
        help="take hosts over from a run that is certainly over",
    )
    parser.add_argument("--json", action="store_true", help="events as JSON lines")


@dataclass(frozen=True)
class _Setting:
    """Everything a run needs besides its plan."""

    args: Namespace
    inventory: Inventory
    place: places.Place
    masker: Masker
    who: str
    answers: dict[str, str]

    @property
    def offset(self) -> int:
        """The log's UTC offset, in minutes."""
        return offset_minutes(self.inventory.timezone, self.place.clock.now())


def perform(args: Namespace, *, dry: bool) -> int:
    """Runs the runbook; returns the exit code."""
    inventory = project.load_inventory(args.inventory)
    runbook = project.load_runbook(args.runbook, inventory)
    hosts = project.chosen_hosts(inventory, runbook, args.host)
    inputs, answers = resolve(runbook, args.var, ask=_may_ask(args))
    plan = make_plan(
        runbook, hosts, inputs, registry(args.runbook.parent),
        start_at=args.start_at or "", controller=places.controller_boot_id(),
    )
    with ExitStack() as stack:
        passwords = secrets.sudo_passwords(hosts, ask=_may_ask(args))
        masker = Masker(set(passwords.values()))
        place = places.enter(stack, hosts, passwords)
        setting = _Setting(args, inventory, place, masker, project.operator(), answers)
        if dry or args.dry_run:
            return _preview(plan, setting)
        hands = place.hands if not _may_ask(args) else None
        if not _may_ask(args):
            need_nobody(plan, yes=args.yes, answers=answers, hands=hands is not None)
        return _carry_out(plan, setting, stack)


def _may_ask(args: Namespace) -> bool:
    """Whether a person is at the keyboard and has not said ``--yes``."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not args.yes


def _preview(plan: Plan, setting: _Setting) -> int:
    found = preview(plan, setting.place.dialer, setting.place.clock, OutputCapture)
    show_preview(
        plan, found, zone=setting.inventory.timezone, attending=_attending(setting),
        as_json=setting.args.json,
    )
    if found.unreachable:
        return int(ExitCode.UNREACHABLE)
    return int(ExitCode.FAILED if found.incomplete else ExitCode.COMPLETED)


def _carry_out(plan: Plan, setting: _Setting, stack: ExitStack) -> int:
    attending = _attending(setting)
    run_id = new_run_id(datetime.now(UTC))
    owner = Owner.of(run_id, setting.who, [host.name for host in plan.hosts])
    journal, log = _open(plan, setting, attending, owner, stack)
    stack.enter_context(owning(journal.directory, owner))
    stack.callback(journal.close)
    with _screen(plan, setting) as (listener, operators):
        drive = Drive(
            plan, RunState(), run_id, journal=journal, dialer=setting.place.dialer,
            clock=setting.place.clock, who=setting.who, operators=operators,
            listeners=(LogKeeper(log), Losable(listener)), take_over=setting.args.take_over,
        )

        def stop(why: str) -> None:
            hand_in(journal.directory, setting.who, CancelAsked(why), datetime.now(UTC))

        with signals.stopping(stop, lambda: drive.state.closed is not None):
            drive.append(_opened(plan, setting, attending, log))
            state = drive.run()
    return _farewell(state, log, run_id, as_json=setting.args.json)


def _open(
    plan: Plan, setting: _Setting, attending: Sequence[str], owner: Owner, stack: ExitStack
) -> tuple[RunJournal, LogFile]:
    """The run's journal and its log, or neither, with its hosts held on this controller.

    No number is taken unless both can be written and no other run here works on one of the hosts.
    """
    args, practice = setting.args, plan.practice
    runs = project.runs_directory(setting.inventory, args.runs, practice=practice)
    book = project.log_book(setting.inventory, args.logs, practice=practice)
    project.keep_apart(runs, book.directory)
    try:
        with ExitStack() as undo:
            # Every run starts practice hosts of its own; the lab is a machine like any other.
            if any(host.connection != "practice" for host in plan.hosts):
                stack.enter_context(holding_hosts(book.directory, owner))
            undo.callback(shutil.rmtree, runs / owner.run, ignore_errors=True)
            journal = RunJournal.create(runs, owner.run, plan.runbook.source, setting.masker)
            undo.callback(journal.close)
            head = _head(plan, setting, attending)
            log = book.open(head, setting.place.clock.now(), setting.masker)
            undo.pop_all()
    except JournalUnwritable as error:
        raise JournalUnwritable(
            error.what, still_true="No host was touched.",
            next_step="Make room, mend the permissions, or choose with --logs DIR and --runs DIR.",
        ) from error
    return journal, log


def _attending(setting: _Setting) -> list[str]:
    given = [name.strip() for name in (setting.args.attending or "").split(",")]
    names = [one_line(name) for name in given if name]
    operators = setting.inventory.operators
    for name in names:
        if operators and name not in operators:
            raise UsageError(
                f"--attending {name}: the inventory's operators are {', '.join(operators)}.",
                still_true="No host was touched.", next_step=did_you_mean(name, operators),
            )
    return names or [setting.who]


def _head(plan: Plan, setting: _Setting, attending: Sequence[str]) -> LogHead:
    return LogHead(
        plan.runbook.kind, plan.title, setting.inventory.timezone, plan.practice, plan.summary,
        list(plan.work_titles.values()), attending,
    )


def _opened(plan: Plan, setting: _Setting, attending: list[str], log: LogFile) -> RunOpened:
    return RunOpened(
        title=plan.title, runbook=hashlib.sha256(plan.runbook.source).hexdigest(),
        path=plan.runbook.path, plan=plan.digest, hosts=[host.name for host in plan.hosts],
        inputs=dict(plan.inputs), attending=attending, log=log.number, practice=plan.practice,
        start_at=plan.start_at, tastyops=__version__,
    )


class _screen:  # noqa: N801  reads as a function where it is used
    """The listener that fits where standard output goes, and who answers there."""

    def __init__(self, plan: Plan, setting: _Setting) -> None:
        self._plan, self._setting = plan, setting
        self._stack = ExitStack()

    def __enter__(self) -> tuple[Listener, tuple[Operator, ...]]:
        setting, args = self._setting, self._setting.args
        unattended = Unattended(
            setting.who, yes=args.yes, answers=setting.answers, alone=not _may_ask(args)
        )
        operators: list[Operator] = [unattended]
        listener: Listener
        person = AtTerminal(setting.who)
        view = RunView(self._plan)
        now = setting.place.clock.now
        if args.json:
            listener = JsonLines(sys.stdout)
        elif sys.stdout.isatty():
            from tastyops.terminal.live import LiveScreen

            live = self._stack.enter_context(LiveScreen(view, setting.offset, now))
            person = AtTerminal(setting.who, pause=live.pause, resume=live.resume)
            listener = live
        else:
            listener = PlainLines(view, sys.stdout, setting.offset)
        if _may_ask(args):
            operators.append(person)
        elif setting.place.hands is not None:
            operators.append(setting.place.hands)
        return listener, tuple(operators)

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _farewell(state: RunState, log: LogFile, run_id: str, *, as_json: bool) -> int:
    closed = state.closed
    code = closed.exit_code if closed else int(ExitCode.IN_DOUBT)
    if not as_json:
        document = log.document()
        with contextlib.suppress(OSError):
            print(f"\n{document.tag} {document.status}.")  # noqa: T201
            print(f"Log: {log.page}\nRun: {run_id}  (`invoke show {document.number}`)")  # noqa: T201
    output.settle()  # a reader that went away does not change how the run ended
    return code
