"""``run``: carry out a runbook and write its log; or, dry, say what it would do."""

from __future__ import annotations

import hashlib
import os
import shutil
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime

from tastyops import __version__
from tastyops.app.registry import registry_for
from tastyops.cli import detach, places, project, secrets, shutdowns, signals
from tastyops.cli.conduct import Setting, conduct, may_ask, same_records
from tastyops.cli.dryrun import masking_capture, show_preview
from tastyops.cli.inputs import resolve
from tastyops.cli.persons import need_another_operator, need_nobody, wants_another
from tastyops.cli.window import begins_later, told, window_end_argument, window_of, window_set
from tastyops.engine.preview import preview
from tastyops.errors import ExitCode, JournalUnwritable
from tastyops.journal.events import Body, RunOpened
from tastyops.journal.state import RunState
from tastyops.local.accounts import login_uid
from tastyops.local.controller import boot_id
from tastyops.model.inventory import Inventory
from tastyops.model.risk_period import Period
from tastyops.model.runbook import Runbook
from tastyops.plan.plan import Plan, make_plan
from tastyops.records.locks import Owner, holding_hosts
from tastyops.records.logs import LogFile, LogHead, LogKeeper
from tastyops.records.runs import RunJournal, new_run_id
from tastyops.records.verify import runs_must_agree


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
        "--into", metavar="2026/003", type=project.filled, help="write into a log that is there"
    )
    project.take_over_argument(parser)
    project.plugins_argument(parser)
    window_end_argument(parser)
    parser.add_argument(
        "--detach", action="store_true",
        help="let the run go on without this terminal; `attend` joins it",
    )
    parser.add_argument("--json", action="store_true", help="events as JSON lines")


def perform(args: Namespace, *, dry: bool) -> int:
    """Runs the runbook; returns the exit code."""
    inventory = project.load_inventory(args.inventory)
    runbook = project.load_runbook(args.runbook, inventory, args.plugins)
    return carry_out(runbook, args, inventory, dry=dry)


def carry_out(runbook: Runbook, args: Namespace, inventory: Inventory, *, dry: bool) -> int:
    """Runs it, or says what that would do; ``args`` as ``run`` takes them. Gives the exit code."""
    try:
        return _perform(runbook, args, inventory, dry=dry or args.dry_run)
    except detach.Detached as detached:
        return detach.go_on(detached, args, same_records(args))


def _perform(runbook: Runbook, args: Namespace, inventory: Inventory, *, dry: bool) -> int:
    hosts = project.chosen_hosts(inventory, runbook, args.host)
    inputs, answers = resolve(runbook, args.var, ask=may_ask(args))
    hidden = secrets.resolve_secrets(runbook, hosts, ask=may_ask(args))
    masker = hidden.masker()
    with ExitStack() as stack, secrets.masked_errors(masker.text):
        plan = make_plan(
            runbook, hosts, {**inputs, **hidden.inputs}, registry_for(runbook, args.runbook.parent),
            start_at=args.start_at or "", controller=boot_id(),
            zone=inventory.timezone,
        )
        place = places.enter(stack, hosts, hidden)
        setting = Setting(args, inventory, place, hidden, masker, project.operator(), answers)
        now = place.clock.now()
        period = window_of(runbook.window, args.window_end, inventory.timezone, now)
        if dry:
            return _preview(plan, setting, period)
        hands = place.hands if not may_ask(args) else None
        if args.detach:
            setting.release.ask(detach.ASKED, detach=True)
        elif not may_ask(args):
            need_nobody(plan, yes=args.yes, answers=answers, hands=hands is not None)
        if hands is None:
            need_another_operator(plan, setting.who, inventory.operators)
        code = _carry_out(plan, setting, stack, period)
    shutdowns.note_executed(project.record_places(inventory, args))
    return code


