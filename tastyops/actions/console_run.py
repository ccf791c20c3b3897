"""``console.run``: a shell command, typed at the console."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.domain.boot.single_user import command
from tastyops.errors import Failed, Refused
from tastyops.facts.console_screen import Screen, look
from tastyops.model.action import Facts
from tastyops.model.commands import Probe, Steps


@dataclass(frozen=True, kw_only=True)
class ConsoleRun:
    """The parameters of ``console.run``."""

    command: str = param("shell", "The line to type at the shell on the console")
    patience: float = param("duration", "How long the command may take", 600.0)


@action(
    "console.run",
    scalar="command",
    guarded=True,
    returns={"rc": "count", "stdout": "private"},
)
def console_run(params: ConsoleRun, facts: Facts) -> Steps:
    """Type a command at the shell on the host's console, where there is no network to go over.

    It fails where the console shows no shell, and for a status other than 0.
    """
    if not facts.console:
        raise Refused("the host has no console (`console:` in the inventory)")
    if "\n" in params.command:
        raise Refused("the command has several lines; a console takes one line at a time")
    screen: Screen = yield Probe(*look(0), via="console")
    if screen.state not in ("shell", "initramfs") and not facts.force:
        raise Refused("the console shows no shell")
    status, said = yield from command(params.command, params.patience)
    registered = {"rc": status, "stdout": said}
    if status:
        raise Failed(f"the command ended with status {status}", registered)
    return registered
