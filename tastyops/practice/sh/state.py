"""The state of one modelled shell."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field, replace

from tastyops.practice.calls import Input, Write
from tastyops.practice.processes import Process


class Exit(Exception):
    """The shell, or the subshell, ends with a status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass
class Streams:
    """Where a command's standard streams go."""

    stdin: Input
    out: Write
    err: Write


@dataclass
class Shell:
    """One shell's state; a subshell works on a copy of it."""

    process: Process
    streams: Streams
    variables: dict[str, str]
    directory: str
    name: str
    positional: list[str]
    exported: set[str]
    status: int = 0
    last: int | None = None
    """The process it put in the background last."""
    errexit: bool = False
    nounset: bool = False
    background: dict[int, int | None] = field(default_factory=dict)
    """Processes it has put in the background: their status once they have ended."""

    def copy(self, streams: Streams) -> Shell:
        """A subshell: what it changes is lost with it."""
        return replace(
            self,
            streams=streams,
            variables=dict(self.variables),
            exported=set(self.exported),
            positional=list(self.positional),
            background={},
        )

    def environment(self) -> dict[str, str]:
        """What its programs get."""
        return {n: self.variables[n] for n in sorted(self.exported) if n in self.variables}

    def path(self, word: str) -> str:
        """The absolute path a word stands for."""
        return posixpath.normpath(posixpath.join(self.directory, word)).replace("//", "/", 1)
