"""Reads what a use case starts from: the inventory, and a runbook with its actions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tastyops.app.registry import BUILT_IN, installed, registry
from tastyops.app.registry import plugins as plugin_finder
from tastyops.errors import InvalidFile, UsageError, did_you_mean, shown
from tastyops.lab import places
from tastyops.local.plain_files import NotPlainFileError, reading
from tastyops.model.action import Registry
from tastyops.model.inventory import Host, Inventory
from tastyops.model.runbook import Runbook
from tastyops.runbook.inventory_file import read_inventory
from tastyops.runbook.validation import validate
from tastyops.runbook.yaml_reader import MAX_BYTES

DEFAULT_INVENTORY = "inventory.yml"
RUNBOOK_FILES = "*.y*ml"

_SHELLS_PIPES = (Path("/dev/fd"), Path("/proc/self/fd"))
"""Where the pipes of a shell's ``<(…)`` are."""

Plugins = Literal["run", "named", "none"]
"""What becomes of the actions beside a runbook: run to know them, known by name, or left aside."""


@dataclass(frozen=True)
class Loaded:
    """A valid runbook, and the smallest registry that has all its actions."""

    runbook: Runbook
    registry: Registry


def known_inventories() -> Path:
    """Where inventories with a name lie, one ``NAME.yml`` each."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(base) / "tastyops" / "inventories"


def read_bounded(path: Path, what: str) -> bytes:
    """A file's bytes, never more than a YAML file may have. Raises UsageError."""
    try:
        if path.is_fifo() and path.parent in _SHELLS_PIPES:
            with path.open("rb") as file:
                return file.read(MAX_BYTES + 1)
        with reading(path) as file:
            return file.read(MAX_BYTES + 1)
    except NotPlainFileError as error:
        raise UsageError(
            f"{path} is not a plain file, so it is not {what}.", still_true="No host was touched.",
        ) from error
    except IsADirectoryError as error:
        raise UsageError(
            f"{path} is a directory, not {what}.", still_true="No host was touched.",
            next_step=f"`invoke check {path}` checks every runbook in it." if what == "a runbook"
            else "",
        ) from error
    except OSError as error:
        raise UsageError(
            f"{path}: {what} cannot be read: {error.strerror}.", still_true="No host was touched.",
            next_step="`invoke list` shows the runbooks there are." if what == "a runbook" else (
                "Give one with --inventory F."
            ),
        ) from error


def load_inventory(wanted: str | None) -> Inventory:
    """The inventory at a path, else the known one of that name. Raises UsageError, InvalidFile."""
    path = Path(wanted or DEFAULT_INVENTORY)
    if wanted and not path.exists() and "/" not in wanted:
        named = known_inventories() / f"{wanted}.yml"
        if wanted == places.NAME and places.inventory().exists():
            named = places.inventory()
        if not named.exists():
            known = sorted(file.stem for file in known_inventories().glob("*.yml"))
            raise UsageError(
                f"There is no inventory {wanted!r}: neither a file nor a known name.",
                still_true="No host was touched.",
                next_step=did_you_mean(wanted, known)
                or f"Known names: {', '.join(known) or 'none'}.",
            )
        path = named
    return read_inventory(read_bounded(path, "an inventory"), str(path))


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
        if plugins == "named" or used <= known.keys():
            return loaded
        return read(registry(path.parent))


def _without(beside: Mapping[str, Path], read: Callable[[], Loaded]) -> Loaded:
    """Reads without the actions beside the runbook; where one is missed, its file is named."""
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
    """``--host`` narrows what the runbook says; a host it does not name is refused."""
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


def read_some(path: str, count: int) -> bytes:
    """At most ``count`` bytes of a plain file. Raises OSError."""
    with reading(Path(path)) as file:
        return file.read(count)
