"""What a template may contain, found by reading it and before it ever runs.

Jinja's sandbox bounds neither time nor memory, so the bound is in the grammar: no loops, no calls,
no definitions. What is left takes time linear in its size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from jinja2 import TemplateSyntaxError, nodes

from tastyops.errors import did_you_mean, shown
from tastyops.templates.filters import FILTERS, TESTS
from tastyops.templates.sandbox import TEXT

LONGEST_SOURCE = 16 * 1024
_DEEPEST = 50
_WIDEST_LITERAL = 50

_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.Name, nodes.Const,
    nodes.Getattr, nodes.Getitem, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand,
    nodes.And, nodes.Or, nodes.Not, nodes.CondExpr, nodes.Concat, nodes.Add, nodes.Sub, nodes.Mul,
    nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos, nodes.List, nodes.Tuple,
    nodes.Dict, nodes.Pair, nodes.Keyword,
)  # fmt: skip

_REFUSALS: dict[type[nodes.Node], tuple[str, str, str]] = {
    nodes.For: ("for", "loops are not available in a template", "use `| join`"),
    nodes.Call: ("(", "nothing can be called in a template", "use a filter, as in `x | upper`"),
    nodes.Assign: ("set", "nothing can be set in a template", "use `vars:`"),
    nodes.AssignBlock: ("set", "nothing can be set in a template", "use `vars:`"),
    nodes.Macro: ("macro", "macros are not available in a template", "use `vars:`"),
    nodes.CallBlock: ("call", "nothing can be called in a template", ""),
    nodes.FilterBlock: ("filter", "filter blocks are not available", "use `x | upper`"),
    nodes.With: ("with", "nothing can be set in a template", "use `vars:`"),
    nodes.Include: ("include", "a template cannot take in another", ""),
    nodes.Import: ("import", "a template cannot take in another", ""),
    nodes.FromImport: ("from", "a template cannot take in another", ""),
    nodes.Extends: ("extends", "a template cannot take in another", ""),
    nodes.Block: ("block", "blocks are not available in a template", ""),
    nodes.Pow: ("**", "powers are not available in a template", ""),
    nodes.Slice: (":", "slices are not available in a template", "use `| first` or `| last`"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a template, at an offset in its text."""

    offset: int
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a template's text."""

    offset: int
    line: int
    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Use:
    """A name that a template uses, with the field of it, or None for the whole value.

    ``printed`` says that the whole value goes straight into the text.
    """

    name: str
    field: str | None
    offset: int
    printed: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """A template as understood. With faults it must not be run; ``tree`` is None for the worst.

    ``expression`` is there where the whole template is one.
    """

    tree: nodes.Template | None
    expression: nodes.Expr | None
    faults: tuple[Fault, ...]
    uses: tuple[Use, ...] = ()
    first: int = 0


@lru_cache(maxsize=2048)
def read(text: str) -> Reading:
    """Reads a template: ``Kernel {{ version }}``."""
    return _read(text, 0)


@lru_cache(maxsize=2048)
def read_expression(text: str) -> Reading:
    """Reads an expression, with or without its braces: ``percent > 50``."""
    bare = text.strip()
    if not bare:
        return Reading(None, None, (Fault(0, "the expression is empty"),))
    braced = bare.startswith("{{") and bare.endswith("}}")
    start = text.index(bare[0])
    reading = _read(bare if braced else f"{{{{ {bare} }}}}", start if braced else start - 3)
    mixed = not braced and "{{" in bare and reading.faults
    if mixed or (reading.tree is not None and reading.expression is None and not reading.faults):
        hint = "write it without braces, as in `when: percent > 50`"
        return Reading(None, None, (Fault(start, "this is not one expression", hint),))
    return reading


def _read(text: str, shift: int) -> Reading:
    if len(text) > LONGEST_SOURCE:
        message = f"a template cannot be longer than {LONGEST_SOURCE // 1024} KiB"
        return Reading(None, None, (Fault(0, message),))
    try:
        tokens = list(_tokens(text, shift))
        tree = TEXT.parse(text)
    except TemplateSyntaxError as error:
        where = _line_start(text, error.lineno) + shift
        fault = Fault(max(0, where), _sentence(error.message or "it cannot be read"))
        return Reading(None, None, (fault,))
    except (RecursionError, MemoryError):
        return Reading(None, None, (Fault(0, "this template is nested too deeply"),))
    except ValueError:
        return Reading(None, None, (Fault(0, "a number in this template is too large"),))
    faults = tuple(_Reader(tokens).faults(tree))
    code = [token for token in tokens if token.kind == "variable_begin"]
    first = code[0].offset if code else 0
    uses = () if faults else tuple(_uses(tree, tokens))
    return Reading(tree, _only_expression(tree), faults, uses, max(0, first))


def _sentence(said: str) -> str:
    said = said.rstrip(".")
    if "end of template" in said or "unexpected end" in said.lower():
        return "a '{{' or '{%' is not closed"
    if "print statement" in said or "got 'end of" in said:
        return "an expression is cut short or empty"
    return f"this template cannot be read: {said[:1].lower()}{said[1:200]}"


def _line_start(text: str, line: int) -> int:
    """The offset of the first braces on a line of the text, or of the line."""
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1 or start
    end = text.find("\n", start)
    braces = [text.find(mark, start, end if end >= 0 else None) for mark in ("{{", "{%")]
    return min((at for at in braces if at >= 0), default=start)


