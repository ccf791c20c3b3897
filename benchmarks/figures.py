"""What was measured, as plain data: a table is made of it, and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

TIMES = "\N{MULTIPLICATION SIGN}"

PROBE, CHANGE = "probe", "change"
FABRIC, CONTROL_MASTER = "fabric", "controlmaster"
COMMAND_PROBE, COMMAND_CHANGE = "command-probe", "command-change"

TITLES = {
    PROBE: "tastyops, probe",
    CHANGE: "tastyops, change",
    FABRIC: "Fabric",
    CONTROL_MASTER: "OpenSSH, ControlMaster",
    COMMAND_PROBE: "`tastyops run`, probes",
    COMMAND_CHANGE: "`tastyops run`, changes",
}
"""The contenders, in the order of the table."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """So many hosts, each doing so many steps."""

    hosts: int
    steps: int

    @property
    def title(self) -> str:
        """The hosts times the steps, in words."""
        return f"{self.hosts} host{'s' if self.hosts > 1 else ''} {TIMES} {self.steps} steps"


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure from every repeat, in the order of the repeats."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return median(self.values)

    def over(self, other: Spread) -> Spread:
        """This divided by the other, repeat by repeat: ratios of one run each."""
        return Spread(tuple(a / b for a, b in zip(self.values, other.values, strict=True)))


@dataclass(frozen=True, slots=True)
class Row:
    """One contender in one scenario with one login shell.

    ``wall`` and ``cpu``: ms per step on an open connection, ``peak``: MB; None for what is only
    measured whole. ``whole`` and ``whole_cpu``: seconds from the start of the process to its end.
    """

    shell: str
    scenario: Scenario
    contender: str
    wall: Spread | None
    cpu: Spread | None
    peak: Spread | None
    whole: Spread
    whole_cpu: Spread


@dataclass(frozen=True, slots=True)
class Startup:
    """``invoke --list`` in milliseconds: here, and where the collection is empty."""

    here: Spread
    empty: Spread


@dataclass(frozen=True, slots=True)
class JournalFigures:
    """Milliseconds an event: committed one at a time, and so many at a time; and the disk's own."""

    single: Spread
    batched: Spread
    batch: int
    disk: Spread


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything one call of the benchmarks found out."""

    machine: dict[str, str]
    repeats: int
    rows: Sequence[Row]
    startup: Startup
    journal: JournalFigures
    notes: Sequence[str] = ()

    def row(self, shell: str, scenario: Scenario, contender: str) -> Row | None:
        """The row of that name, if it was measured."""
        wanted = (shell, scenario, contender)
        return next((r for r in self.rows if (r.shell, r.scenario, r.contender) == wanted), None)

    def shells(self) -> list[str]:
        """The login shells, in the order they were measured."""
        return list(dict.fromkeys(row.shell for row in self.rows))

    def scenarios(self) -> list[Scenario]:
        """The scenarios, in the order they were measured."""
        return list(dict.fromkeys(row.scenario for row in self.rows))

    def to_json(self) -> dict[str, Any]:
        """All of it, every repeat's figure included."""
        return asdict(self)
