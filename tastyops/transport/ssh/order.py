"""Requests to the main shell: the request, its progress, and its result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tastyops.errors import LinkLost
from tastyops.ports import Ended, Tail
from tastyops.transport.ssh.channel import Collector, Exchange

State = Literal["ended", "timed out", "stopped", "lost", "claimed", "full", "fenced", "stuck"]

CUT = "cut"
"""What stands after a status where the host had no room for more output."""

_CHANGES = ("c", "C", "f")
_WORDS: tuple[State, ...] = ("lost", "claimed", "full", "fenced")


@dataclass(frozen=True, slots=True)
class Order:
    """``verb`` and ``words`` as ``tastyops.protocol`` has them. ``name`` is a change's; a probe has
    none. ``brief``: part of something larger, so neither stopped nor timed out by itself.
    """

    verb: str
    words: tuple[str, ...]
    name: str = ""
    sudo: bool = False
    brief: bool = False


@dataclass(slots=True)
class Watch:
    """An order under way. Times are seconds of the monotonic clock; ``limit`` is a time too.

    ``tail_name`` is what the host calls its files; ``tailing`` a tail that was asked for.
    """

    order: Order
    exchange: Exchange
    began: float
    limit: float
    tail: Tail | None
    tail_name: str
    tail_at: float = 0.0
    tailing: tuple[Exchange, Collector] | None = None

    @property
    def endable(self) -> bool:
        """Whether the command can still be ended. Its output arrives only after its end."""
        return self.exchange.bytes == 0 and not self.order.brief


def ended(status: str | None, seconds: float, state: State) -> Ended:
    """Statuses that are words have no number: -1 stands for it."""
    first, _, rest = (status or "").partition(" ")
    number = int(first) if first.isdigit() else -1
    for word in _WORDS:
        if state == "ended" and status == word:
            return Ended(number, seconds, word)
    return Ended(number, seconds, state, cut=rest == CUT)


def link_lost(where: str, why: str, order: Order | None) -> LinkLost:
    """The error, with what is still true of the interrupted request."""
    if order is None:
        still = "No command of ours was running there."
    elif order.verb in _CHANGES:
        still = (
            f"The change {order.name!r} was sent or was about to be; whether it runs, ended or "
            "never began is kept on the host."
        )
    elif order.verb == "u":
        still = f"The change {order.words[0]!r} was not sent; nothing was changed."
    else:
        still = "Only a reading command was sent; nothing was changed by it."
    return LinkLost(
        f"The link to {where} was lost: {why}.",
        still_true=still,
        next_step="Open a new link and ask the host what became of it.",
    )
