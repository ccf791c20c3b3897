"""``console.log_out``: no root shell stays open on the console."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.domain.boot.single_user import log_out
from tastyops.errors import Failed
from tastyops.facts.console_screen import Screen, look
from tastyops.model.action import Facts
from tastyops.model.commands import Offline, Probe, Steps


@dataclass(frozen=True, kw_only=True)
class ConsoleLogOut:
    """The parameters of ``console.log_out``."""

    patience: float = param("duration", "How long the prompt may take to come back", 60.0)


@action(
    "console.log_out",
    returns={"state": "word"},
    sentence="Logged out on the console.",
    already="No shell is open on the console.",
)
def console_log_out(params: ConsoleLogOut, facts: Facts) -> Steps:
    """Close root's shell on the console; in single-user mode the machine stays in that mode.

    Where no shell is open there, nothing is typed.
    """
    if not facts.console:
        return {"state": "no-console", "changed": False}
    screen: Screen | Offline = yield Probe(*look(0), via="console", offline=True)
    if isinstance(screen, Offline):
        raise Failed("whether a shell is open on the console is not known: it cannot be reached")
    if screen.state != "shell":
        return {"state": screen.state, "changed": False}
    return {"state": (yield from log_out(params.patience))}
