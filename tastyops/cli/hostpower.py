"""A host's power switched on by the operator, from the failure menu."""

from __future__ import annotations

from tastyops.cli.hostshell import Hand
from tastyops.errors import Unreachable
from tastyops.model.inventory import Host
from tastyops.ports import OutOfBand
from tastyops.records.notes import new_note


def switch_on(host: Host, ways: OutOfBand, hand: Hand) -> str:
    """Switches it on, unless it is on; says what was done, or what was in the way.

    That it is begun is handed to the run's journal before, that it was done to the log.
    """
    answer = _Answer()
    try:
        switch = ways.power(host)
        switch.status(sink=answer)
        if answer.word == "on":
            return f"The power of {host.name} is on."
        hand(new_note(f"The power of {host.name} is to be switched on.", public=False))
        ended = switch.turn("on", sink=answer)
    except Unreachable as error:
        return " ".join(error.lines())
    if ended.state == "lost":
        return f"The power switch of {host.name} did not say whether it obeyed."
    if ended.status != 0:
        return f"The power switch of {host.name} did not obey (status {ended.status})."
    hand(new_note(f"Power of {host.name} switched on.", public=True))
    return f"The power of {host.name} was switched on."


class _Answer:
    """Keeps the switch's last word; what its tools say besides is nobody's."""

    def __init__(self) -> None:
        self.word = ""

    def out(self, data: bytes) -> None:
        """A line with the answer."""
        self.word = data.decode("utf-8", "replace").strip()

    def err(self, data: bytes) -> None:
        """Left out."""
