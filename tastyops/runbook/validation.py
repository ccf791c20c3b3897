"""A runbook's bytes to a Runbook, or to every problem it has, all at once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from tastyops.errors import InvalidFile, Place, shown
from tastyops.model.action import Registry
from tastyops.model.runbook import Input, Marked, Runbook, Step, Work
from tastyops.runbook.findings import Findings, TooManyError, is_null
from tastyops.runbook.inputs import read_inputs
from tastyops.runbook.name_scope import BUILTIN, Scope, Texts
from tastyops.runbook.period import read_window
from tastyops.runbook.required_next_step import need_next_steps
from tastyops.runbook.steps import StepReader, read_hosts
from tastyops.runbook.yaml_reader import scan
from tastyops.runbook.yaml_tree import Mapping as Tree
from tastyops.runbook.yaml_tree import Node, Scalar, Sequence
from tastyops.templates.rendering import names_used

KEYS = ("title", "kind", "hosts", "summary", "inputs", "vars", "works", "rescue", "window")
LATER_KEYS = (
    "impact", "services", "audience", "serial", "max_failures",
)  # fmt: skip
WORK_KEYS = ("work", "steps", "when", "on_failure")
KINDS = ("at risk", "incident")

Fields = dict[str, tuple[Scalar, Node]]


def validate(
    source: bytes,
    path: str,
    registry: Registry,
    host_names: Collection[str] | None = None,
    host_vars: frozenset[str] = frozenset(),
    undefined: frozenset[str] = frozenset(),
) -> Runbook:
    """The runbook in a file. Raises InvalidFile with every problem found.

    ``host_names`` are the hosts and groups there are, None when no inventory is at hand;
    ``host_vars`` the names of variables that the inventory gives to hosts; ``undefined`` the
    actions that are known by name only, so that nothing is said of their parameters and results.
    """
    tree, problems = scan(source, path)
    findings = Findings(problems)
    runbook = None
    if tree is not None:
        reader = _Reader(
            findings, path, source, registry, host_names, host_vars, undefined
        )
        try:
            runbook = reader.runbook(tree)
        except TooManyError:
            runbook = None
    if findings.problems or runbook is None:
        raise InvalidFile(findings.problems)
    return runbook


@dataclass
class _Reader:
    findings: Findings
    path: str
    source: bytes
    registry: Registry
    host_names: Collection[str] | None
    host_vars: frozenset[str]
    undefined: frozenset[str]

    def runbook(self, tree: Node) -> Runbook | None:
        fields = self.findings.fields(tree, "a runbook", KEYS, LATER_KEYS)
        if fields is None:
            return None
        hosts = self._hosts(fields, tree)
        inputs = {}
        if "inputs" in fields:
            inputs = read_inputs(self.findings, fields["inputs"][1], self.host_vars)
        scope, variables = self._vars(fields, inputs)
        works, rescue = self._works(fields, tree, scope, hostless=hosts == ())
        return Runbook(
            path=self.path,
            source=self.source,
            title=self._title(fields, tree, scope),
            kind=self._kind(fields),
            hosts=hosts or (),
            summary=self._summary(fields, scope),
            inputs=inputs,
            vars=variables,
            works=works,
            rescue=rescue,
            window=read_window(self.findings, fields["window"][1]) if "window" in fields else None,
        )

    def _title(self, fields: Fields, tree: Node, scope: Scope) -> Marked:
        if "title" not in fields:
            self.findings.add(tree.place, "the runbook has no title", "begin with 'title: …'")
            return Marked("", tree.place)
        return self._sentence(fields["title"][1], "'title'", scope) or Marked("", tree.place)

    def _sentence(self, node: Node, what: str, scope: Scope) -> Marked | None:
        if isinstance(node, Scalar) and not node.text.strip():
            self.findings.add(node.place, f"{what} is empty")
            return None
        return Texts(self.findings).template(node, what, "public", scope)

    def _kind(self, fields: Fields) -> str:
        if "kind" not in fields:
            return KINDS[0]
        text = self.findings.text(fields["kind"][1], "'kind'")
        if text is not None and text not in KINDS:
            self.findings.unknown(fields["kind"][1].place, "the kind", text, KINDS)
        return text or KINDS[0]

    def _hosts(self, fields: Fields, tree: Node) -> tuple[str, ...] | None:
        """None when they cannot be told."""
        if "hosts" not in fields:
            hint = "a host, a group, a list of them, or none"
            self.findings.add(tree.place, "the runbook does not say its hosts", hint)
            return None
        node = fields["hosts"][1]
        names = read_hosts(self.findings, node, self.host_names)
        if not names and not (isinstance(node, Scalar) and node.text == "none"):
            if isinstance(node, Sequence):
                hint = "a host, a group, a list of them, or none"
                self.findings.add(node.place, "'hosts' names no host", hint)
            return None
        return names

    def _summary(self, fields: Fields, scope: Scope) -> tuple[Marked, ...]:
        if "summary" not in fields or is_null(fields["summary"][1]):
            return ()
        items = self.findings.items(fields["summary"][1], "'summary'")
        lines = [self._sentence(item, "a line of 'summary'", scope) for item in items]
        return tuple(line for line in lines if line)

    def _vars(self, fields: Fields, inputs: dict[str, Input]) -> tuple[Scope, dict[str, Any]]:
        """The scope before any step, and the variables; each may use those above it."""
        names = (*BUILTIN, *self.host_vars, *inputs)
        hidden = frozenset(name for name, wanted in inputs.items() if wanted.secret)
        whole = frozenset(name for name, wanted in inputs.items() if wanted.type == "integer")
        texts = frozenset(name for name, wanted in inputs.items() if wanted.type == "text")
        scope = Scope(dict.fromkeys(names), secret=hidden, numbers=whole, texts=texts)
        if "vars" not in fields or is_null(fields["vars"][1]):
            return scope, {}
        node = fields["vars"][1]
        if not isinstance(node, Tree):
            self.findings.expected(node, "'vars'", "a mapping (name: value)")
            return scope, {}
        values: dict[str, Any] = {}
        for key, value in node.entries:
            if not self.findings.identifier(key, "the variable"):
                continue
            if key.text in BUILTIN or key.text in inputs:
                self.findings.add(key.place, f"the name {shown(key.text)} is taken")
                continue
            self.findings.untyped(value, f"the variable {shown(key.text)}")
            values[key.text] = Texts(self.findings).tree(value, shown(key.text), scope)
            scope = scope.with_names({key.text: None})
            if scope.secret & names_used(values[key.text]):
                scope = replace(scope, secret=scope.secret | {key.text})
        return scope, values

    def _works(
        self, fields: Fields, tree: Node, scope: Scope, *, hostless: bool
    ) -> tuple[tuple[Work, ...], tuple[Step, ...]]:
        """The works, and the steps that rescue a run which stops on its way."""
        if "works" not in fields:
            self.findings.add(tree.place, "the runbook has no works", "add 'works:' with its steps")
            return (), ()
        node = fields["works"][1]
        if not isinstance(node, Sequence) or not node.items:
            self.findings.expected(node, "'works'", "a list of at least one work")
            return (), ()
        taken = {*scope.names}
        before = replace(scope, later=_registered(node))
        reader = StepReader(
            self.findings, self.registry, before,
            host_names=self.host_names, taken=taken, hostless=hostless, undefined=self.undefined,
        )  # fmt: skip
        works = [self._work(item, n, reader) for n, item in enumerate(node.items, 1)]
        need_next_steps(self.findings, [work for work in works if work], self.registry)
        rescue: tuple[Step, ...] = ()
        if "rescue" in fields:
            rescue = reader.recovery(fields["rescue"][1], "rescue", "rescue")
        return tuple(work for work in works if work), rescue

    def _work(self, node: Node, number: int, reader: StepReader) -> Work | None:
        fields = self.findings.fields(node, f"work {number}", WORK_KEYS)
        if fields is None:
            return None
        title = None
        if "work" in fields:
            title = self._sentence(fields["work"][1], "'work'", reader.before)
        else:
            self.findings.add(node.place, f"work {number} has no title", "begin it with 'work: …'")
        when = None
        if "when" in fields:
            text = fields["when"][1]
            when = reader.texts.template(text, "'when'", "expression", reader.scope)
        steps = []
        if "steps" not in fields:
            self.findings.add(node.place, f"work {number} has no steps")
        else:
            steps = self._steps(fields["steps"][1], number)
        made = [reader.step(item, f"{number}.{n}") for n, item in enumerate(steps, 1)]
        found = tuple(step for step in made if step)
        on_failure: tuple[Step, ...] = ()
        if "on_failure" in fields:
            wrong = fields["on_failure"][1]
            on_failure = reader.recovery(wrong, "on_failure", f"{number}-failure")
        return Work(number, title or Marked("", node.place), found, node.place, when, on_failure)

    def _steps(self, node: Node, number: int) -> list[Node]:
        if isinstance(node, Sequence) and node.items:
            return list(node.items)
        self.findings.expected(node, f"'steps' of work {number}", "a list of at least one step")
        return []


def _registered(works: Sequence) -> dict[str, Place]:
    """Where each name is registered, as far as the tree can be read."""
    found: dict[str, Place] = {}
    for work in works.items:
        for step in _items(work, "steps"):
            for key, value in step.entries if isinstance(step, Tree) else ():
                if key.text == "register" and isinstance(value, Scalar):
                    found.setdefault(value.text, value.place)
    return found


def _items(node: Node, name: str) -> tuple[Node, ...]:
    entries = node.entries if isinstance(node, Tree) else ()
    lists = [value for key, value in entries if key.text == name]
    return lists[0].items if lists and isinstance(lists[0], Sequence) else ()
