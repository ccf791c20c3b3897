"""What the core may say of a lane."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.journal.events import Address, Asked, Body
from tastyops.model.commands import Change, Command
from tastyops.model.runbook import Step


@dataclass(frozen=True, slots=True)
class Append:
    """Put this into the journal and ask again."""

    at: Address
    body: Body


@dataclass(frozen=True, slots=True)
class Perform:
    """Perform this command. ``digest`` identifies it on replay; ``fate`` names it on the host."""

    at: Address
    command: Command
    digest: str
    fate: str
    step: Step


@dataclass(frozen=True, slots=True)
class PickUp:
    """Find out what became of this change, which another process sent and did not see end."""

    at: Address
    command: Change
    digest: str
    fate: str
    boot_id: str
    record: str
    step: Step


@dataclass(frozen=True, slots=True)
class Parked:
    """The lane, or the step, waits for an answer to this question."""

    at: Address
    question: Asked


@dataclass(frozen=True, slots=True)
class Halt:
    """The command this lane has under way is to be ended."""

    at: Address


@dataclass(frozen=True, slots=True)
class AwaitWindow:
    """Nothing may begin before the at-risk period does."""

    at: Address


Move = Append | Perform | PickUp | Parked | Halt | AwaitWindow
