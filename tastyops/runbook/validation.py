"""A runbook's bytes to a Runbook, or to every problem it has, all at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tastyops.errors import InvalidFile, Place, UsageError, shown
from tastyops.model.action import Registry
from tastyops.model.clock_time import read_said
from tastyops.model.duration import parse_duration
from tastyops.model.runbook import Input, Marked, Runbook, Step, WindowSpec, Work
from tastyops.runbook.findings import Findings, TooManyError, is_null
from tastyops.runbook.inputs import read_inputs
from tastyops.runbook.name_scope import BUILTIN, Scope, Texts
from tastyops.runbook.steps import StepReader, read_hosts
from tastyops.runbook.yaml_reader import scan
from tastyops.runbook.yaml_tree import MappingNode, Node, ScalarNode, SequenceNode
from tastyops.templates.rendering import names_used

KEYS = ("title", "kind", "hosts", "summary", "inputs", "vars", "works", "rescue", "window")
LATER_KEYS = (
    "impact", "services", "audience", "serial", "max_failures",
)  # fmt: skip
WORK_KEYS = ("work", "steps", "when", "on_failure")
KINDS = ("at risk", "incident")

Fields = dict[str, tuple[ScalarNode, Node]]


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
        if isinstance(node, ScalarNode) and not node.text.strip():
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
        if not names and not (isinstance(node, ScalarNode) and node.text == "none"):
            if isinstance(node, SequenceNode):
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
        if not isinstance(node, MappingNode):
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
        if not isinstance(node, SequenceNode) or not node.items:
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
        if isinstance(node, SequenceNode) and node.items:
            return list(node.items)
        self.findings.expected(node, f"'steps' of work {number}", "a list of at least one step")
        return []


def _registered(works: SequenceNode) -> dict[str, Place]:
    """Where each name is registered, as far as the tree can be read."""
    found: dict[str, Place] = {}
    for work in works.items:
        for step in _items(work, "steps"):
            for key, value in step.entries if isinstance(step, MappingNode) else ():
                if key.text == "register" and isinstance(value, ScalarNode):
                    found.setdefault(value.text, value.place)
    return found


def _items(node: Node, name: str) -> tuple[Node, ...]:
    entries = node.entries if isinstance(node, MappingNode) else ()
    lists = [value for key, value in entries if key.text == name]
    return lists[0].items if lists and isinstance(lists[0], SequenceNode) else ()


# -- window: the at-risk period ------------------------------------------------------------------

WINDOW_KEYS = ("from", "to", "for")


def read_window(findings: Findings, node: Node) -> WindowSpec | None:
    """The period as it is written; its times are worked out when a run begins."""
    if not isinstance(node, MappingNode):
        hint = 'as in {from: "00:01", to: "02:00"} or {for: 2h}'
        findings.expected(node, "'window'", "a mapping (key: value)", hint)
        return None
    fields = findings.fields(node, "'window'", WINDOW_KEYS) or {}
    if ("to" in fields) == ("for" in fields):
        message = "'window' needs either 'to' or 'for'" + (", not both" if "to" in fields else "")
        findings.add(node.place, message, 'as in to: "02:00" or for: 2h')
        return None
    begins = _time(findings, fields["from"][1], "from") if "from" in fields else ""
    ends = _time(findings, fields["to"][1], "to") if "to" in fields else ""
    length = _length(findings, fields["for"][1]) if "for" in fields else None
    return WindowSpec(begins, ends, length, node.place)


def _time(findings: Findings, node: Node, name: str) -> str:
    text = findings.text(node, f"'{name}' of 'window'")
    if text is None:
        return ""
    try:
        read_said(text)
    except UsageError as error:
        hint = 'times are 02:00, or with a date "2026-03-08 00:01"'
        findings.add(node.place, f"'{name}' of 'window': {error.what.rstrip('.')}", hint)
    return text


def _length(findings: Findings, node: Node) -> float | None:
    text = findings.text(node, "'for' of 'window'")
    try:
        seconds = parse_duration(text) if text is not None else None
    except ValueError as error:
        findings.add(node.place, f"'for' of 'window': {error}")
        return None
    if seconds == 0:
        findings.add(node.place, "'for' of 'window' must be longer than nothing")
    return seconds


# -- steps that must be followed by another ------------------------------------------------------

def need_next_steps(findings: Findings, works: Sequence[Work], registry: Registry) -> None:
    """A problem for each step whose action must be followed by another and is not.

    That one must be the very next step, of the next work where need be, on the same hosts, and
    nothing may be able to leave it out.
    """
    for step, after in _pairs(works):
        wanted = registry[step.action].followed_by if step.action in registry else ()
        if not wanted:
            continue
        known = [name for name in wanted if name in registry]
        message = f"{step.action} must be followed by a step that does {' or '.join(known)}"
        if step.background:
            findings.add(step.place, f"{step.action} cannot run in the background")
        if after is None or after[0].action not in wanted:
            findings.add(step.place, message, f"make the next step `{known[0]}`")
        elif after[1] or after[0].background or not _same_hosts(step, after[0]):
            findings.add(
                after[0].place, f"{message}, on the same hosts, whatever happens",
                "leave `when`, `confirm`, `hosts` and `background` out of it",
            )  # fmt: skip


def _pairs(works: Sequence[Work]) -> Iterator[tuple[Step, tuple[Step, bool] | None]]:
    """Every step with the one after it, and whether that one may be left out."""
    main = [(step, work) for work in works for step in work.steps]
    for number, (step, work) in enumerate(main):
        if number + 1 == len(main):
            yield step, None
            continue
        after, later = main[number + 1]
        skipped = after.when is not None or after.confirm is not None
        yield step, (after, skipped or (later is not work and later.when is not None))
    for work in works:
        for step in work.every_step():
            if step.recovery:
                yield step, None


def _same_hosts(step: Step, after: Step) -> bool:
    return after.hosts is None or after.hosts == step.hosts
