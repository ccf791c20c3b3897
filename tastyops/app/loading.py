"""Reads a runbook with its actions, and chooses its hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tastyops.app.inventory import read_bounded
from tastyops.app.registry import BUILT_IN, installed, registry
from tastyops.app.registry import plugins as plugin_finder
from tastyops.errors import InvalidFile, UsageError, shown
from tastyops.model.action import Registry
from tastyops.model.inventory import Host, Inventory
from tastyops.model.runbook import Runbook
from tastyops.runbook.validation import validate

Plugins = Literal["run", "none"]
"""How actions beside a runbook are treated: run, or ignored."""


@dataclass(frozen=True)
class Loaded:
    """A valid runbook, and the smallest registry that has all its actions."""

    runbook: Runbook
    registry: Registry


def load_runbook(path: Path, inventory: Inventory | None, plugins: Plugins = "run") -> Loaded:
    """A valid runbook and its actions. Raises UsageError, InvalidFile with every problem."""
    return parse_runbook(read_bounded(path, "a runbook"), path, inventory, plugins)


def parse_runbook(
    data: bytes, path: Path, inventory: Inventory | None, plugins: Plugins = "run"
) -> Loaded:
    """A runbook's bytes, validated for the hosts and the actions there are. Raises InvalidFile.

    Python beside the runbook is run only where the runbook names an action of it and nothing else
    is wrong with the file.
    """
    names = {**inventory.hosts, **inventory.groups} if inventory else None
    hosts = inventory.hosts.values() if inventory else ()
    variables = frozenset(name for host in hosts for name in host.vars)

    def read(actions: Registry, undefined: Iterable[str] = ()) -> Loaded:
        book = validate(data, str(path), actions, names, variables, frozenset(undefined))
        return Loaded(book, actions)

    try:
        return read(BUILT_IN)
    except InvalidFile:
        known, beside = installed(), plugin_finder().declared_beside(path.parent)
        if not beside and known.keys() == BUILT_IN.keys():
            raise  # there is no more to know
        if plugins == "none":
            return _without(beside, lambda: read(known))
        loaded = read(known, beside.keys() - known.keys())
        used = {step.action for step in loaded.runbook.every_step()}
        if used <= known.keys():
            return loaded
        return read(registry(path.parent))


def _without(beside: Mapping[str, Path], read: Callable[[], Loaded]) -> Loaded:
    """Reads without the actions beside the runbook; a problem with one of them names its file."""
    try:
        return read()
    except InvalidFile as error:
        problems = []
        for problem in error.problems:
            name = next((n for n in beside if problem.message.startswith(f"{shown(n)} is nei")), "")
            hint = f"{beside[name]} declares it, and --no-plugins leaves that aside" if name else ""
            problems.append(replace(problem, hint=hint or problem.hint))
        raise InvalidFile(problems) from None


def chosen_hosts(inventory: Inventory, runbook: Runbook, wanted: Sequence[str]) -> tuple[Host, ...]:
    """The runbook's hosts, or those of them that ``--host`` names. Raises UsageError."""
    if not runbook.hosts:
        return ()
    meant = inventory.select(runbook.hosts)
    if not wanted:
        return meant
    chosen = inventory.select(wanted)
    names = ", ".join(host.name for host in meant)
    for host in chosen:
        if host not in meant:
            raise UsageError(
                f"{host.name} is not among the runbook's hosts ({names}).",
                still_true="No host was touched.",
            )
    return chosen
