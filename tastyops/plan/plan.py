"""A plan: a runbook, the hosts it runs on and its inputs, resolved before the first step."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from tastyops.errors import (
    CannotKnow,
    InvalidFile,
    Problem,
    TemplateError,
    UsageError,
    did_you_mean,
)
from tastyops.journal.envelope import unstamp
from tastyops.journal.state import RunState
from tastyops.model.action import ActionSpec, Facts, Registered, Registry
from tastyops.model.commands import Steps, Unknown, concealed
from tastyops.model.inventory import Host
from tastyops.model.outcome import Outcome
from tastyops.model.runbook import Marked, Runbook, Step, Work
from tastyops.redact import Masker
from tastyops.templates import rendering

CONTROLLER = ""
"""The host of a lane that needs no host: a question to the operator."""


@dataclass(frozen=True)
class Plan:
    """What a run will do. Texts are rendered; steps stay templates until they start.

    ``inputs`` hold the values of secrets too; ``recorded_inputs`` is what may be written down.
    """

    runbook: Runbook
    hosts: tuple[Host, ...]
    inputs: Mapping[str, Any]
    registry: Registry
    title: str
    summary: tuple[str, ...]
    work_titles: Mapping[int, str]
    digest: str
    start_at: str = ""
    practice: bool = False
    controller: str = ""
    zone: str = "UTC"
    """The inventory's time zone."""
    left_out: frozenset[str] = frozenset()
    """Ids of the steps before ``--start-at``."""
    lanes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The host names of each step's lanes, by step id."""

    @cached_property
    def recorded_inputs(self) -> dict[str, Any]:
        """The inputs for the journal: a secret stands there as ``{"secret": "env:NAME"}``."""
        return recorded_inputs(self.runbook, self.inputs)

    @cached_property
    def position(self) -> Mapping[str, int]:
        """After how many of the runbook's steps each step stands, by its id."""
        found: dict[str, int] = {}
        count = 0
        for work in self.runbook.works:
            for step in work.steps:
                found[step.id] = count
                count += 1
                found |= {each.id: count for each in (*step.on_failure, *step.undo)}
            found |= {each.id: count for each in work.on_failure}
        return found | {each.id: count for each in self.runbook.rescue}

    @cached_property
    def registering(self) -> tuple[Step, ...]:
        """The steps of this run that leave something for later ones."""
        steps = self.runbook.steps()
        return tuple(step for step in steps if step.register and step.id not in self.left_out)

    @cached_property
    def shutdowns(self) -> bool:
        """Whether a step may schedule one."""
        return any(step.action == "shutdown" for step in self.runbook.every_step())

    def spec(self, step: Step) -> ActionSpec:
        """The step's action."""
        return self.registry[step.action]

    @cached_property
    def _hosts(self) -> dict[str, Host]:
        return {host.name: host for host in self.hosts}

    @cached_property
    def host_names(self) -> tuple[str, ...]:
        """The names of all hosts, in the runbook's order."""
        return tuple(self._hosts)

    def host(self, name: str) -> Host | None:
        """The host of that name; None for the controller's own lane."""
        return self._hosts.get(name)

    def host_or_only(self, name: str) -> Host | None:
        """The host of that name, or the run's only host; None for the controller among several."""
        return self.host(name) or (self.hosts[0] if len(self.hosts) == 1 else None)

    def work_of(self, step_id: str) -> Work:
        """The work a step belongs to; one that rescues the run belongs to the last."""
        works = self.runbook.works
        return next((w for w in works if any(s.id == step_id for s in w.every_step())), works[-1])


def make_plan(
    runbook: Runbook,
    hosts: Sequence[Host],
    inputs: Mapping[str, Any],
    registry: Registry,
    *,
    start_at: str = "",
    controller: str = "",
    zone: str = "UTC",
) -> Plan:
    """Resolves a runbook. Raises InvalidFile, UsageError; touches no host.

    Where there are secrets, no command of an action tells them when it is digested.
    """
    registry = _concealing(runbook, inputs, registry)
    lanes = _lanes(runbook, hosts, registry)
    left_out = _left_out(runbook, registry, start_at)
    one = hosts[0] if len(hosts) == 1 else None
    names = _base_names(runbook, [host.name for host in hosts], inputs, one)

    def public(text: Marked) -> str:
        return rendering.render_public(text, names, {}).text

    return Plan(
        runbook=runbook,
        hosts=tuple(hosts),
        inputs=dict(inputs),
        registry=registry,
        title=public(runbook.title),
        summary=tuple(map(public, runbook.summary)),
        work_titles={work.number: public(work.title) for work in runbook.works},
        digest=_digest(runbook, hosts, inputs, start_at),
        start_at=start_at,
        practice=any(host.practice or host.connection == "practice" for host in hosts),
        controller=controller,
        zone=zone,
        left_out=left_out,
        lanes=lanes,
    )