def _preview(plan: Plan, setting: Setting, period: Period | None) -> int:
    capture = masking_capture(setting.masker)
    place = setting.place
    found = preview(plan, place.dialer, place.clock, capture, place.ways)
    attending = project.attending(setting.args.attending, setting.inventory)
    show_preview(
        plan, found, zone=setting.inventory.timezone, attending=attending,
        as_json=setting.args.json, mask=setting.masker.text, period=period,
    )
    if found.unreachable:
        return int(ExitCode.UNREACHABLE)
    return int(ExitCode.FAILED if found.incomplete else ExitCode.COMPLETED)


def _carry_out(
    plan: Plan, setting: Setting, stack: ExitStack, period: Period | None
) -> int:
    attending = project.attending(setting.args.attending, setting.inventory)
    run_id = new_run_id(datetime.now(UTC))
    owner = Owner.of(run_id, setting.who, [host.name for host in plan.hosts])
    stack.enter_context(signals.letting_go(setting.release.ask))
    head = _head(plan, setting, attending, period)
    journal, log = _open(plan, setting, head, owner, stack)
    stack.callback(journal.close)
    first: list[Body] = [_opened(plan, setting, attending, log), *window_set(period)]
    if period is not None and begins_later(period, setting.place.clock.now()):
        project.say(f"The run waits for its at-risk period, {told(period, log)}. Ctrl-C ends it.")
    return conduct(plan, RunState(), setting, journal, log, first, LogKeeper(log))


def _open(
    plan: Plan, setting: Setting, head: LogHead, owner: Owner, stack: ExitStack
) -> tuple[RunJournal, LogFile]:
    """The run's journal and its log, or neither, with its hosts held on this controller.

    No number is taken unless both can be written and no other run here works on one of the hosts.
    """
    args, practice = setting.args, plan.practice
    runs = project.runs_directory(setting.inventory, args.runs, practice=practice)
    book = project.log_book(setting.inventory, args.logs, practice=practice)
    project.keep_apart(runs, book.directory)
    joined = book.find(args.into) if args.into else None
    if joined is not None:
        runs_must_agree(joined, runs)
    try:
        with ExitStack() as undo:
            # Every run starts practice hosts of its own; the lab is a machine like any other.
            if any(host.connection != "practice" for host in plan.hosts):
                stack.enter_context(holding_hosts(book.directory, owner))
            undo.callback(shutil.rmtree, runs / owner.run, ignore_errors=True)
            journal = RunJournal.create(
                runs, owner.run, plan.runbook.source, setting.masker,
                entered=_is_entered(plan, setting),
            )
            undo.callback(journal.close)
            now = setting.place.clock.now()
            if args.into:
                log, _ = book.join(args.into, head, owner.run, now, setting.masker)
            else:
                log = book.open(head, now, setting.masker)
            undo.pop_all()
    except JournalUnwritable as error:
        raise JournalUnwritable(
            error.what, still_true="No host was touched.",
            next_step="Make room, mend the permissions, or choose with --logs DIR and --runs DIR.",
        ) from error
    return journal, log


def _is_entered(plan: Plan, setting: Setting) -> bool:
    """Whether other accounts are to find the run: they may answer it, or leave notes."""
    others = any(name != setting.who for name in setting.inventory.operators)
    return others or wants_another(plan)


def _head(
    plan: Plan, setting: Setting, attending: Sequence[str], period: Period | None
) -> LogHead:
    return LogHead(
        plan.runbook.kind, plan.title, setting.inventory.timezone, plan.practice, plan.summary,
        list(plan.work_titles.values()), attending, day=period.begins if period else None,
    )


def _opened(plan: Plan, setting: Setting, attending: list[str], log: LogFile) -> RunOpened:
    return RunOpened(
        title=plan.title, runbook=hashlib.sha256(plan.runbook.source).hexdigest(),
        path=plan.runbook.path, plan=plan.digest, hosts=[host.name for host in plan.hosts],
        inputs=plan.recorded_inputs, attending=attending, log=log.number, practice=plan.practice,
        start_at=plan.start_at, tastyops=__version__, answers=dict(setting.answers),
        account=os.getuid(), login=login_uid(),
    )
