"""Makes the plan of an earlier run again, from its kept runbook, its hosts and its inputs."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from tastyops.app.inventory import read_bounded
from tastyops.app.loading import Loaded, parse_runbook
from tastyops.app.operators import Say
from tastyops.errors import InvalidFile, JournalDamaged, UsageError
from tastyops.journal.events import RunOpened
from tastyops.journal.state import RunState
from tastyops.local.controller import boot_id
from tastyops.model.inventory import Host, Inventory
from tastyops.model.public_text import one_line
from tastyops.model.runbook import Marked, Runbook, Step
from tastyops.plan.plan import Plan, make_plan
from tastyops.records.runs import RUNBOOK, read_events, read_state

_UNTOUCHED = "No host was touched."


@dataclass(frozen=True)
class KnownRun:
    """What a run was opened with, as far as the records have it: everything but its secrets."""

    opened: RunOpened
    loaded: Loaded
    hosts: tuple[Host, ...]
    zone: str = "UTC"

    @property
    def runbook(self) -> Runbook:
        """The runbook."""
        return self.loaded.runbook


def rebuild_plan(known: KnownRun, secrets: Mapping[str, str], *, accept: bool) -> Plan:
    """The plan of a run, made again from its records.

    Raises UsageError where the plan is another one than the run was opened with, unless ``accept``.
    """
    inputs = {
        name: value
        for name, value in known.opened.inputs.items()
        if name in known.runbook.inputs and not known.runbook.inputs[name].secret
    }
    plan = make_plan(
        known.runbook, known.hosts, {**inputs, **secrets}, known.loaded.registry,
        start_at=known.opened.start_at, controller=boot_id(), zone=known.zone,
    )
    if plan.digest != known.opened.plan and not accept:
        raise UsageError(
            "The run's plan cannot be made again from its runbook, hosts and inputs.",
            still_true=_UNTOUCHED,
            next_step="`invoke verify` checks the run's record. --accept-changes goes on with the "
            "plan as it is now.",
        )
    return plan


def plan_to_show(directory: Path, inventory: Inventory) -> Plan:
    """The plan of a run for whoever reads along: its secrets are not fetched."""
    opened = _opened(directory, read_state(directory))
    path = Path(opened.path)
    loaded = parse_runbook(_carried_out(directory, path), path, inventory)
    hidden = {name: "********" for name, each in loaded.runbook.inputs.items() if each.secret}
    hosts = tuple(inventory.hosts[name] for name in opened.hosts if name in inventory.hosts)
    return rebuild_plan(KnownRun(opened, loaded, hosts), hidden, accept=True)


def runbook_of(directory: Path, state: RunState, inventory: Inventory) -> Runbook:
    """The runbook that the run was begun with, whatever became of its file."""
    kept = read_bounded(directory / RUNBOOK, "a runbook")
    path = Path(state.opened.path) if state.opened else directory / RUNBOOK
    return parse_runbook(kept, path, inventory).runbook


def _carried_out(run: Path, path: Path) -> bytes:
    """The runbook as it is carried out: the one kept, or the edited one that was accepted."""
    wanted = [str(getattr(event.body, "runbook", "")) for event in read_events(run)]
    digest = next((each for each in reversed(wanted) if each), "")
    kept = read_bounded(run / RUNBOOK, "a runbook")
    if hashlib.sha256(kept).hexdigest() != digest:
        with contextlib.suppress(UsageError):
            now = read_bounded(path, "a runbook")
            if hashlib.sha256(now).hexdigest() == digest:
                return now
    return kept


def _opened(directory: Path, state: RunState) -> RunOpened:
    """What the run was opened with. Raises JournalDamaged."""
    if state.opened is None:
        raise JournalDamaged(
            f"{directory.name}: the journal does not begin with the run's opening.",
            still_true=_UNTOUCHED, next_step=f"`invoke verify {directory.name}`.",
        )
    return state.opened


def known_run(
    directory: Path, state: RunState, inventory: Inventory, say: Say, *, accept: bool
) -> KnownRun:
    """What the run was opened with. Raises UsageError, JournalDamaged; says what was accepted.

    A runbook that was edited since is refused, step by step, unless that was accepted.
    """
    opened = _opened(directory, state)
    missing = [name for name in opened.hosts if name not in inventory.hosts]
    if missing:
        raise UsageError(
            f"The run {directory.name} has hosts that the inventory does not have: "
            f"{', '.join(missing)}.",
            still_true=_UNTOUCHED, next_step="Give the run's own inventory with --inventory F.",
        )
    kept, path = read_bounded(directory / RUNBOOK, "a runbook"), Path(opened.path)
    now = _now(path, kept)
    loaded = _kept_runbook(kept, path, inventory, say, corrected=accept and now != kept)
    if loaded is None or now != kept:
        before, loaded = loaded, parse_runbook(now, path, inventory)
        if before is not None:
            _tell_changes(state, before.runbook, loaded.runbook, say, accept=accept)
    hosts = tuple(inventory.hosts[name] for name in opened.hosts)
    return KnownRun(opened, loaded, hosts, inventory.timezone)


def _kept_runbook(
    kept: bytes, path: Path, inventory: Inventory, say: Say, *, corrected: bool
) -> Loaded | None:
    """The runbook that the run was begun with; None where the corrected one takes its place.

    A later version may refuse what an earlier one took. Raises InvalidFile with the way out.
    """
    try:
        return parse_runbook(kept, path, inventory)
    except InvalidFile as error:
        if corrected:
            say(
                "The runbook that the run was begun with is not valid for this version. "
                f"The run goes on with {path} as it is now."
            )
            return None
        raise InvalidFile(
            error.problems,
            next_step=f"Correct {path}, then `invoke resume --accept-changes`; or `invoke cancel`.",
        ) from error


def _now(path: Path, kept: bytes) -> bytes:
    """The runbook as it is now; the kept one where it was moved or deleted."""
    try:
        return read_bounded(path, "a runbook")
    except UsageError:
        return kept


def _tell_changes(
    state: RunState, before: Runbook, now: Runbook, say: Say, *, accept: bool
) -> None:
    old = {step.id: _essence(step) for step in before.every_step()}
    new = {step.id: _essence(step) for step in now.every_step()}
    begun = {step for (_, step), lane in state.lanes.items() if lane.begun}
    lines = [
        f"step {step} ({'already begun' if step in begun else 'not begun'}): "
        + ("removed" if step not in new else "added" if step not in old else "changed")
        for step in dict.fromkeys([*old, *new])
        if old.get(step) != new.get(step)
    ]
    changes = "; ".join(lines) or "its text changed, but no step did"
    if accept:
        say(one_line(f"The runbook was changed since the run began: {changes}."))
        return
    raise UsageError(
        f"{before.path} was changed since the run began: {changes}.",
        still_true=_UNTOUCHED,
        next_step="Restore it, or give --accept-changes to go on with it as it is now.",
    )


_APART = ("place", "on_failure", "undo")
"""Where a step stands does not matter; its steps for when it fails are compared as steps."""


def _essence(step: Step) -> dict[str, object]:
    names = (each.name for each in fields(step) if each.name not in _APART)
    return {name: _placeless(getattr(step, name)) for name in names}


def _placeless(value: object) -> object:
    match value:
        case Marked():
            return value.text
        case dict():
            return {key: _placeless(each) for key, each in value.items()}
        case list() | tuple():
            return tuple(_placeless(each) for each in value)
    return value
