"""The lock on a host, as text: who holds it, and what a request for it was answered.

It is one small file, in a place all accounts of the machine share where there is one. Its first
line, ``RUN EPOCH NAME``, is what the host's shell compares before each change; the lines after it
are for the people who are refused.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args

State = Literal["taken", "held", "same", "fenced", "denied", "full"]


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a host, or wants it.

    ``name`` is what the run's inventory calls the host, ``boot_id`` the host's boot then.
    ``controller``, ``controller_boot``, ``pid`` and ``started`` (clock ticks after its boot) are
    the process that drives the run; ``since`` is in UTC, by that machine's clock.
    """

    run: str
    epoch: int
    name: str
    who: str = ""
    controller: str = ""
    controller_boot: str = ""
    pid: int = 0
    started: str = ""
    since: str = ""
    boot_id: str = ""

    @property
    def rest(self) -> str:
        """The lines after the first."""
        told = [(field.name, getattr(self, field.name)) for field in fields(self)[3:]]
        return "\n".join(f"{name} {_line(str(value))}" for name, value in told if value)

    def claim(self, *, take_over: bool = False) -> tuple[str, ...]:
        """The words of an ``l`` request; the run is the session's own."""
        return ("1" if take_over else "", str(self.epoch), self.name, self.rest)


@dataclass(frozen=True, slots=True)
class Lock:
    """How a request for a host's lock was answered.

    ``taken``: it is ours; ``holder`` is whose it was, when it was taken over. ``held``: it is
    another run's. ``same``: this run and epoch hold it under another name of the inventory, so
    both names are one machine. ``fenced``: a later epoch of this run holds it. ``denied``: it is
    there and cannot be replaced by this account. ``full``: it cannot be written.
    """

    state: State
    holder: Holder | None = None


def _line(text: str) -> str:
    return "".join(ch if ch.isprintable() else " " for ch in text)[:200]


def parse_holder(text: str) -> Holder | None:
    """A lock's text; None when it is not one. Anybody on that machine may have written it."""
    first, _, rest = text.partition("\n")
    words = first.split(" ")
    if len(words) != 3 or not all(words) or not _number(words[1]):
        return None
    told = dict(line.partition(" ")[::2] for line in rest.splitlines())
    texts = {f.name: _line(told.get(f.name, "")) for f in fields(Holder)[3:] if f.name != "pid"}
    pid = int(told["pid"]) if _number(told.get("pid", "")) else 0
    return Holder(_line(words[0]), int(words[1]), _line(words[2]), pid=pid, **texts)


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def parse_lock(text: str) -> Lock:
    """The answer to an ``l`` request. Raises ValueError for what is not one."""
    word, _, rest = text.partition("\n")
    for state in get_args(State):
        if state == word:
            return Lock(state, parse_holder(rest))
    raise ValueError(f"not an answer to a request for the lock: {word[:100]!r}")
