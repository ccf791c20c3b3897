"""Runs a runbook: load, plan, connect, perform, publish."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

from tastyops import __version__
from tastyops.app.at_risk_window import begins_later, in_words, opening_events, window_of
from tastyops.app.attendance_check import need_another_operator, need_nobody, wants_another
from tastyops.app.detaching import ASKED, go_on
from tastyops.app.environment import Environment, connect
from tastyops.app.inputs import resolve
from tastyops.app.loading import Loaded, chosen_hosts
from tastyops.app.operators import Person, attending, operator
from tastyops.app.preview_log import RunPreview, preview_run
from tastyops.app.record_lookup import keep_apart
from tastyops.app.run_session import Detached, RunOptions, RunRecords, Screen, Setting, run_session
from tastyops.app.scheduled_shutdowns import note_executed
from tastyops.app.secrets import Secrets, masked_errors, resolve_secrets
from tastyops.app.signals import letting_go
from tastyops.errors import JournalUnwritable
from tastyops.journal.events import Body, RunOpened
from tastyops.journal.state import RunState
from tastyops.local.accounts import login_uid
from tastyops.local.controller import boot_id
from tastyops.model.risk_period import Period
from tastyops.plan.plan import Plan, make_plan
from tastyops.records.locks import Owner, holding_hosts
from tastyops.records.logs import LogFile, LogHead, LogKeeper
from tastyops.records.runs import RunJournal, new_run_id
from tastyops.records.verify import runs_must_agree


def run(loaded: Loaded, options: RunOptions, screen: Screen) -> int:
    """Runs a runbook and writes its log; returns the exit code."""
    try:
        with ExitStack() as stack:
            ready = prepare(loaded, options, screen.person, stack)
            setting = setting_of(ready, options)
            check_attendance(ready, setting, screen)
            stack.enter_context(letting_go(setting.release.ask))
            ready.environment.reach(screen.say)
            records, first = open_records(ready, setting, stack)
            tell_wait(ready, records.log, screen)
            code = run_session(ready.plan, RunState(), setting, records, screen, first)
        note_executed(options.records.pairs())
    except Detached as detached:
        return go_on(detached, options, screen.say)
    return code


def dry_run(loaded: Loaded, options: RunOptions, person: Person | None) -> RunPreview:
    """What a run would do, found out over links that can only read."""
    with ExitStack() as stack:
        ready = prepare(loaded, options, person, stack)
        ready.environment.reach(person.say if person else lambda _: None)
        inventory = options.records.inventory
        attends = attending(options.attending, inventory)
        return preview_run(
            ready.plan, ready.environment, ready.hidden.masker(), inventory.timezone, attends,
            ready.period,
        )


@dataclass(frozen=True)
class Ready:
    """A run that may begin: its plan, its way to the hosts, and what must not be shown."""

    plan: Plan
    environment: Environment
    hidden: Secrets
    answers: Mapping[str, str]
    """Answers to ``ask`` steps by step id."""
    period: Period | None
    """The at-risk period."""


def prepare(
    loaded: Loaded, options: RunOptions, person: Person | None, stack: ExitStack
) -> Ready:
    """Resolves hosts, inputs and secrets, makes the plan, and connects the environment.

    From here on ``stack`` masks secrets in errors. Raises UsageError, NeedsPerson and the like.
    """
    inventory, runbook = options.records.inventory, loaded.runbook
    hosts = chosen_hosts(inventory, runbook, options.host)
    inputs, answers = resolve(runbook, options.var or (), person)
    hidden = resolve_secrets(runbook, hosts, person)
    stack.enter_context(masked_errors(hidden.masker().text))
    plan = make_plan(
        runbook, hosts, {**inputs, **hidden.inputs}, loaded.registry,
        start_at=options.start_at or "", controller=boot_id(), zone=inventory.timezone,
    )
    environment = connect(stack, hosts, hidden)
    now = environment.clock.now()
    period = window_of(runbook.window, options.window_end, inventory.timezone, now)
    return Ready(plan, environment, hidden, answers, period)


def setting_of(ready: Ready, options: RunOptions) -> Setting:
    """The setting of a run that begins now."""
    masker = ready.hidden.masker()
    return Setting(options, ready.environment, ready.hidden, masker, operator(), ready.answers)


def check_attendance(ready: Ready, setting: Setting, screen: Screen) -> None:
    """Raises NeedsPerson for a run that needs an operator who is not there."""
    hands = ready.environment.hands if screen.person is None else None
    if setting.options.detach:
        setting.release.ask(ASKED, detach=True)
    elif screen.person is None:
        need_nobody(
            ready.plan, yes=setting.options.yes, answers=ready.answers, hands=hands is not None
        )
    if hands is None:
        need_another_operator(ready.plan, setting.who, setting.inventory.operators)


def tell_wait(ready: Ready, log: LogFile, screen: Screen) -> None:
    """Tells the operator of a run that begins before its at-risk period."""
    if ready.period is not None and begins_later(ready.period, ready.environment.clock.now()):
        period = in_words(ready.period, log)
        screen.say(f"The run waits for its at-risk period, {period}. Ctrl-C ends it.")


def open_records(
    ready: Ready, setting: Setting, stack: ExitStack
) -> tuple[RunRecords, list[Body]]:
    """The records of a new run, and its first events. Raises UsageError, JournalUnwritable.

    The stack closes the journal and lets go of the hosts, which are held on this controller.
    """
    attends = attending(setting.options.attending, setting.inventory)
    hosts = [host.name for host in ready.plan.hosts]
    owner = Owner.of(new_run_id(datetime.now(UTC)), setting.who, hosts)
    journal, log = _open(ready, setting, _head(ready, setting, attends), owner, stack)
    stack.callback(journal.close)
    opened = _opened(ready.plan, setting, attends, log)
    return RunRecords(journal, log, LogKeeper(log)), [opened, *opening_events(ready.period)]


def _open(
    ready: Ready, setting: Setting, head: LogHead, owner: Owner, stack: ExitStack
) -> tuple[RunJournal, LogFile]:
    """The run's journal and its log, or neither, with its hosts held on this controller.

    No number is taken unless both can be written and no other run here works on one of the hosts.
    """
    plan, into, where = ready.plan, setting.options.into, setting.options.records
    runs, book = where.runs_directory(practice=plan.practice), where.book(practice=plan.practice)
    keep_apart(runs, book.directory)
    joined = book.find(into) if into else None
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
            now = ready.environment.clock.now()
            if into:
                log, _ = book.join(into, head, owner.run, now, setting.masker)
            else:
                log = book.open(head, now, setting.masker)
            undo.pop_all()
    except JournalUnwritable as error:
        raise JournalUnwritable(
            error.what, still_true="No host was touched.",
            next_step="Free some space or correct the permissions, or choose other directories "
            "with --logs DIR and --runs DIR.",
        ) from error
    return journal, log


def _is_entered(plan: Plan, setting: Setting) -> bool:
    """Whether other accounts are to find the run: they may answer it, or leave notes."""
    others = any(name != setting.who for name in setting.inventory.operators)
    return others or wants_another(plan)


def _head(ready: Ready, setting: Setting, attends: list[str]) -> LogHead:
    plan, period = ready.plan, ready.period
    return LogHead(
        plan.runbook.kind, plan.title, setting.inventory.timezone, plan.practice, plan.summary,
        list(plan.work_titles.values()), attends, day=period.begins if period else None,
    )


def _opened(plan: Plan, setting: Setting, attends: list[str], log: LogFile) -> RunOpened:
    return RunOpened(
        title=plan.title, runbook=hashlib.sha256(plan.runbook.source).hexdigest(),
        path=plan.runbook.path, plan=plan.digest, hosts=[host.name for host in plan.hosts],
        inputs=plan.recorded_inputs, attending=attends, log=log.number, practice=plan.practice,
        start_at=plan.start_at, tastyops=__version__, answers=dict(setting.answers),
        account=os.getuid(), login=login_uid(),
    )
