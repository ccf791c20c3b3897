"""One step of a work, checked."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from tastyops.errors import Place, did_you_mean, shown
from tastyops.model.action import DONE, ActionSpec, Param, Registry
from tastyops.model.coercion import coerce
from tastyops.model.duration import parse_duration
from tastyops.model.runbook import ANOTHER_OPERATOR, Marked, Step
from tastyops.runbook.findings import Findings, is_null, kind_of
from tastyops.runbook.name_scope import OWN_RESULT, Scope, Texts
from tastyops.runbook.yaml_tree import (
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    octal_or_decimal,
    plain_value,
)
from tastyops.templates.reevaluation import SHELLS
from tastyops.templates.rendering import Form, has_template

KEYS = (
    "id", "name", "log", "when", "register", "retries", "delay", "until", "timeout", "confirm",
    "reads", "publish", "sudo", "hosts", "force", "no_log", "background", "quiet", "on_failure",
    "undo",
)  # fmt: skip
MAIN_KEYS = ("background", "on_failure", "undo", "register")
"""Keys that a step for when things go wrong does not have."""

JOIN, CONFIRM = "join", "confirm"

ID = re.compile(r"[a-z0-9_-]{1,64}", re.ASCII)
MOST_RETRIES = 10_000

Fields = dict[str, tuple[ScalarNode, Node]]


class StepReader:
    """Reads the steps of one runbook, in order, and keeps what each registers.

    ``before`` is the scope of what is said before any step has run, ``scope`` grows with each.
    """

    def __init__(
        self,
        findings: Findings,
        registry: Registry,
        before: Scope,
        *,
        host_names: Collection[str] | None,
        taken: Collection[str],
        hostless: bool,
        undefined: frozenset[str] = frozenset(),
    ) -> None:
        self.findings = findings
        self.texts = Texts(findings)
        self.registry = registry
        self.verbs = frozenset((*registry, *undefined))
        self.before = before
        self.scope = before
        self.host_names = host_names
        self.taken = taken
        self.hostless = hostless
        self.ids: dict[str, Place] = {}
        self.beside: dict[str, Place] = {}
        """The steps in the background so far, by id."""

    def recovery(self, node: Node, what: str, address: str) -> tuple[Step, ...]:
        """The steps of an ``on_failure``, an ``undo`` or a ``rescue``: one, or a list of them."""
        items = node.items if isinstance(node, SequenceNode) else (node,)
        if not items:
            self.findings.expected(node, shown(what), "a step, or a list of steps")
        known = {*KEYS, *self.verbs} - set(MAIN_KEYS)
        found = []
        for number, item in enumerate(items, 1):
            if not isinstance(item, MappingNode):
                self.findings.expected(item, f"a step of {shown(what)}", "a mapping (key: value)")
                continue
            step = self._read(item, f"{address}-{number}", known)
            found += [replace(step, recovery=True)] if step else []
        return tuple(found)

    def step(self, node: Node, address: str) -> Step | None:
        """A step, or None for one so wrong that nothing can be made of it."""
        if not isinstance(node, MappingNode):
            hint = "begin it with its action, as in '- run: uptime'"
            self.findings.expected(node, f"step {address}", "a mapping (key: value)", hint)
            return None
        step = self._read(node, address, {*KEYS, *self.verbs})
        if step is not None and step.background:
            self.beside[step.id] = node.place
        return step

    def _read(self, node: MappingNode, address: str, known: Collection[str]) -> Step | None:
        fields = self._fields(node, known)
        action = self._action(node, fields, has_unknown=len(fields) < len(node.entries))
        spec = self.registry.get(action.text) if action else None
        return self._built(node, address, fields, action, spec)

    def _fields(self, node: MappingNode, known: Collection[str]) -> Fields:
        found: Fields = {}
        for key, value in node.entries:
            if key.text in known:
                found[key.text] = (key, value)
            elif key.text in MAIN_KEYS:
                message = f"{shown(key.text)} has no place in a step for when things go wrong"
                self.findings.add(key.place, message, "leave it out")
            else:
                self._unknown(key, known)
        return found

    def _unknown(self, key: ScalarNode, known: Collection[str]) -> None:
        hint = did_you_mean(key.text, known) or "actions: " + ", ".join(sorted(self.registry))
        message = f"{shown(key.text)} is neither an action nor a key of a step"
        self.findings.add(key.place, message, hint)

    def _action(self, node: MappingNode, fields: Fields, *, has_unknown: bool) -> ScalarNode | None:
        keys = [key for key, _ in fields.values() if key.text in self.verbs]
        verbs = [key for key in keys if key.text not in KEYS] or keys
        if not verbs:
            if not has_unknown:  # an unknown key was most likely meant to be it, and is named
                hint = "actions: " + ", ".join(sorted(self.registry))
                self.findings.add(node.place, "this step has no action", hint)
            return None
        for extra in verbs[1:]:
            message = f"a second action in one step: {shown(verbs[0].text)} and {shown(extra.text)}"
            self.findings.add(extra.place, message, "make them two steps")
        return verbs[0]

    def _built(
        self, node: MappingNode, address: str, fields: Fields, action: ScalarNode | None,
        spec: ActionSpec | None,
    ) -> Step | None:  # fmt: skip
        register = self._register(fields)
        own = self.scope.plus(register or OWN_RESULT, spec)
        options = self._options({k: v for k, v in fields.items() if not action or k != action.text})
        options |= self._sentences(fields, own, action)
        params: dict[str, Any] = {}
        if action and spec:
            value = fields[action.text][1]
            params = read_params(self.texts, spec, action, value, self.scope)
            if spec.name == CONFIRM:
                check_confirm_action(self.texts, value, self._published(fields, self.scope))
            self._needs_host(action, spec)
            self._needs_guard(fields, spec)
        step_id = self._id(fields) or address
        options |= self._recoveries(fields, address)
        if action and spec and spec.name == JOIN:
            self._joins(action, params)
        if register:
            self.scope = self.scope.plus(register, spec)
        if action is None:
            return None
        return Step(address, step_id, action.text, params, node.place, register=register, **options)

    def _recoveries(self, fields: Fields, address: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if "on_failure" in fields:
            node = fields["on_failure"][1]
            found["on_failure"] = self.recovery(node, "on_failure", f"{address}-failure")
        if "undo" in fields:
            node = fields["undo"][1]
            keys = {key.text for key, _ in node.entries} if isinstance(node, MappingNode) else set()
            if "steps" in keys:
                inner = self.findings.fields(node, "'undo'", ("steps", "automatic")) or {}
                node = inner["steps"][1] if "steps" in inner else node
                if "automatic" in inner:
                    flag = self.findings.flag(inner["automatic"][1], "'automatic'")
                    found["undo_automatic"] = bool(flag)
            found["undo"] = self.recovery(node, "undo", f"{address}-undo")
        return found

    def _joins(self, action: ScalarNode, params: dict[str, Any]) -> None:
        for wanted in params.get("steps", ()):
            name = wanted.text if isinstance(wanted, Marked) else str(wanted)
            if name not in self.beside:
                place = wanted.place if isinstance(wanted, Marked) else action.place
                message = f"no step in the background before this one has the id {shown(name)}"
                self.findings.add(place, message, did_you_mean(name, self.beside))

    def _needs_host(self, action: ScalarNode, spec: ActionSpec) -> None:
        if self.hostless and not spec.hostless:
            message = f"{shown(action.text)} needs a host, and the runbook says `hosts: none`"
            self.findings.add(action.place, message)

    def _needs_guard(self, fields: Fields, spec: ActionSpec) -> None:
        if "force" in fields and not spec.guarded:
            message = f"{spec.name} has no guard that 'force' could overrule"
            self.findings.add(fields["force"][0].place, message, "leave it out")

    def _published(self, fields: Fields, scope: Scope) -> Scope:
        """The scope, with all there is to publish where the step says ``publish: true``."""
        publish = "publish" in fields and is_true(fields["publish"][1])
        return scope.publishing() if publish else scope

    def _id(self, fields: Fields) -> str | None:
        if "id" not in fields:
            return None
        node = fields["id"][1]
        text = self.findings.text(node, "'id'")
        if text is None:
            return None
        if not ID.fullmatch(text):
            hint = "small letters, digits, '-' and '_' only"
            self.findings.add(node.place, f"{shown(text)} cannot be a step's id", hint)
        elif text in self.ids:
            self.findings.add(
                node.place, f"the id {shown(text)} is taken, first at {self.ids[text]}"
            )
        else:
            self.ids[text] = node.place
            return text
        return None

    def _register(self, fields: Fields) -> str | None:
        if "register" not in fields:
            return None
        node = fields["register"][1]
        text = self.findings.text(node, "'register'")
        if text is None or not isinstance(node, ScalarNode):
            return None
        if not self.findings.identifier(node, "the name"):
            return None
        if text in self.taken:
            hint = "an input, a variable or a host's variable has it"
            self.findings.add(node.place, f"the name {shown(text)} is taken", hint)
            return None
        return text

    def _options(self, fields: Fields) -> dict[str, Any]:
        """The keys whose values are plain."""
        found: dict[str, Any] = {}
        for name in ("reads", "publish", "sudo", "no_log", "background"):
            if name in fields:
                found[name] = self.findings.flag(fields[name][1], f"{shown(name)}")
        for name in ("delay", "timeout", "quiet"):
            if name in fields:
                found[name] = self._duration(name, fields[name][1])
        if "retries" in fields:
            found["retries"] = self._count(fields["retries"][1])
        if "hosts" in fields:
            found["hosts"] = self._hosts(fields["hosts"][1])
        return {name: value for name, value in found.items() if value is not None}

    def _duration(self, name: str, node: Node) -> float | None:
        text = self.findings.text(node, shown(name))
        if text is None:
            return None
        try:
            seconds = parse_duration(text)
        except ValueError as error:
            self.findings.add(node.place, f"{shown(name)}: {error}")
            return None
        if name in ("timeout", "quiet") and seconds <= 0:
            self.findings.add(node.place, f"{shown(name)} must be longer than nothing")
        return seconds

    def _count(self, node: Node) -> int | None:
        value = plain_value(node) if isinstance(node, ScalarNode) else None
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_RETRIES:
            return value
        self.findings.expected(node, "'retries'", f"a whole number from 0 to {MOST_RETRIES}")
        return None

    def _hosts(self, node: Node) -> tuple[str, ...] | None:
        names = read_hosts(self.findings, node, self.host_names)
        if not names:
            hint = "leave it out for all of the runbook's hosts"
            self.findings.add(node.place, "'hosts' of a step names no host", hint)
        return names or None

    def _sentences(self, fields: Fields, own: Scope, action: ScalarNode | None) -> dict[str, Any]:
        """The keys whose values are templates."""
        found: dict[str, Any] = {}
        wanted = (
            ("name", "public", self.before),
            ("when", "expression", self.scope),
            ("until", "expression", own),
            ("force", "public", self.scope),
        )
        for name, form, scope in wanted:
            if name not in fields or (action and action.text == name):
                continue
            node = fields[name][1]
            found[name] = self._text(node, shown(name), form, self._published(fields, scope))
        if CONFIRM in fields and not (action and action.text == CONFIRM):
            scope = self._published(fields, self.scope)
            found |= read_confirm(self.texts, fields[CONFIRM][1], scope)
        if "log" in fields:
            spec = self.registry.get(action.text) if action else None
            found |= self._log(fields["log"][1], self._published(fields, own), spec)
        return found

    def _text(self, node: Node, what: str, form: Any, scope: Scope) -> Marked | None:
        if form != "expression" and isinstance(node, ScalarNode) and not node.text.strip():
            self.findings.add(node.place, f"{what} is empty")
            return None
        return self.texts.template(node, what, form, scope)

    def _log(self, node: Node, own: Scope, spec: ActionSpec | None) -> dict[str, Any]:
        if isinstance(node, MappingNode):
            return self._logs(node, own, spec)
        value = plain_value(node) if isinstance(node, ScalarNode) else None
        if value is False:
            return {"log_silent": True}
        if value is True or is_null(node):
            hint = "write a sentence, or `log: false` for no entry"
            self.findings.add(node.place, f"'log' must be text, not {kind_of(node)}", hint)
            return {}
        return {"log": self._text(node, "'log'", "public", own)}

    def _logs(self, node: MappingNode, own: Scope, spec: ActionSpec | None) -> dict[str, Any]:
        """A sentence for each ending of the action that the author names; false for no entry."""
        if spec is None:
            return {}
        fields = self.findings.fields(node, "'log'", (DONE, *spec.endings)) or {}
        found: dict[str, Any] = {}
        for word, (_, value) in fields.items():
            own_words = self._log(value, own, None) if isinstance(value, ScalarNode) else {}
            if not isinstance(value, ScalarNode):
                self.findings.expected(value, shown(f"log.{word}"), "a sentence, or false")
            elif word != DONE:
                found.setdefault("logs", {})[word] = own_words.get("log")
            elif "log_silent" in own_words:
                hint = "leave `done` out for the action's own sentence, or say `log: false`"
                self.findings.add(value.place, "'done' cannot be false", hint)
            else:
                found |= own_words
        return found


def is_true(node: Node) -> bool:
    """Whether a flag is set, for those who need to know before it is checked."""
    return isinstance(node, ScalarNode) and node.text.lower() in ("true", "yes", "on")


def read_hosts(findings: Findings, node: Node, known: Collection[str] | None) -> tuple[str, ...]:
    """Names of hosts and groups, each once; empty for ``none``."""
    names: list[str] = []
    for item in findings.items(node, "'hosts'"):
        text = findings.text(item, "a host's name")
        if text is None or text in names:
            continue
        if text == "none" and isinstance(node, ScalarNode):
            return ()
        if known is not None and text not in known:
            findings.unknown(item.place, "the host or group", text, known)
        names.append(text)
    return tuple(names)


# -- confirm: and who may answer it --------------------------------------------------------------

def read_confirm(texts: Texts, node: Node, scope: Scope) -> dict[str, Any]:
    """The key ``confirm`` of a step: a question, or a mapping with ``question`` and ``by``."""
    if not isinstance(node, MappingNode):
        return {"confirm": _question(texts, node, scope)}
    fields = texts.findings.fields(node, "'confirm'", ("question", "by")) or {}
    found: dict[str, Any] = {}
    if "question" in fields:
        found["confirm"] = _question(texts, fields["question"][1], scope)
    if "by" in fields:
        by = fields["by"][1]
        text = texts.findings.text(by, "'by' of 'confirm'")
        if text is not None and text != ANOTHER_OPERATOR:
            texts.findings.unknown(by.place, "the approver", text, (ANOTHER_OPERATOR,))
        found["approval"] = ANOTHER_OPERATOR
    elif "question" not in fields:
        texts.findings.add(node.place, "'confirm' asks nothing", f"add 'by: {ANOTHER_OPERATOR}'")
    return found


def _question(texts: Texts, node: Node, scope: Scope) -> Any:
    text = texts.findings.text(node, "'confirm'")
    if text is not None and not text.strip():
        texts.findings.add(node.place, "'confirm' is empty")
        return None
    return texts.template(node, "'confirm'", "public", scope)


def check_confirm_action(texts: Texts, node: Node, scope: Scope) -> None:
    """What ``by`` asks of the action beyond its parameters: it is plain, its question public.

    Every account of the machine can read what another operator is asked.
    """
    if not isinstance(node, MappingNode):
        return
    fields = {key.text: value for key, value in node.entries}
    by = fields.get("by")
    if by is None:
        return
    text = getattr(by, "text", "")
    if has_template(text):
        hint = f"write 'by: {ANOTHER_OPERATOR}'"
        texts.findings.add(by.place, f"'by' of 'confirm' cannot be {shown(text)}", hint)
    if "question" in fields:
        texts.template(fields["question"], "'question' of 'confirm'", "public", scope)


# -- the parameters of an action -----------------------------------------------------------------

_FORMS: Mapping[str, Form] = {"text": "text", "shell": "shell", "expression": "expression"}
_COLLECTIONS: Mapping[str, type[Node]] = {"list": SequenceNode, "mapping": MappingNode}


def read_params(
    texts: Texts, spec: ActionSpec, key: ScalarNode, node: Node, scope: Scope
) -> dict[str, Any]:
    """The parameters that were given, each of its type or a template."""
    given = _given(texts, spec, node)
    if given is None:
        return {}
    for name, param in spec.params.items():
        if param.required and name not in given and not _misspelt(name, spec, node):
            message = f"{shown(spec.name)} lacks its {shown(name)}"
            texts.findings.add(key.place, message, param.help)
    _check_interpreter(texts, spec, given)
    values = {}
    for name, (_, value) in given.items():
        values[name] = _param(texts, spec, spec.params[name], value, scope)
    return {name: value for name, value in values.items() if value is not None}


def _given(texts: Texts, spec: ActionSpec, node: Node) -> dict[str, tuple[ScalarNode, Node]] | None:
    """The parameters' nodes by name; a bare value stands for the action's main parameter."""
    if is_null(node):
        return {}
    main = spec.params.get(spec.scalar) if spec.scalar else None
    takes_list = main is not None and main.type == "list"
    bare = isinstance(node, ScalarNode) or (isinstance(node, SequenceNode) and takes_list)
    if bare and main:
        if takes_list and isinstance(node, ScalarNode) and not has_template(node.text):
            node = SequenceNode((node,), node.place)  # one of them needs no brackets
        return {main.name: (ScalarNode(main.name, True, node.place), node)}
    if not isinstance(node, MappingNode):
        names = ", ".join(spec.params) or "none"
        texts.findings.add(
            node.place,
            f"{shown(spec.name)} takes named parameters, not {kind_of(node)}",
            f"its parameters: {names}",
        )
        return None
    known = texts.findings.fields(node, shown(spec.name), spec.params) or {}
    return {name: pair for name, pair in known.items() if not is_null(pair[1])}


def _check_interpreter(
    texts: Texts, spec: ActionSpec, given: Mapping[str, tuple[ScalarNode, Node]]
) -> None:
    """Values are quoted for a POSIX shell; another interpreter reads those quotes its own way."""
    if "shell" not in given or not isinstance(given["shell"][1], ScalarNode):
        return
    shell = given["shell"][1]
    if has_template(shell.text) or posixpath.basename(shell.text) in SHELLS:
        return
    for name, (_, value) in given.items():
        if spec.params[name].type != "shell" or not isinstance(value, ScalarNode):
            continue
        if "{{" in value.text:
            quoted = f"which is quoted for sh and not for {shown(shell.text)}"
            message = f"{shown(name)} has a value, {quoted}"
            hint = "give the value on standard input, with `stdin:`"
            texts.findings.add(value.place, message, hint)


def _misspelt(name: str, spec: ActionSpec, node: Node) -> bool:
    """Whether a key that is not known was most likely meant to be this one; it is named then."""
    keys = [key.text for key, _ in node.entries] if isinstance(node, MappingNode) else []
    return any(key not in spec.params and did_you_mean(key, [name]) for key in keys)


def _param(texts: Texts, spec: ActionSpec, param: Param, node: Node, scope: Scope) -> Any:
    what = f"{shown(param.name)} of {shown(spec.name)}"
    if param.type in _FORMS:
        return _text(texts, spec, param, node, scope)
    if isinstance(node, ScalarNode) and has_template(node.text):
        return texts.template(node, what, "text", scope)
    wanted = _COLLECTIONS.get(param.type)
    if wanted:
        if isinstance(node, wanted):
            return texts.tree(node, what, scope)
        article = "a list" if wanted is SequenceNode else "a mapping (key: value)"
        texts.findings.expected(node, what, article)
        return None
    if not isinstance(node, ScalarNode):
        texts.findings.expected(node, what, _a(param.type))
        return None
    if octal_or_decimal(node) and param.type in ("integer", "number"):
        hint = "write it without the zero, or as 0o…"
        texts.findings.add(node.place, f"{shown(node.text)} may be octal or decimal", hint)
    return _literal(texts, param, node, what, plain_value(node))


def _text(texts: Texts, spec: ActionSpec, param: Param, node: Node, scope: Scope) -> Any:
    what = f"{shown(param.name)} of {shown(spec.name)}"
    form = _FORMS[param.type]
    if form == "expression":  # worked out while the step runs, over what it has found so far
        found = (*spec.returns, "value")
        scope = scope.with_names(dict.fromkeys(found))
    marked = texts.template(node, what, form, scope)
    if marked and param.choices and not has_template(marked.text):
        _literal(texts, param, node, what, marked.text)
    return marked


def _literal(texts: Texts, param: Param, node: Node, what: str, value: Any) -> Any | Marked:
    try:
        return coerce(param, value)
    except ValueError as error:
        said = str(error).removeprefix("it ")
        message = f"{what} {said}" if said != str(error) else f"{what}: {said}"
        texts.findings.add(node.place, message)
        return None


def _a(kind: str) -> str:
    return {
        "integer": "a whole number",
        "boolean": "true or false",
        "duration": "a span of time such as 90s, 1m or 2h30m",
    }.get(kind, f"a {kind}")
