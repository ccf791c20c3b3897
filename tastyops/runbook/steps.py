"""One step of a work, checked."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from tastyops.errors import Place, did_you_mean, shown
from tastyops.model.action import DONE, ActionSpec, Registry
from tastyops.model.duration import parse_duration
from tastyops.model.runbook import Marked, Step
from tastyops.runbook.confirmation import check_confirm_action, read_confirm
from tastyops.runbook.findings import Findings, is_null, kind_of
from tastyops.runbook.name_scope import OWN_RESULT, Scope, Texts
from tastyops.runbook.parameters import read_params
from tastyops.runbook.yaml_tree import Mapping as Tree
from tastyops.runbook.yaml_tree import Node, Scalar, Sequence, plain_value

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

Fields = dict[str, tuple[Scalar, Node]]


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
        items = node.items if isinstance(node, Sequence) else (node,)
        if not items:
            self.findings.expected(node, shown(what), "a step, or a list of steps")
        known = {*KEYS, *self.verbs} - set(MAIN_KEYS)
        found = []
        for number, item in enumerate(items, 1):
            if not isinstance(item, Tree):
                self.findings.expected(item, f"a step of {shown(what)}", "a mapping (key: value)")
                continue
            step = self._read(item, f"{address}-{number}", known)
            found += [replace(step, recovery=True)] if step else []
        return tuple(found)

    def step(self, node: Node, address: str) -> Step | None:
        """A step, or None for one so wrong that nothing can be made of it."""
        if not isinstance(node, Tree):
            hint = "begin it with its action, as in '- run: uptime'"
            self.findings.expected(node, f"step {address}", "a mapping (key: value)", hint)
            return None
        step = self._read(node, address, {*KEYS, *self.verbs})
        if step is not None and step.background:
            self.beside[step.id] = node.place
        return step

    def _read(self, node: Tree, address: str, known: Collection[str]) -> Step | None:
        fields = self._fields(node, known)
        action = self._action(node, fields, has_unknown=len(fields) < len(node.entries))
        spec = self.registry.get(action.text) if action else None
        return self._built(node, address, fields, action, spec)

    def _fields(self, node: Tree, known: Collection[str]) -> Fields:
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

    def _unknown(self, key: Scalar, known: Collection[str]) -> None:
        hint = did_you_mean(key.text, known) or "actions: " + ", ".join(sorted(self.registry))
        message = f"{shown(key.text)} is neither an action nor a key of a step"
        self.findings.add(key.place, message, hint)

    def _action(self, node: Tree, fields: Fields, *, has_unknown: bool) -> Scalar | None:
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
        self, node: Tree, address: str, fields: Fields, action: Scalar | None,
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
            keys = {key.text for key, _ in node.entries} if isinstance(node, Tree) else set()
            if "steps" in keys:
                inner = self.findings.fields(node, "'undo'", ("steps", "automatic")) or {}
                node = inner["steps"][1] if "steps" in inner else node
                if "automatic" in inner:
                    flag = self.findings.flag(inner["automatic"][1], "'automatic'")
                    found["undo_automatic"] = bool(flag)
            found["undo"] = self.recovery(node, "undo", f"{address}-undo")
        return found

    def _joins(self, action: Scalar, params: dict[str, Any]) -> None:
        for wanted in params.get("steps", ()):
            name = wanted.text if isinstance(wanted, Marked) else str(wanted)
            if name not in self.beside:
                place = wanted.place if isinstance(wanted, Marked) else action.place
                message = f"no step in the background before this one has the id {shown(name)}"
                self.findings.add(place, message, did_you_mean(name, self.beside))

    def _needs_host(self, action: Scalar, spec: ActionSpec) -> None:
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
        if text is None or not isinstance(node, Scalar):
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
        value = plain_value(node) if isinstance(node, Scalar) else None
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

    def _sentences(self, fields: Fields, own: Scope, action: Scalar | None) -> dict[str, Any]:
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
        if form != "expression" and isinstance(node, Scalar) and not node.text.strip():
            self.findings.add(node.place, f"{what} is empty")
            return None
        return self.texts.template(node, what, form, scope)

    def _log(self, node: Node, own: Scope, spec: ActionSpec | None) -> dict[str, Any]:
        if isinstance(node, Tree):
            return self._logs(node, own, spec)
        value = plain_value(node) if isinstance(node, Scalar) else None
        if value is False:
            return {"log_silent": True}
        if value is True or is_null(node):
            hint = "write a sentence, or `log: false` for no entry"
            self.findings.add(node.place, f"'log' must be text, not {kind_of(node)}", hint)
            return {}
        return {"log": self._text(node, "'log'", "public", own)}

    def _logs(self, node: Tree, own: Scope, spec: ActionSpec | None) -> dict[str, Any]:
        """A sentence for each ending of the action that the author names; false for no entry."""
        if spec is None:
            return {}
        fields = self.findings.fields(node, "'log'", (DONE, *spec.endings)) or {}
        found: dict[str, Any] = {}
        for word, (_, value) in fields.items():
            own_words = self._log(value, own, None) if isinstance(value, Scalar) else {}
            if not isinstance(value, Scalar):
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
    return isinstance(node, Scalar) and node.text.lower() in ("true", "yes", "on")


def read_hosts(findings: Findings, node: Node, known: Collection[str] | None) -> tuple[str, ...]:
    """Names of hosts and groups, each once; empty for ``none``."""
    names: list[str] = []
    for item in findings.items(node, "'hosts'"):
        text = findings.text(item, "a host's name")
        if text is None or text in names:
            continue
        if text == "none" and isinstance(node, Scalar):
            return ()
        if known is not None and text not in known:
            findings.unknown(item.place, "the host or group", text, known)
        names.append(text)
    return tuple(names)
