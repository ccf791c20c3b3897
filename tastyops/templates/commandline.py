"""Finds values in a shell template that stand where quoting them would not protect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jinja2 import nodes

from tastyops.templates.grammar import Fault, Reading
from tastyops.templates.shellquotes import ShellState, advance


def quote_faults(text: str, reading: Reading) -> tuple[Fault, ...]:
    """The faults of a shell template that its grammar does not show."""
    if reading.tree is None:
        return ()
    finder = _Finder(text)
    finder.body(ShellState(), reading.tree.body)
    return tuple(finder.faults)


class _Finder:
    """Follows the shell's quotes through a template's branches."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.cursor = 0
        self.faults: list[Fault] = []

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
            return advance(state, part.data)
        at = self.text.find("{{", self.cursor)
        self.cursor = at + 2 if at >= 0 else self.cursor
        refusal = state.refusal()
        if refusal and not _is_raw(part):
            what, hint = refusal
            hint = f"{hint}; `| raw` puts it in unquoted"
            self.faults.append(Fault(max(0, at), f"{what} in a shell command", hint))
        return state.after_value()

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
