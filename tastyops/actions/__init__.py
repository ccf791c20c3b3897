"""What an action is made of: ``@action``, typed parameters, and checks every action uses.

An action is one file: a frozen dataclass of parameters and a generator function that yields
commands (``tastyops.model.commands``) and returns what it registers. It has no clock, no randomness
and no I/O of its own, so that it can be replayed from the journal and tested from a data file.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Generator, Mapping
from typing import Any, get_type_hints

from tastyops.errors import Failed
from tastyops.facts import apt
from tastyops.model.action import (
    ALREADY,
    ActionSpec,
    Facts,
    Param,
    Registered,
    done_or_already,
)
from tastyops.model.commands import Change, Command, Output, Probe, Report, Sleep, Steps, Unknown
from tastyops.model.duration import format_duration

_REQUIRED: Any = object()


def param(type: str, help: str, default: Any = _REQUIRED, choices: tuple[str, ...] = ()) -> Any:
    """A parameter's field in an action's dataclass; without ``default`` it is required."""
    meta = {"type": type, "help": help, "choices": choices}
    if default is _REQUIRED:
        return dataclasses.field(metadata=meta)
    return dataclasses.field(default=default, metadata=meta)


def _params(cls: type) -> Mapping[str, Param]:
    return {
        f.name: Param(
            name=f.name,
            type=f.metadata["type"],
            required=f.default is dataclasses.MISSING,
            default=None if f.default is dataclasses.MISSING else f.default,
            help=f.metadata["help"],
            choices=f.metadata["choices"],
        )
        for f in dataclasses.fields(cls)
    }


def action(
    name: str,
    *,
    scalar: str | None = None,
    returns: Mapping[str, str] | None = None,
    sentence: str = "",
    person: bool = False,
    previews: bool = True,
    hostless: bool = False,
    guarded: bool = False,
    followed_by: tuple[str, ...] = (),
    already: str = "",
    endings: Mapping[str, str] | None = None,
    ending: Callable[[Registered], str] = done_or_already,
) -> Callable[[Callable[[Any, Facts], Steps]], ActionSpec]:
    """Makes a generator function an action; its docstring's first line is the action's help.

    ``sentence`` claims what the action does, so it stands in the log only when the action did it.
    ``already`` is for when it found everything so; ``endings`` are for further ways to end well,
    which ``ending`` tells apart.
    """

    def register(perform: Callable[[Any, Facts], Steps]) -> ActionSpec:
        first = next(iter(inspect.signature(perform).parameters))
        cls = get_type_hints(perform)[first]
        return ActionSpec(
            name=name,
            help=(inspect.getdoc(perform) or "").partition("\n")[0],
            params=_params(cls),
            scalar=scalar,
            returns=dict(returns or {}),
            sentence=sentence,
            person=person,
            previews=previews,
            hostless=hostless,
            guarded=guarded,
            build=cls,
            perform=perform,
            followed_by=followed_by,
            endings={**({ALREADY: already} if already else {}), **(endings or {})},
            ending=ending,
        )

    return register


def require(output: Output | Unknown, why: str) -> None:
    """Ends the step as failed unless the command ended well.

    In a dry run a withheld change is taken to succeed, so that what follows it is shown too.
    """
    if isinstance(output, Unknown) or output.ok:
        return
    held = re.search(rb"held by process (\d+) \(([\w.-]+)\)", output.err.tail or output.err.head)
    if held:
        why += f": the package lock is held by process {held[1].decode()} ({held[2].decode()})"
    if output.stopped:
        why += ": it was stopped"
    if output.timed_out:
        why += ": the command ran into its timeout and was stopped"
    raise Failed(why, {"status": output.status})


def kept_conffiles(output: Output | Unknown) -> list[str]:
    """The conffiles dpkg kept as the administrator had them, as dpkg(1) reports each."""
    if isinstance(output, Unknown):
        return []
    asked = re.finditer(
        r"^Configuration file '([^']+)'$(.*?)(?=^Configuration|\Z)", output.excerpt, re.M | re.S
    )
    return [found[1] for found in asked if "Keeping old config file" in found[2]]


PACKAGE_ENVIRONMENT = ("env", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1")
"""Nothing may ask: neither debconf nor needrestart (needrestart(1)), through sudo too."""

APT_GET = (
    *PACKAGE_ENVIRONMENT,
    "apt-get",
    "--quiet",
    "--yes",
    "--option=DPkg::Lock::Timeout=300",
    "--option=Dpkg::Options::=--force-confdef",
    "--option=Dpkg::Options::=--force-confold",
)
"""apt-get that waits five minutes for the lock and keeps the administrator's conffiles."""

DPKG_CONFIGURE = (
    *PACKAGE_ENVIRONMENT,
    "dpkg",
    "--force-confdef",
    "--force-confold",
    "--configure",
    "--pending",
)
"""dpkg completes what was unpacked and not configured, and keeps the administrator's conffiles."""

APT_PATIENCE = 300.0
"""Seconds apt's and dpkg's locks are waited for."""

_APT_POLL = 5.0
_APT_TRIES = 5
"""Tries of a change whose lock another process takes first, or one that cannot be seen."""

_INSTALL_LOCKS = (apt.FRONTEND, apt.DPKG, apt.ARCHIVES)
_APT_LOCKS = {"update": (apt.LISTS,), "install": _INSTALL_LOCKS}
_NOT_LOCKED = re.compile(r"Could not get lock|Unable to (lock|acquire)|lock was locked by another")
"""How apt-get and dpkg say that a lock is another process's; nothing was changed then."""


def apt_get(*words: str) -> Generator[Command, Any, Output | Unknown]:
    """``apt-get``, once nobody else holds the locks it needs. Raises Failed that names who does."""
    locks = _APT_LOCKS["update" if "update" in words else "install"]
    return (yield from with_locks(Change((*APT_GET, *words), sudo=True), locks))


def with_locks(
    change: Change, locks: tuple[str, ...] = _INSTALL_LOCKS
) -> Generator[Command, Any, Output | Unknown]:
    """A change of apt's or dpkg's; another process may still be quicker, then it waits anew."""
    waited = yield from wait_for_locks(locks)
    for left in reversed(range(_APT_TRIES)):
        output: Output | Unknown = yield change
        if isinstance(output, Unknown) or output.ok or not left:
            break
        if not _NOT_LOCKED.search(output.error_text):
            break
        yield Sleep(_APT_POLL, "the package manager's lock")
        waited = yield from wait_for_locks(locks, waited + _APT_POLL)
    return output


def wait_for_locks(
    locks: tuple[str, ...], waited: float = 0.0, patience: float = APT_PATIENCE
) -> Generator[Command, Any, float]:
    """Waits until nobody holds them, and says who does; gives the seconds waited. Raises Failed."""
    told: set[str] = set()
    while True:
        found: tuple[apt.Holder, ...] | Unknown = yield Probe(*apt.LOCKS, sudo=True)
        if isinstance(found, Unknown):
            return waited
        held = apt.holders_of(found, locks)
        if not held:
            return waited
        who = "; ".join(map(str, held))
        if waited >= patience:
            raise Failed(f"after {format_duration(round(patience))} {who}; nothing was changed")
        if who not in told:
            yield Report(note=f"{who}: waiting, at most {format_duration(round(patience))}")
            told.add(who)
        yield Sleep(_APT_POLL, f"{held[0].program} to let go of the lock")
        waited += _APT_POLL