def _tokens(text: str, shift: int) -> Iterator[Token]:
    """The text's pieces with their offsets, which Jinja does not tell."""
    cursor = 0
    for line, kind, value in TEXT.lex(text):
        at = text.find(value, cursor)
        if at >= 0:
            cursor = at + len(value)
            if kind != "whitespace":
                yield Token(at + shift, line, kind, value)


def _only_expression(tree: nodes.Template) -> nodes.Expr | None:
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return None
    parts = [node for node in tree.body[0].nodes if not _is_blank(node)]
    if len(parts) == 1 and not isinstance(parts[0], nodes.TemplateData):
        return parts[0]
    return None


def _is_blank(node: nodes.Node) -> bool:
    return isinstance(node, nodes.TemplateData) and not node.data.strip()


class _Reader:
    """Walks a tree in a loop and finds what is not allowed in it."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens

    def faults(self, tree: nodes.Template) -> Iterator[Fault]:
        waiting: list[tuple[nodes.Node, int]] = [(tree, 0)]
        while waiting:
            node, depth = waiting.pop()
            fault = self._fault(node)
            if depth > _DEEPEST:
                fault = self._at(node, "", "this is nested too deeply", "use `vars:` to split it")
            if fault:
                yield fault
            else:
                waiting.extend((child, depth + 1) for child in node.iter_child_nodes())
            if depth > _DEEPEST:
                return

    def _at(self, node: nodes.Node, word: str, message: str, hint: str) -> Fault:
        """A fault at the node's word, or where its line begins."""
        here = [each for each in self.tokens if each.line == node.lineno and each.kind != "data"]
        exact = [each for each in here if each.value.strip("'\"") == word]
        found = (exact or here or self.tokens)[:1]
        return Fault(max(0, found[0].offset) if found else 0, message, hint)

    def _fault(self, node: nodes.Node) -> Fault | None:
        match node:
            case nodes.Filter() | nodes.Test():
                return self._filter_fault(node)
            case (
                nodes.Getattr(attr=str(word))
                | nodes.Name(name=str(word))
                | nodes.Getitem(arg=nodes.Const(value=str(word)))
            ):
                return self._word_fault(node, word)
            case nodes.Const(value=float(number)) if not math.isfinite(number):
                return self._at(node, "", "a number in this template is too large", "")
            case nodes.List() | nodes.Tuple() | nodes.Dict() if len(node.items) > _WIDEST_LITERAL:
                return self._at(node, "", "this list is too long for a template", "use `vars:`")
        if isinstance(node, _ALLOWED):
            return None
        kind = type(node).__name__.lower()
        unnamed = ("", f"{kind} is not available in a template", "")
        return self._at(node, *_REFUSALS.get(type(node), unnamed))

    def _filter_fault(self, node: nodes.Filter | nodes.Test) -> Fault | None:
        is_filter = isinstance(node, nodes.Filter)
        known = FILTERS if is_filter else TESTS
        word = node.name
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            return self._at(node, "*", "a filter's arguments must be written out", "")
        if word not in known:
            what = "filter" if is_filter else "test"
            hint = did_you_mean(word, known) or "there are: " + ", ".join(known)
            return self._at(node, word, f"there is no {what} {shown(word)}", hint)
        return None

    def _word_fault(self, node: nodes.Node, word: str) -> Fault | None:
        if word.startswith("_"):
            message = f"{shown(word)} is refused: a name cannot begin with '_'"
            return self._at(node, word, message, "")
        if isinstance(node, nodes.Name) and word in ("self", "loop", "super", "caller"):
            return self._at(node, word, f"{shown(word)} is not available in a template", "")
        return None


def _uses(tree: nodes.Template, tokens: list[Token]) -> Iterator[Use]:
    """Every name and every field of one, each once, where it first stands."""
    seen = set()
    for node in (tree, *_all(tree)):
        name, field = _named(node)
        if name is not None and (name, field) not in seen:
            seen.add((name, field))
            yield Use(name, field, _offset(tokens, name, field))
        if isinstance(node, nodes.Output):
            for part in node.nodes:
                if isinstance(part, nodes.Name):
                    yield Use(part.name, None, _offset(tokens, part.name, None), printed=True)


def _all(tree: nodes.Node) -> Iterator[nodes.Node]:
    waiting = list(tree.iter_child_nodes())
    while waiting:
        node = waiting.pop(0)
        yield node
        waiting[:0] = node.iter_child_nodes()


def _named(node: nodes.Node) -> tuple[str | None, str | None]:
    match node:
        case nodes.Name(name=str(name)):
            return name, None
        case nodes.Getattr(node=nodes.Name(name=str(name)), attr=str(field)):
            return name, field
        case nodes.Getitem(node=nodes.Name(name=str(name)), arg=nodes.Const(value=str(field))):
            return name, field
    return None, None


def _offset(tokens: list[Token], name: str, field: str | None) -> int:
    """Where a name, or that field of it, first stands."""
    for index, token in enumerate(tokens):
        before = tokens[index - 1].value if index else ""
        if token.kind != "name" or token.value != name or before in (".", "|", "is"):
            continue
        if field is None:
            return max(0, token.offset)
        after = [each.value.strip("'\"") for each in tokens[index + 1 : index + 3]]
        if after in ([".", field], ["[", field]):
            return max(0, tokens[index + 2].offset)
    return 0
