"""Which names a template may use, and reading one while checking it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tastyops.errors import Place, Problem, shown
from tastyops.model.action import ActionSpec
from tastyops.model.public_text import PRIVATE
from tastyops.model.runbook import Marked
from tastyops.runbook.findings import Findings
from tastyops.runbook.yaml_tree import (
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    ambiguity,
    exact_value,
)
from tastyops.templates.rendering import Form, check, conditions_of, has_template

BUILTIN = ("host", "hosts")
OWN_RESULT = "result"
"""What a step without ``register`` calls its own result in its ``log`` and ``until``."""


@dataclass(frozen=True)
class Scope:
    """Names with the fields they are known to have, and those of the fields that are private.

    ``later`` has what is registered further down, with the place, to say so; ``secret`` the names
    that hold a secret, which no public text may use, ``numbers`` those of whole numbers,
    ``texts`` those of inputs that are text.
    """

    names: Mapping[str, frozenset[str] | None]
    private: Mapping[str, frozenset[str]] = field(default_factory=dict)
    later: Mapping[str, Place] = field(default_factory=dict)
    secret: frozenset[str] = frozenset()
    numbers: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()

    def plus(self, name: str, spec: ActionSpec | None) -> Scope:
        """The scope once a step has registered ``name``; registered twice, it has both's fields."""
        fields = frozenset(spec.returns) if spec else None
        before = self.names.get(name, frozenset())
        both = None if fields is None or before is None else fields | before
        hidden = frozenset(k for k, v in spec.returns.items() if v == PRIVATE) if spec else None
        private = (hidden or frozenset()) | self.private.get(name, frozenset())
        return replace(
            self,
            names={**self.names, name: both},
            private={**self.private, name: private},
            later={other: place for other, place in self.later.items() if other != name},
        )

    def with_names(self, names: Mapping[str, frozenset[str] | None]) -> Scope:
        """The scope with a few names more."""
        return replace(self, names={**self.names, **names})

    def publishing(self) -> Scope:
        """The scope of a step whose author publishes everything there is but secrets."""
        return replace(self, private={})


def marked_text(scalar: ScalarNode) -> Marked:
    """A scalar's text with its place."""
    return Marked(scalar.text, scalar.place, scalar.lines)


class Texts:
    """Reads templates from a tree; what is wrong with them goes to ``findings``."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings

    def template(self, node: Node, what: str, form: Form, scope: Scope) -> Marked | None:
        """A template, checked."""
        if self.findings.text(node, what) is None or not isinstance(node, ScalarNode):
            return None
        marked = marked_text(node)
        if form in ("public", "expression") and (why := ambiguity(node)):
            self.findings.add(node.place, f"{shown(node.text)} as {what} {why}")
            return marked
        for problem in check(marked, scope.names, form, scope.private, scope.secret, scope.numbers):
            self.findings.extend([self._or_later(problem, scope)])
        if form == "expression":
            self._condition(marked, what, scope)
        return marked

    def _condition(self, marked: Marked, what: str, scope: Scope) -> None:
        """A text is true unless it is empty, so ``no`` is true: it wants a comparison."""
        for name, offset in conditions_of(marked):
            if name in scope.texts:
                message = f"{what} is true for every text in {shown(name)}, even for 'no'"
                hint = f"give the input `type: boolean`, or compare it: {name} != ''"
                self.findings.add(marked.at(offset), message, hint)

    def _or_later(self, problem: Problem, scope: Scope) -> Problem:
        if not problem.message.endswith("is not defined here"):
            return problem
        word = problem.message.split("'")[1]
        if word not in scope.later:
            return problem
        hint = f"it is registered further down, at {scope.later[word]}"
        return Problem(problem.place, problem.message, hint)

    def tree(self, node: Node, what: str, scope: Scope) -> Any:
        """Any value: plain where it is plain, ``Marked`` wherever it has text."""
        match node:
            case MappingNode():
                return {k.text: self.tree(v, f"{what}.{k.text}", scope) for k, v in node.entries}
            case SequenceNode():
                return [self.tree(item, f"an item of {what}", scope) for item in node.items]
        value = exact_value(node)
        return self.template(node, what, "text", scope) if isinstance(value, str) else value

    def literal(self, node: Node, what: str) -> Any:
        """Any value without templates; a problem for each that stands there."""
        match node:
            case MappingNode():
                return {k.text: self.literal(v, f"{what}.{k.text}") for k, v in node.entries}
            case SequenceNode():
                return [self.literal(item, f"an item of {what}") for item in node.items]
        if has_template(node.text):
            self.findings.add(node.place, f"{what} cannot hold a template", "use `vars:`")
        return exact_value(node)
