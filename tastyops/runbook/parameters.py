"""An action's parameters in a step, against what the action declares."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from tastyops.errors import did_you_mean, shown
from tastyops.model.action import ActionSpec, Param
from tastyops.model.coercion import coerce
from tastyops.model.runbook import Marked
from tastyops.runbook.findings import is_null, kind_of
from tastyops.runbook.name_scope import Scope, Texts
from tastyops.runbook.yaml_tree import Mapping as Tree
from tastyops.runbook.yaml_tree import Node, Scalar, Sequence, octal_or_decimal, plain_value
from tastyops.templates.reevaluation import SHELLS
from tastyops.templates.rendering import Form, has_template

_FORMS: Mapping[str, Form] = {"text": "text", "shell": "shell", "expression": "expression"}
_COLLECTIONS: Mapping[str, type[Node]] = {"list": Sequence, "mapping": Tree}


def read_params(
    texts: Texts, spec: ActionSpec, key: Scalar, node: Node, scope: Scope
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


def _given(texts: Texts, spec: ActionSpec, node: Node) -> dict[str, tuple[Scalar, Node]] | None:
    """The parameters' nodes by name; a bare value stands for the action's main parameter."""
    if is_null(node):
        return {}
    main = spec.params.get(spec.scalar) if spec.scalar else None
    bare = isinstance(node, Scalar) or (isinstance(node, Sequence) and main and main.type == "list")
    if bare and main:
        if main.type == "list" and isinstance(node, Scalar) and not has_template(node.text):
            node = Sequence((node,), node.place)  # one of them needs no brackets
        return {main.name: (Scalar(main.name, True, node.place), node)}
    if not isinstance(node, Tree):
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
    texts: Texts, spec: ActionSpec, given: Mapping[str, tuple[Scalar, Node]]
) -> None:
    """Values are quoted for a POSIX shell; another interpreter reads those quotes its own way."""
    if "shell" not in given or not isinstance(given["shell"][1], Scalar):
        return
    shell = given["shell"][1]
    if has_template(shell.text) or posixpath.basename(shell.text) in SHELLS:
        return
    for name, (_, value) in given.items():
        if spec.params[name].type == "shell" and isinstance(value, Scalar) and "{{" in value.text:
            quoted = f"which is quoted for sh and not for {shown(shell.text)}"
            message = f"{shown(name)} has a value, {quoted}"
            hint = "give the value on standard input, with `stdin:`"
            texts.findings.add(value.place, message, hint)


def _misspelt(name: str, spec: ActionSpec, node: Node) -> bool:
    """Whether a key that is not known was most likely meant to be this one; it is named then."""
    keys = [key.text for key, _ in node.entries] if isinstance(node, Tree) else []
    return any(key not in spec.params and did_you_mean(key, [name]) for key in keys)


def _param(texts: Texts, spec: ActionSpec, param: Param, node: Node, scope: Scope) -> Any:
    what = f"{shown(param.name)} of {shown(spec.name)}"
    if param.type in _FORMS:
        return _text(texts, spec, param, node, scope)
    if isinstance(node, Scalar) and has_template(node.text):
        return texts.template(node, what, "text", scope)
    wanted = _COLLECTIONS.get(param.type)
    if wanted:
        if isinstance(node, wanted):
            return texts.tree(node, what, scope)
        article = "a list" if wanted is Sequence else "a mapping (key: value)"
        texts.findings.expected(node, what, article)
        return None
    if not isinstance(node, Scalar):
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
