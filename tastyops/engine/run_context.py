"""The context of a run: what the process that drives a run brings along for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tastyops.engine.host_hold import Claim
from tastyops.engine.out_of_band import NoOutOfBand
from tastyops.ports import Clock, Dialer, JournalSink, Listener, Operator, OutOfBand


class Release:
    """The request to let go of a run: leave the hosts at work and the run to be resumed.

    ``ask`` sets one attribute and takes no lock, so a signal handler may call it at any moment. The
    drive reads ``why`` between two turns, never between an event's number and its line.
    """

    def __init__(self) -> None:
        self.why = ""
        self.detach = False
        """Whether another process is to go on with the run at once."""

    def ask(self, why: str, *, detach: bool = False) -> None:
        """Asks to let go; the first reason given counts."""
        if not self.why:
            self.detach, self.why = detach, why


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """Everything besides its plan and state that a run needs: names, ports, people, permissions."""

    run: str
    """The run's id."""
    who: str
    """The login of the operator who started or resumed the run."""
    journal: JournalSink
    dialer: Dialer
    clock: Clock
    operators: Sequence[Operator] = ()
    """Asked in this order; the first answer counts."""
    listeners: Sequence[Listener] = ()
    epoch: int = 1
    """Grows with each resume, so that a host refuses an earlier process of the same run."""
    take_over: bool = False
    """Whether a host that another run holds is taken from that run."""
    approvers: Sequence[str] = ()
    """The logins that may approve a step; any login if empty."""
    waits: bool = True
    """Whether the run waits for an approval that nobody here may give, instead of ending."""
    out_of_band: OutOfBand = field(default_factory=NoOutOfBand)
    """Consoles and power switches."""
    release: Release = field(default_factory=Release)

    @property
    def claim(self) -> Claim:
        """In whose name the run's hosts are held."""
        return Claim(self.run, self.who, self.epoch, self.take_over)
