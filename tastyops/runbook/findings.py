"""Reading a tree into something typed: every problem noted in one place, none thrown away."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from tastyops.errors import Place, Problem, did_you_mean, shown
from tastyops.runbook.yaml_reader import MAX_PROBLEMS
from tastyops.runbook.yaml_tree import (
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    ambiguity,
    plain_value,
)

IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
_WORDS_OF_TEMPLATES = frozenset(
    ("and", "or", "not", "in", "is", "if", "else", "elif", "true", "false", "none", "True",
     "False", "None", "self", "loop", "super", "caller")
)  # fmt: skip


class TooManyError(Exception):
    """So many problems that no more are looked for."""


class Findings:
    """The problems found so far. ``add`` raises TooManyError when it has had enough."""

    def __init__(self, problems: Iterable[Problem] = ()) -> None:
        self.problems = list(problems)

    def add(self, place: Place, message: str, hint: str = "") -> None:
        """Notes a problem."""
        if len(self.problems) >= MAX_PROBLEMS:
            more = "there are more problems; correct these first"
            self.problems.append(Problem(place, more))
            raise TooManyError
        self.problems.append(Problem(place, message, hint))

    def extend(self, problems: Iterable[Problem]) -> None:
        """Notes several."""
        for problem in problems:
            self.add(problem.place, problem.message, problem.hint)

    def unknown(self, place: Place, what: str, word: str, known: Collection[str]) -> None:
        """Notes a word that is none of those known, with the nearest of them."""
        hint = did_you_mean(word, known) or _listed(known)
        self.add(place, f"{what} {shown(word)} is not known", hint)

    def expected(self, node: Node, what: str, wanted: str, hint: str = "") -> None:
        """Notes a value of the wrong type."""
        self.add(node.place, f"{what} must be {wanted}, not {kind_of(node)}", hint)

    def fields(
        self, node: Node, what: str, known: Collection[str], later: Collection[str] = ()
    ) -> dict[str, tuple[ScalarNode, Node]] | None:
        """A mapping's values by key; unknown keys and those ``later`` are noted and left out."""
        if not isinstance(node, MappingNode):
            self.expected(node, what, "a mapping (key: value)")
            return None
        found = {}
        for key, value in node.entries:
            if key.text in later:
                self.add(key.place, f"{shown(key.text)} is not available yet", "leave it out")
            elif key.text in known:
                found[key.text] = (key, value)
            else:
                hint = did_you_mean(key.text, {*known, *later}) or _listed(known)
                self.add(key.place, f"{shown(key.text)} is not a key of {what}", hint)
        return found

    def text(self, node: Node, what: str) -> str | None:
        """A scalar's text, as it stands in the file: ``6.10`` stays ``6.10``."""
        if not isinstance(node, ScalarNode) or is_null(node):
            self.expected(node, what, "text")
            return None
        return node.text

    def items(self, node: Node, what: str) -> tuple[Node, ...]:
        """A list's items; a single scalar counts as a list of one."""
        if isinstance(node, SequenceNode):
            return node.items
        if isinstance(node, ScalarNode) and not is_null(node):
            return (node,)
        self.expected(node, what, "a list")
        return ()

    def flag(self, node: Node, what: str) -> bool | None:
        """True or false."""
        value = plain_value(node) if isinstance(node, ScalarNode) else None
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("yes", "on", "no", "off"):
            return value.lower() in ("yes", "on")
        self.expected(node, what, "true or false")
        return None

    def untyped(self, node: Node, what: str) -> None:
        """Notes a value without a type that other readers of YAML take for something else."""
        match node:
            case MappingNode():
                for _, value in node.entries:
                    self.untyped(value, what)
            case SequenceNode():
                for item in node.items:
                    self.untyped(item, what)
            case ScalarNode():
                why = ambiguity(node)
                if why:
                    self.add(node.place, f"{shown(node.text)} as {what} {why}")

    def identifier(self, key: ScalarNode, what: str) -> bool:
        """Whether a key can be a name in a template; a problem where it cannot."""
        if key.text in _WORDS_OF_TEMPLATES:
            self.add(key.place, f"{what} {shown(key.text)} means something else in a template")
        elif not IDENTIFIER.fullmatch(key.text):
            hint = "letters, digits and _ only, beginning with a letter"
            self.add(key.place, f"{what} {shown(key.text)} cannot be a name in a template", hint)
        else:
            return True
        return False


def _listed(known: Collection[str]) -> str:
    return "known: " + ", ".join(sorted(known)) if 0 < len(known) <= 12 else ""


def is_null(node: Node) -> bool:
    """Whether a value is left empty or says null."""
    return isinstance(node, ScalarNode) and plain_value(node) is None


def kind_of(node: Node) -> str:
    """What a node is, for a message."""
    match node:
        case MappingNode():
            return "a mapping"
        case SequenceNode():
            return "a list" if node.items else "an empty list"
    value = plain_value(node)
    match value:
        case None:
            return "empty"
        case str():
            return shown(value) if value else "an empty text"
        case bool():
            return "true" if value else "false"
    return f"the number {node.text[:40]}"