def _digest(
    runbook: Runbook, hosts: Sequence[Host], inputs: Mapping[str, Any], start_at: str
) -> str:
    data = [
        hashlib.sha256(runbook.source).hexdigest(),
        [h.name for h in hosts],
        recorded_inputs(runbook, inputs),
        start_at,
    ]
    return hashlib.sha256(json.dumps(data, sort_keys=True, default=str).encode()).hexdigest()[:32]


def recorded_inputs(runbook: Runbook, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with a reference in place of each secret."""
    sources = {name: wanted.secret for name, wanted in runbook.inputs.items()}
    return {
        name: {"secret": source.reference} if (source := sources.get(name)) else value
        for name, value in inputs.items()
    }


def _concealing(runbook: Runbook, inputs: Mapping[str, Any], registry: Registry) -> Registry:
    """The actions, each yielding commands whose descriptions have the secrets masked."""
    hidden = [name for name, wanted in runbook.inputs.items() if wanted.secret]
    secrets = [inputs[name] for name in hidden if isinstance(inputs.get(name), str)]
    return _Concealing(registry, Masker(secrets)) if secrets else registry


class _Concealing(Mapping[str, ActionSpec]):
    """The actions with the secrets masked; one that no step uses is not loaded."""

    def __init__(self, registry: Registry, masker: Masker) -> None:
        self._registry, self._masker = registry, masker

    def __getitem__(self, name: str) -> ActionSpec:
        spec = self._registry[name]

        def perform(params: Any, facts: Facts) -> Steps:
            return concealed(spec.perform(params, facts), self._masker)

        return replace(spec, perform=perform)

    def __iter__(self) -> Iterator[str]:
        return iter(self._registry)

    def __len__(self) -> int:
        return len(self._registry)


def _lanes(
    runbook: Runbook, hosts: Sequence[Host], registry: Registry
) -> dict[str, tuple[str, ...]]:
    lanes: dict[str, tuple[str, ...]] = {}
    problems: list[Problem] = []
    for step in runbook.every_step():
        if registry[step.action].hostless:
            lanes[step.id] = (CONTROLLER,)
            continue
        chosen = [h.name for h in hosts if step.hosts is None or h.name in step.hosts]
        if not chosen:
            problems.append(Problem(step.place, f"step {step.address} has no host to run on"))
        lanes[step.id] = tuple(chosen)
    if problems:
        raise InvalidFile(problems)
    return lanes


def _left_out(runbook: Runbook, registry: Registry, start_at: str) -> frozenset[str]:
    if not start_at:
        return frozenset()
    steps = list(runbook.steps())
    known = [step.address for step in steps] + [step.id for step in steps]
    first = next((i for i, s in enumerate(steps) if start_at in (s.address, s.id)), None)
    if first is None:
        raise UsageError(
            f"--start-at {start_at}: the runbook has no such step.",
            still_true="No host was touched.",
            next_step=did_you_mean(start_at, known)
            or f"Steps: {', '.join(s.address for s in steps)}",
        )
    _need_no_register_of(steps[:first], steps[first:], registry, start_at)
    return frozenset(step.id for step in steps[:first])


def restart_at(plan: Plan, step: Step) -> str:
    """The address at which a new run may start to do this step.

    That is the step itself, or an earlier one that registers what the steps from there on use.
    """
    steps = list(plan.runbook.steps())
    index = steps.index(step)
    while index > 0:
        try:
            _need_no_register_of(steps[:index], steps[index:], plan.registry, step.address)
            break
        except UsageError:
            index -= 1
    return steps[index].address


def _need_no_register_of(
    before: Sequence[Step], after: Sequence[Step], registry: Registry, start_at: str
) -> None:
    made = {step.register: step for step in before if step.register}
    for step in after:
        for name in sorted(_names_used(step, registry) & made.keys()):
            raise UsageError(
                f"Step {step.address} uses `{name}`, which step {made[name].address} registers; "
                f"--start-at {start_at} leaves that step out.",
                still_true="No host was touched.",
                next_step=f"Start at {made[name].address}, or give the step a value of its own.",
            )


def _names_used(step: Step, registry: Registry) -> set[str]:
    """The names a step's templates and expressions use."""
    params = registry[step.action].params
    expressions = [v for name, v in step.params.items() if params[name].type == "expression"]
    texts = [v for name, v in step.params.items() if params[name].type != "expression"]
    texts += [step.log, step.name, step.confirm, step.force]
    found = rendering.names_used([step.when, step.until, *expressions], "expression")
    return found | rendering.names_used(texts)


def _base_names(
    runbook: Runbook, everywhere: Sequence[str], inputs: Mapping[str, Any], one: Host | None
) -> dict[str, Any]:
    """The names a template may use before anything has run.

    ``everywhere`` has the names of all hosts, which no lane looks up one by one.
    """
    label = one.name if one else ", ".join(everywhere)
    names: dict[str, Any] = {**inputs, "host": label, "hosts": list(everywhere)}
    if one:
        names |= one.vars
    for name, value in runbook.vars.items():
        names[name] = rendering.render_value(value, names)
    return names


def lane_names(plan: Plan, state: RunState, host: str, before: Step) -> dict[str, Any]:
    """The names a step's templates may use: inputs, vars, and what earlier steps registered."""
    inputs = {**plan.inputs, **state.inputs} if state.inputs else plan.inputs
    names = _base_names(plan.runbook, plan.host_names, inputs, plan.host_or_only(host))
    position = plan.position[before.id]
    for step in plan.registering:
        if plan.position[step.id] >= position:
            break
        value = result_of(plan, state, host, step)
        if value is not None:
            names[str(step.register)] = value
    return names


def left_aside(plan: Plan, step: Step) -> bool:
    """Whether a ``when`` keeps the step from ever beginning: the inputs alone say so."""
    work = plan.work_of(step.id)
    conditions = [c for c in (None if step.recovery else work.when, step.when) if c is not None]
    later = {other.register for other in plan.runbook.every_step()}

    def aside(host: str) -> bool:
        names = _base_names(plan.runbook, plan.host_names, plan.inputs, plan.host_or_only(host))
        known = names.keys() - later
        settled = [c for c in conditions if rendering.names_used(c, "expression") <= known]
        try:
            return any(not rendering.holds(condition, names) for condition in settled)
        except (CannotKnow, TemplateError):
            return False  # the step fails when its turn comes

    return all(map(aside, plan.lanes[step.id]))


def result_of(plan: Plan, state: RunState, host: str, step: Step) -> Registered | None:
    """What a step registered on this host, or for all hosts; None when it did not run there.

    In a dry run each field of a withheld step is Unknown: it may be handed on, but not read.
    """
    lanes = plan.lanes[step.id]
    if host not in lanes and len(lanes) != 1:
        return None
    lane = state.lanes.get((host if host in lanes else lanes[0], step.id))
    if lane is None or lane.ended is None:
        return None
    if lane.ended.unknown:
        return dict.fromkeys(plan.spec(step).returns, Unknown(lane.ended.unknown))
    if lane.ended.outcome == Outcome.SKIPPED.value:
        return dict.fromkeys(plan.spec(step).returns)
    return lane.ended.registered


def lane_facts(
    plan: Plan, state: RunState, host: str, step: Step, names: Mapping[str, Any]
) -> Facts:
    """What the step's action may know besides its parameters."""

    def earlier(action: str) -> Registered:
        before = itertools.takewhile(lambda other: other.id != step.id, plan.runbook.steps())
        results = (result_of(plan, state, host, s) for s in before if s.action == action)
        return next((r for r in reversed(list(results)) if r is not None), {})

    place = plan.host(host)
    return Facts(
        host=host,
        address=(place.address or "") if place else "",
        step=step.address,
        reads=step.reads,
        controller=plan.controller,
        console=place is not None and place.has_console,
        power=place is not None and place.has_power,
        outlet=place.outlet if place is not None else "",
        silent=_silent(state, host),
        zone=plan.zone,
        offset=_offset(plan.zone, _first_day(state)),
        names=names,
        earlier=earlier,
        force=rendering.render(step.force, names, "text") if step.force else "",
    )


def _silent(state: RunState, host: str) -> bool:
    met = state.connected.get(host)
    return host in state.by_hand or (met is not None and met.over != "")


def _first_day(state: RunState) -> datetime | None:
    """The moment whose UTC offset is the log's: when its at-risk period begins, or its run."""
    return unstamp(state.window.begins) if state.window.begins else state.opened_at


def _offset(zone: str, opened: datetime | None) -> int | None:
    """Minutes east of UTC at the run's opening, which are its log's too."""
    if opened is None:
        return None
    east = opened.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()
    return round(east.total_seconds() / 60)
