"""``resume``: go on with a run whose controller ended, without doing anything twice."""

from __future__ import annotations

import hashlib
from argparse import ArgumentParser, Namespace
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tastyops import __version__
from tastyops.catalogue import registry
from tastyops.cli import places, project, secrets
from tastyops.cli.conduct import Setting, conduct, may_ask
from tastyops.errors import ExitCode, JournalDamaged, UsageError
from tastyops.inventory import Host, Inventory
from tastyops.journal.events import Body, CancelAsked, Resumed, RunOpened
from tastyops.journal.state import RunState
from tastyops.model.runbook import Runbook, Step
from tastyops.model.text import one_line
from tastyops.plan import Plan, make_plan
from tastyops.redact import Masker
from tastyops.store.locks import Owner, holding_hosts, owning
from tastyops.store.logs import LogFile, LogKeeper
from tastyops.store.runs import RUNBOOK, RunJournal, read_events, read_state, run_directories
from tastyops.validate import validate


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
    parser.add_argument(
        "--take-over", action="store_true", dest="take_over",
        help="take hosts over from a run that is certainly over",
    )
    parser.add_argument("--json", action="store_true", help="events as JSON lines")


def perform(args: Namespace, *, dry: bool) -> int:
    """Takes the run up where its journal ends; returns its exit code."""
    if dry:
        raise UsageError(
            "resume has no dry run: `invoke show RUN --commands` tells how far the run came.",
            still_true="No host was touched.",
        )
    inventory = project.load_inventory(args.inventory)
    found = unfinished(args, args.run)
    if found is None:
        print("There is no unfinished run.")  # noqa: T201
        return int(ExitCode.COMPLETED)
    return take_up(found, args, inventory)


def unfinished(args: Namespace, wanted: str | None) -> tuple[Path, LogFile] | None:
    """The run meant, with its log; None when nothing is unfinished. Raises UsageError."""
    if wanted:
        run, log = project.find_record(args, wanted)
        if run is None or log is None:
            raise UsageError(f"{wanted} has no run and log to go on with.")
        return run, log
    inventory = project.load_inventory(args.inventory)
    open_runs = [
        run
        for runs, _ in project.record_places(inventory, args)
        for run in run_directories(runs)
        if not finished(run)
    ]
    if not open_runs:
        return None
    if len(open_runs) > 1:
        raise UsageError(
            f"{len(open_runs)} runs are unfinished: {', '.join(run.name for run in open_runs)}.",
            still_true="No host was touched.", next_step="Choose with --run R.",
        )
    return unfinished(args, open_runs[0].name)


def finished(run: Path) -> bool:
    """Whether its journal tells its end, or that it never began; a damaged one tells neither."""
    try:
        state = read_state(run)
    except JournalDamaged:
        return False
    return state.closed is not None or state.opened is None


def _is_real(inventory: Inventory, name: str) -> bool:
    host = inventory.hosts.get(name)
    return host is not None and host.connection != "practice"


@dataclass(frozen=True)
class _Found:
    """A run as its journal and its kept runbook tell it."""

    opened: RunOpened
    runbook: Runbook
    hosts: tuple[Host, ...]


def take_up(
    found: tuple[Path, LogFile], args: Namespace, inventory: Inventory, cancel: str | None = None
) -> int:
    """Goes on with a run; with ``cancel``, only to end it for that reason."""
    directory, log = found
    with ExitStack() as stack:
        journal, state, torn = RunJournal.reopen(directory, Masker())
        hosts = list(state.opened.hosts) if state.opened else []
        owner = Owner.of(directory.name, project.operator(), hosts)
        stack.enter_context(owning(directory, owner))
        real = [name for name in hosts if _is_real(inventory, name)]
        if real and state.closed is None:
            stack.enter_context(holding_hosts(log.page.parent.parent, owner))
        stack.callback(journal.close)
        if state.closed is not None:
            print(f"The run {directory.name} is over: {state.closed.status}.")  # noqa: T201
            return int(ExitCode.COMPLETED)
        was = _as_it_was(directory, state, inventory, accept=args.accept_changes)
        hidden = secrets.resolve_secrets(was.runbook, was.hosts, ask=may_ask(args))
        masker = hidden.masker()
        stack.enter_context(secrets.masked_errors(masker.text))
        journal.mask_with(masker)
        open_inputs = {
            name: value
            for name, value in was.opened.inputs.items()
            if name in was.runbook.inputs and not was.runbook.inputs[name].secret
        }
        plan = make_plan(
            was.runbook, was.hosts, {**open_inputs, **hidden.inputs},
            registry(Path(was.opened.path).parent),
            start_at=was.opened.start_at, controller=places.controller_boot_id(),
        )
        _must_be_the_same(plan, was, accept=args.accept_changes)
        place = places.enter(stack, was.hosts, hidden.passwords)
        setting = Setting(
            args, inventory, place, masker, project.operator(), was.opened.answers, patient=True
        )
        keeper = LogKeeper(log)
        for event in read_events(directory):
            keeper.event(event)  # what a crash kept from the log is written now
        first = Resumed(
            state.seq, hashlib.sha256(was.runbook.source).hexdigest(), plan.digest, __version__
        )
        before: list[Body] = [body for body in (torn, first) if body is not None]
        if cancel is not None:
            before.append(CancelAsked(cancel))
        return conduct(plan, state, setting, journal, log, before, keeper)


