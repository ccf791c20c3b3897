"""``wall``: a message to every logged-in user."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param, require
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Steps


@dataclass(frozen=True, kw_only=True)
class Wall:
    """The parameters of ``wall``."""

    message: str = param("text", "The message, as users will read it on their terminals")


@action(
    "wall", scalar="message", sentence="Message written to the terminals of all logged-in users."
)
def wall(params: Wall, facts: Facts) -> Steps:
    """Write a message to the terminal of every logged-in user (wall(1))."""
    require((yield Change(("wall", "--", params.message))), "wall could not send the message")
    return {}
