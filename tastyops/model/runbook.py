"""A runbook after validation: every text still a template, every key checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tastyops.errors import Place
from tastyops.model.secret_source import SecretSource

ANOTHER_OPERATOR = "another operator"
"""Whose yes a ``confirm`` may want besides the operator's own."""

QUIET = 120.0
"""Seconds a command may be silent before that is said."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A template's source and where it stands in its file.

    ``lines`` says where pieces of the text came from, as (offset, line, column): folding and
    indentation make the text differ from the file.
    """

    text: str
    place: Place
    lines: tuple[tuple[int, int, int], ...] = field(default=(), compare=False, repr=False)

    def at(self, offset: int) -> Place:
        """Where in the file the character at ``offset`` stands."""
        before = [line for line in self.lines if line[0] <= offset]
        if before:
            start, line, column = before[-1]
            return Place(self.place.file, line, column + offset - start)
        head = self.text[:offset].split("\n")
        if len(head) == 1:
            return Place(self.place.file, self.place.line, self.place.column + offset)
        return Place(self.place.file, self.place.line + len(head) - 1, len(head[-1]) + 1)


@dataclass(frozen=True, slots=True)
class Input:
    """A value the runbook asks for: ``--var name=value``, its default, or the operator.

    ``secret`` has where a secret one comes from; it is never written down and has no default.
    """

    name: str
    type: str
    help: str
    default: Any
    has_default: bool
    choices: tuple[Any, ...]
    place: Place
    secret: SecretSource | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a work: an action, its parameters, and how to go about it. Times in seconds.

    ``params`` holds plain values, with ``Marked`` wherever the file has text.
    """

    address: str
    id: str
    action: str
    params: Mapping[str, Any]
    place: Place
    name: Marked | None = None
    log: Marked | None = None
    """The sentence for when the action did what it is for."""
    logs: Mapping[str, Marked | None] = field(default_factory=dict)
    """Those for other endings of the action, by their word; None for no entry."""
    log_silent: bool = False
    register: str | None = None
    when: Marked | None = None
    until: Marked | None = None
    retries: int = 3
    delay: float = 5.0
    timeout: float | None = None
    confirm: Marked | None = None
    approval: str = ""
    """Whose word its ``confirm`` wants, if not the operator's own: ``another operator``."""
    hosts: tuple[str, ...] | None = None
    force: Marked | None = None
    reads: bool = False
    publish: bool = False
    sudo: bool | None = None
    no_log: bool = False
    background: bool = False
    quiet: float = QUIET
    on_failure: tuple[Step, ...] = ()
    undo: tuple[Step, ...] = ()
    undo_automatic: bool = False
    recovery: bool = False
    """Whether it is for when things go wrong: part of an ``on_failure``, ``undo`` or ``rescue``."""


@dataclass(frozen=True, slots=True)
class Work:
    """One item of "Works to be carried out"."""

    number: int
    title: Marked
    steps: tuple[Step, ...]
    place: Place
    when: Marked | None = None
    on_failure: tuple[Step, ...] = ()

    def every_step(self) -> Iterator[Step]:
        """Its steps, and those for when they go wrong."""
        for step in self.steps:
            yield step
            yield from step.on_failure
            yield from step.undo
        yield from self.on_failure


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """The at-risk period as it is written: two times, or one of them and a length in seconds.

    An empty ``begins`` is when the run begins; either ``ends`` or ``length`` is given.
    """

    begins: str
    ends: str
    length: float | None
    place: Place


@dataclass(frozen=True, slots=True)
class Runbook:
    """A whole file. ``kind`` is ``at risk`` or ``incident``; ``source`` its very bytes."""

    path: str
    source: bytes
    title: Marked
    kind: str
    hosts: tuple[str, ...]
    summary: tuple[Marked, ...]
    inputs: Mapping[str, Input]
    vars: Mapping[str, Any]
    works: tuple[Work, ...]
    rescue: tuple[Step, ...] = ()
    window: WindowSpec | None = None

    def every_step(self) -> Iterator[Step]:
        """Every step there is, those for when things go wrong too."""
        for work in self.works:
            yield from work.every_step()
        yield from self.rescue

    def steps(self) -> Iterator[Step]:
        """Every step in order."""
        for work in self.works:
            yield from work.steps
