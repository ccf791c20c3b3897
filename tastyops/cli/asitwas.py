"""A run as it was begun: its kept runbook, hosts and inputs, made into its plan again."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from tastyops.app.registry import registry_for
from tastyops.cli import project
from tastyops.cli.secrets import Secrets
from tastyops.errors import InvalidFile, JournalDamaged, UsageError
from tastyops.journal.events import RunOpened
from tastyops.journal.state import RunState
from tastyops.local.controller import boot_id
from tastyops.model.inventory import Host, Inventory
from tastyops.model.public_text import one_line
from tastyops.model.runbook import Marked, Runbook, Step
from tastyops.plan.plan import Plan, make_plan
from tastyops.records.runs import RUNBOOK

_UNTOUCHED = "No host was touched."


@dataclass(frozen=True)
class AsItWas:
    """What a run was opened with, as far as it is not secret."""

    opened: RunOpened
    runbook: Runbook
    hosts: tuple[Host, ...]
    zone: str = "UTC"

    def plan(self, hidden: Secrets, *, accept: bool) -> Plan:
        """Its plan, with the secrets had anew. Raises UsageError where it cannot be the same."""
        inputs = {
            name: value
            for name, value in self.opened.inputs.items()
            if name in self.runbook.inputs and not self.runbook.inputs[name].secret
        }
        plan = make_plan(
            self.runbook, self.hosts, {**inputs, **hidden.inputs},
            registry_for(self.runbook, Path(self.opened.path).parent),
            start_at=self.opened.start_at, controller=boot_id(),
            zone=self.zone,
        )
        if plan.digest != self.opened.plan and not accept:
            raise UsageError(
                "The run's plan cannot be made again from its runbook, hosts and inputs.",
                still_true=_UNTOUCHED,
                next_step="`invoke verify` tells whether its record is sound; "
                "--accept-changes goes on all the same.",
            )
        return plan


def as_it_was(
    directory: Path, state: RunState, inventory: Inventory, *, accept: bool
) -> AsItWas:
    """What the run was opened with. Raises UsageError, JournalDamaged; says what was accepted.

    A runbook that was edited since is refused, step by step, unless that was accepted.
    """
    opened = state.opened
    if opened is None:
        raise JournalDamaged(
            f"{directory.name}: the journal does not begin with the run's opening.",
            still_true=_UNTOUCHED, next_step=f"`invoke verify {directory.name}`.",
        )
    missing = [name for name in opened.hosts if name not in inventory.hosts]
    if missing:
        raise UsageError(
            f"The inventory has no {', '.join(missing)}, on which the run {directory.name} is.",
            still_true=_UNTOUCHED, next_step="Give the run's own with --inventory F.",
        )
    kept, path = project.read_bounded(directory / RUNBOOK, "a runbook"), Path(opened.path)
    now = _now(path, kept)
    before = _kept_runbook(kept, path, inventory, corrected=accept and now != kept)
    if before is not None and now == kept:
        runbook = before
    else:
        runbook = project.parse_runbook(now, path, inventory)
        if before is not None:
            _tell_changes(state, before, runbook, accept=accept)
    hosts = tuple(inventory.hosts[name] for name in opened.hosts)
    return AsItWas(opened, runbook, hosts, inventory.timezone)


def _kept_runbook(
    kept: bytes, path: Path, inventory: Inventory, *, corrected: bool
) -> Runbook | None:
    """The runbook that the run was begun with; None where the corrected one takes its place.

    A later version may refuse what an earlier one took. Raises InvalidFile with the way out.
    """
    try:
        return project.parse_runbook(kept, path, inventory)
    except InvalidFile as error:
        if corrected:
            project.say(
                "The runbook that the run was begun with is not valid for this version. "
                f"The run goes on with {path} as it is now."
            )
            return None
        raise InvalidFile(
            error.problems,
            next_step=f"Correct {path}, then `invoke resume --accept-changes`; or `invoke cancel`.",
        ) from error


def _now(path: Path, kept: bytes) -> bytes:
    """The runbook as it is now; one that was moved or deleted is what was begun."""
    try:
        return project.read_bounded(path, "a runbook")
    except UsageError:
        return kept


def _tell_changes(state: RunState, before: Runbook, now: Runbook, *, accept: bool) -> None:
    old = {step.id: _essence(step) for step in before.every_step()}
    new = {step.id: _essence(step) for step in now.every_step()}
    begun = {step for (_, step), lane in state.lanes.items() if lane.begun}
    lines = [
        f"step {step} ({'already begun' if step in begun else 'not begun'}): "
        + ("removed" if step not in new else "added" if step not in old else "changed")
        for step in dict.fromkeys([*old, *new])
        if old.get(step) != new.get(step)
    ]
    told = "; ".join(lines) or "its text changed, but no step did"
    if accept:
        project.say(one_line(f"The runbook was changed since the run began: {told}."))
        return
    raise UsageError(
        f"{before.path} was changed since the run began: {told}.",
        still_true=_UNTOUCHED,
        next_step="Put it back as it was, or give --accept-changes to go on with it as it is now.",
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
