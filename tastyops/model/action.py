"""What an action is to the rest of the program: typed parameters in, commands out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

Registered = dict[str, Any]
"""What a step leaves behind for later ones: JSON values by field name."""


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of an action, as the runbook's author sees it.

    ``type`` is one of ``text shell expression integer number boolean duration list mapping``:
    ``shell`` is rendered with every interpolated value quoted, ``expression`` is evaluated while
    the step runs, ``duration`` becomes seconds as a float.
    """

    name: str
    type: str
    required: bool
    default: Any = None
    help: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What an action may know besides its parameters: the host, the step, earlier results.

    ``earlier(action)`` is what the last earlier step of that action registered on this host.
    """

    host: str
    address: str = ""
    step: str = ""
    reads: bool = False
    force: str = ""
    controller: str = ""
    """The boot id of the machine tastyops runs on."""
    console: bool = False
    """Whether the inventory gives the host a console."""
    power: bool = False
    """Whether the inventory gives the host a power switch."""
    outlet: str = ""
    """What people call that switch."""
    silent: bool = False
    """Whether its network did not answer before either, so that its silence proves nothing."""
    zone: str = "UTC"
    """The inventory's time zone, in which a runbook's clock times are meant."""
    offset: int | None = None
    """Minutes east of UTC in which the run's log tells the time; None where it has none yet."""
    names: Mapping[str, Any] = field(default_factory=dict)
    earlier: Callable[[str], Registered] = lambda action: {}


DONE, ALREADY = "done", "already"
"""Endings every action may have: it did what it is for, or found it so."""


def done_or_already(registered: Registered) -> str:
    """The ending of an action that has no other: whether it registered that it changed nothing."""
    return ALREADY if registered.get("changed") is False else DONE


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """An action in the registry.

    ``scalar`` names the parameter a bare value stands for (``wall: "text"``); ``returns`` maps
    each registered field to its kind (see ``model.text.FACT_KINDS``); ``sentence`` is the default
    entry in the log, a template over the registered fields; ``endings`` has the sentence of every
    other way to end well, by its word, and ``ending`` chooses the word from what was registered;
    ``person`` says that it needs one; ``guarded`` that it has guards which ``force:`` may overrule.
    ``followed_by`` names the actions one of which must be the next step, whatever happens.
    """

    name: str
    help: str
    params: Mapping[str, Param]
    scalar: str | None
    returns: Mapping[str, str]
    sentence: str
    person: bool
    previews: bool
    hostless: bool
    guarded: bool
    build: Callable[..., Any]
    perform: Callable[[Any, Facts], Generator[Any, Any, Registered | None]]
    followed_by: tuple[str, ...] = ()
    endings: Mapping[str, str] = field(default_factory=dict)
    ending: Callable[[Registered], str] = done_or_already


Registry = Mapping[str, ActionSpec]
