"""What was measured, as plain data: a table is made of it, and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

TIMES = "\N{MULTIPLICATION SIGN}"

PROBE, CHANGE = "probe", "change"
FABRIC, CONTROL_MASTER = "fabric", "controlmaster"
TASTYOPS, MASTER_SCRIPT, ASYNCSSH, PYINFRA = "tastyops", "master-script", "asyncssh", "pyinfra"
OVER_OPENSSH = "tastyops-openssh"

TITLES = {
    PROBE: "tastyops, probe",
    CHANGE: "tastyops, change",
    FABRIC: "Fabric",
    CONTROL_MASTER: "OpenSSH, ControlMaster",
}
"""The contenders step by step, in the order of the table."""

COMMAND_TITLES = {
    TASTYOPS: "`tastyops run`",
    OVER_OPENSSH: "`tastyops run`, `connection: openssh`",
    MASTER_SCRIPT: "OpenSSH, ControlMaster script",
    ASYNCSSH: "asyncssh script",
    FABRIC: "Fabric script",
    PYINFRA: "pyinfra",
}
"""The contenders as whole commands, in the order of the table."""


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

    ``wall`` and ``cpu``: ms per step on an open connection, ``peak``: MB.
    """

    shell: str
    scenario: Scenario
    contender: str
    wall: Spread
    cpu: Spread
    peak: Spread


@dataclass(frozen=True, slots=True)
class Command:
    """One whole command: seconds of wall time and of processor time, peak memory in MB."""

    wall: float
    cpu: float
    peak: float


@dataclass(frozen=True, slots=True)
class CommandRow:
    """One contender's whole commands in one scenario; units as in ``Command``."""

    scenario: Scenario
    contender: str
    wall: Spread
    cpu: Spread
    peak: Spread

    @classmethod
    def of(cls, scenario: Scenario, contender: str, runs: Sequence[Command]) -> CommandRow:
        """The figures of several runs."""
        wall, cpu, peak = zip(*((run.wall, run.cpu, run.peak) for run in runs), strict=True)
        return cls(scenario, contender, Spread(wall), Spread(cpu), Spread(peak))


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
    commands: Sequence[CommandRow]
    verbs: dict[str, Spread]
    """Processor seconds of short verbs; the first is the ``import paramiko`` beside them."""
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

    def command(self, scenario: Scenario, contender: str) -> CommandRow | None:
        """A contender's whole commands, if it was measured."""
        wanted = (scenario, contender)
        return next((r for r in self.commands if (r.scenario, r.contender) == wanted), None)

    def command_scenarios(self) -> list[Scenario]:
        """The scenarios of whole commands, in the order they were measured."""
        return list(dict.fromkeys(row.scenario for row in self.commands))

    def to_json(self) -> dict[str, Any]:
        """All of it, every repeat's figure included."""
        return asdict(self)
