"""``console.look``: what the host's console shows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tastyops.actions import action, param, require
from tastyops.errors import ConsoleHeld, Failed, Refused, shown
from tastyops.facts.console_screen import WAITING, Screen, look
from tastyops.model.action import DONE, Facts, Registered
from tastyops.model.commands import Ask, Change, Offline, Probe, Steps

HUSH = 20.0
"""Seconds without a byte after which a console is silent: what asks has asked before it was
attached. A boot says something more often.
"""


@dataclass(frozen=True, kw_only=True)
class ConsoleLook:
    """The parameters of ``console.look``."""

    wait: float = param("duration", "How long to wait for a prompt or a panic", 0.0)
    until: list[str] = param("list", "Regular expressions to wait for instead", ())
    take: bool = param(
        "boolean", "Ask whether to take over a console that somebody else uses", False
    )
    enter: bool = param("boolean", "Press Enter once if the console is silent for 20 s", False)
    expect: list[str] = param(
        "list", "Fail the step unless the console shows one of these states", ()
    )


_UNSEEN = ("no-console", "console-held", "console-unreachable")


def _ending(registered: Registered) -> str:
    """Whether there was a console to look at."""
    return "unseen" if registered.get("state") in _UNSEEN else DONE


@action(
    "console.look",
    returns={"state": "word", "line": "private", "chosen": "private", "heard": "count"},
    sentence="The console shows: {{ state }}.",
    endings={"unseen": "The console cannot be looked at: {{ state }}."},
    ending=_ending,
)
def console_look(params: ConsoleLook, facts: Facts) -> Steps:
    """Look at the host's console without the host: a boot menu, a panic, a prompt, a login.

    A console that cannot be had is an answer too: ``console-unreachable``, ``console-held``,
    ``no-console``.
    """
    until = tuple(params.until) or WAITING
    for pattern in until:
        try:
            re.compile(pattern)
        except re.error as error:
            raise Refused(f"{shown(pattern)} is not a regular expression: {error}") from error
    first = min(params.wait, HUSH) if params.enter else params.wait
    reading = look(first, *until) if params.wait else look(0)
    screen: Screen | Offline = yield Probe(*reading, via="console", offline=True)
    if isinstance(screen, Offline) and screen.why == ConsoleHeld.id and params.take:
        yield Ask("confirm", f"Somebody else has {facts.host}'s console. End their session?")
        require((yield Change(("take",), via="console")), "their session could not be ended")
        screen = yield Probe(*reading, via="console", offline=True)
    silent = isinstance(screen, Screen) and screen.state == "silent"
    if isinstance(screen, Screen) and params.enter and not _asks(screen, until):
        if silent:
            require((yield Change(("type",), b"\r", via="console")), "Enter could not be typed")
        if silent or params.wait:
            screen = yield Probe(*look(max(params.wait, 5.0), *until), via="console", offline=True)
    found = _registered(screen)
    if params.expect and found["state"] not in params.expect:
        wanted = ", ".join(params.expect)
        raise Failed(f"the state of the console is {found['state']}, not one of {wanted}", found)
    return found


def _registered(screen: Screen | Offline) -> dict[str, Any]:
    if isinstance(screen, Offline):
        return {"state": screen.why, "line": "", "chosen": "", "heard": 0}
    return {
        "state": screen.state, "line": screen.line, "chosen": screen.chosen, "heard": screen.heard,
    }  # fmt: skip


def _asks(screen: Screen, until: tuple[str, ...]) -> bool:
    """Whether what is waited for is there."""
    return any(re.search(pattern, screen.text) for pattern in until)