def _as_it_was(directory: Path, state: RunState, inventory: Inventory, *, accept: bool) -> _Found:
    opened = state.opened
    if opened is None:
        raise JournalDamaged(
            f"{directory.name}: the journal does not begin with the run's opening.",
            still_true="No host was touched.", next_step=f"`invoke verify {directory.name}`.",
        )
    missing = [name for name in opened.hosts if name not in inventory.hosts]
    if missing:
        raise UsageError(
            f"The inventory has no {', '.join(missing)}, on which the run {directory.name} is.",
            still_true="No host was touched.", next_step="Give the run's own with --inventory F.",
        )
    kept = (directory / RUNBOOK).read_bytes()
    runbook = _read(kept, opened.path, inventory)
    try:
        now = Path(opened.path).read_bytes()
    except OSError:
        now = kept  # it was moved or deleted: the run's own copy is what was begun
    if now != kept:
        changed = _read(now, opened.path, inventory)
        _tell_changes(state, runbook, changed, accept=accept)
        runbook = changed
    hosts = tuple(inventory.hosts[name] for name in opened.hosts)
    return _Found(opened, runbook, hosts)


def _read(source: bytes, path: str, inventory: Inventory) -> Runbook:
    names = {**inventory.hosts, **inventory.groups}
    host_vars = frozenset(name for host in inventory.hosts.values() for name in host.vars)
    return validate(source, path, registry(Path(path).parent), names, host_vars)


def _tell_changes(state: RunState, before: Runbook, now: Runbook, *, accept: bool) -> None:
    """Says what differs, step by step; refuses unless that was accepted."""
    old = {step.id: step for step in before.every_step()}
    new = {step.id: step for step in now.every_step()}
    lines = []
    for step_id in dict.fromkeys([*old, *new]):
        what = _difference(old.get(step_id), new.get(step_id))
        if what:
            lanes = [lane for (_, step), lane in state.lanes.items() if step == step_id]
            done = "already begun" if any(lane.begun for lane in lanes) else "not begun"
            lines.append(f"step {step_id} ({done}): {what}")
    told = "; ".join(lines) or "its text changed, but no step did"
    if accept:
        project.say(one_line(f"The runbook was changed since the run began: {told}."))
        return
    raise UsageError(
        f"{before.path} was changed since the run began: {told}.",
        still_true="No host was touched.",
        next_step="Put it back as it was, or give --accept-changes to go on with it as it is now.",
    )


def _difference(old: Step | None, new: Step | None) -> str:
    if old is None or new is None:
        return "added" if old is None else "removed"
    return "" if _essence(old) == _essence(new) else "changed"


def _essence(step: Step) -> str:
    """The step without where it stands in the file."""
    fields = {name: getattr(step, name) for name in step.__dataclass_fields__ if name != "place"}
    return repr({name: _plain(value) for name, value in fields.items()})


def _plain(value: object) -> object:
    if hasattr(value, "text") and hasattr(value, "place"):
        return value.text
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _must_be_the_same(plan: Plan, was: _Found, *, accept: bool) -> None:
    if plan.digest != was.opened.plan and not accept:
        raise UsageError(
            "The run's plan cannot be made again from its runbook, hosts and inputs.",
            still_true="No host was touched.",
            next_step="`invoke verify` tells whether its record is sound; "
            "--accept-changes goes on all the same.",
        )
