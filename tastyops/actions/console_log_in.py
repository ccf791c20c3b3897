"""``console.log_in``: root's shell on the console, where single-user mode asks for a password."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action
from tastyops.domain.boot.single_user import MODES, log_in
from tastyops.errors import Refused
from tastyops.facts.console_screen import Screen, look
from tastyops.model.action import Facts
from tastyops.model.commands import Probe, Steps


@dataclass(frozen=True, kw_only=True)
class ConsoleLogIn:
    """The parameters of ``console.log_in``: none, the inventory has them."""


@action(
    "console.log_in",
    guarded=True,
    returns={"mode": "word"},
    sentence="Logged in on the console, in {{ mode }} mode.",
    already="Root's shell is open on the console.",
)
def console_log_in(params: ConsoleLogIn, facts: Facts) -> Steps:
    """Log in as root where single-user or emergency mode asks for it on the console.

    The steps that follow go over that shell if SSH cannot be had.
    """
    if not facts.console:
        raise Refused("the host has no console (`console:` in the inventory)")
    screen: Screen = yield Probe(*look(0), via="console")
    if screen.state == "shell":
        return {"mode": "shell", "changed": False}
    if screen.state not in MODES:
        raise Refused("the console does not ask for root's password for maintenance")
    yield from log_in(screen)
    return {"mode": MODES[screen.state]}
