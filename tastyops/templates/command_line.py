"""Finds values in a shell template that stand where quoting them would not protect."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from jinja2 import nodes

from tastyops.templates.grammar import Fault, Reading
from tastyops.templates.reevaluation import Saying
from tastyops.templates.shell_quotes import ShellState, advance

_HARMLESS = ("int", "length")
"""Filters whose result is a whole number, which no shell can take for anything else."""


def quote_faults(text: str, reading: Reading) -> tuple[Fault, ...]:
    """The faults of a shell template that its grammar does not show: values inside quotes."""
    return tuple(_found(text, reading, frozenset()).faults)


def evaluation_faults(text: str, reading: Reading, numbers: frozenset[str]) -> tuple[Fault, ...]:
    """Values that the shell evaluates again; ``numbers`` are names that hold whole numbers."""
    return tuple(_found(text, reading, numbers).evaluated)


def _found(text: str, reading: Reading, numbers: frozenset[str]) -> _Finder:
    finder = _Finder(text, numbers)
    if reading.tree is not None:
        finder.end(finder.body(ShellState(), reading.tree.body))
    return finder


class _Finder:
    """Follows the shell's quotes through a template's branches."""

    def __init__(self, text: str, numbers: frozenset[str]) -> None:
        self.text = text
        self.numbers = numbers
        self.cursor = 0
        self.faults: list[Fault] = []
        self.evaluated: list[Fault] = []
        self.variables: dict[str, int] = {}
        """Where each of the shell's own variables is given a value."""
        self.last_value = 0

    def end(self, state: ShellState) -> None:
        """Finds what only the whole command shows: pipes to a shell, and variables worked out."""
        self._advanced(state, state.ended())
        for name, at in self.variables.items():
            if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", state.ended().arithmetic, re.ASCII):
                what = f"a value in the variable {name!r} that arithmetic works out"
                self._evaluated(at, (what, "`| int` makes sure that it is a number"))

    def _advanced(self, before: ShellState, after: ShellState) -> ShellState:
        for saying in after.late[len(before.late) :]:
            self._evaluated(self.last_value, saying)
        return after

    def _evaluated(self, at: int, saying: Saying) -> None:
        what, hint = saying
        self.evaluated.append(Fault(max(0, at), f"{what} in a shell command", hint))

    def body(self, state: ShellState, body: Sequence[nodes.Node]) -> ShellState:
        """The state after these nodes."""
        for node in body:
            match node:
                case nodes.Output():
                    for part in node.nodes:
                        state = self._part(state, part)
                case nodes.If():
                    state = self._branches(state, node)
        return state

    def _part(self, state: ShellState, part: nodes.Node) -> ShellState:
        if isinstance(part, nodes.TemplateData):
            at = self.text.find(part.data, self.cursor)
            self.cursor = at + len(part.data) if at >= 0 else self.cursor
            return self._advanced(state, advance(state, part.data))
        at = self.text.find("{{", self.cursor)
        self.cursor = at + 2 if at >= 0 else self.cursor
        refusal = state.refusal()
        if refusal and not _is_raw(part):
            what, hint = refusal
            hint = f"{hint}; `| raw` puts it in unquoted"
            self.faults.append(Fault(max(0, at), f"{what} in a shell command", hint))
        if not refusal and not _is_raw(part) and not self._is_number(part):
            self._value(state, max(0, at))
        return state.after_value()

    def _value(self, state: ShellState, at: int) -> None:
        self.last_value = at
        saying = state.evaluation()
        if saying:
            self._evaluated(at, saying)
        name = state.assigned()
        if name:
            self.variables.setdefault(name, at)

    def _is_number(self, node: nodes.Node) -> bool:
        if isinstance(node, nodes.Name):
            return node.name in self.numbers
        return isinstance(node, nodes.Filter) and node.name in _HARMLESS

    def _branches(self, state: ShellState, node: nodes.If) -> ShellState:
        ends = [self.body(state, node.body)]
        for branch in node.elif_:
            ends.append(self.body(state, branch.body))
        ends.append(self.body(state, node.else_))
        if not all(end.same_quotes(ends[0]) for end in ends):
            message = "the branches of this `if` leave the shell's quotes open differently"
            at = self.text.find("{%")
            self.faults.append(Fault(max(0, at), message, "close in a branch what it opens"))
        return replace(ends[0], word=all(end.word for end in ends))


def _is_raw(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Filter) and node.name == "raw"
