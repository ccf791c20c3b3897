"""What a runbook asks its operator for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from tastyops.errors import shown
from tastyops.model.coercion import INPUT_TYPES, not_a_choice, typed_input
from tastyops.model.runbook import Input
from tastyops.model.secret_source import ASKED, SecretSource
from tastyops.runbook.findings import Findings, is_null
from tastyops.runbook.name_scope import BUILTIN, OWN_RESULT, Texts
from tastyops.runbook.secret_sources import read_secret_source
from tastyops.runbook.yaml_tree import (
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    octal_or_decimal,
    plain_value,
)

KEYS = ("help", "type", "default", "choices", "secret", "source")
NOT_FOR_SECRETS = {
    "default": "what stands in a file is no secret; give it a `source:`",
    "choices": "the choices would tell it",
    "type": "a secret is text",
}

Fields = dict[str, tuple[ScalarNode, Node]]


def read_inputs(findings: Findings, node: Node, host_vars: Collection[str]) -> dict[str, Input]:
    """The inputs by name. One that a host's variable would hide is a problem."""
    if is_null(node):
        return {}
    if not isinstance(node, MappingNode):
        findings.expected(node, "'inputs'", "a mapping (name: default)")
        return {}
    found = {}
    for key, value in node.entries:
        if not findings.identifier(key, "the input"):
            continue
        if key.text in (*BUILTIN, OWN_RESULT, *host_vars):
            hint = "a host's variable has it" if key.text in host_vars else ""
            findings.add(key.place, f"the name {shown(key.text)} is taken", hint)
        found[key.text] = _input(findings, key, value)
    return found


def _input(findings: Findings, key: ScalarNode, node: Node) -> Input:
    fields: Fields = {"default": (key, node)}
    if isinstance(node, MappingNode):
        what = f"the input {shown(key.text)}"
        fields = findings.fields(node, what, KEYS) or {}
    if _is_secret(findings, fields):
        return _secret(findings, key, fields)
    default = fields["default"][1] if "default" in fields else None
    if default is not None and is_null(default):
        default = None
    kind = _kind(findings, fields["type"][1]) if "type" in fields else _guessed(default)
    for name in ("default", "choices"):
        if name in fields and ("type" not in fields or kind == "list"):
            findings.untyped(fields[name][1], f"the {name.removesuffix('s')} of {shown(key.text)}")
    choices = _choices(findings, fields["choices"][1], kind) if "choices" in fields else ()
    value = _typed(findings, default, kind, "the default") if default is not None else None
    if default is not None and value is not None and choices and value not in choices:
        why = not_a_choice(value, choices).removeprefix("it ")
        findings.add(default.place, f"the default {why}")
    help_text = findings.text(fields["help"][1], "'help'") if "help" in fields else ""
    return Input(key.text, kind, help_text or "", value, default is not None, choices, key.place)


def _is_secret(findings: Findings, fields: Fields) -> bool:
    if "secret" not in fields:
        if "source" in fields:
            hint = "add `secret: true`"
            findings.add(fields["source"][0].place, "only a secret has a 'source'", hint)
        return False
    secret = findings.flag(fields["secret"][1], "'secret'")
    if secret is False and "source" in fields:
        findings.add(fields["source"][0].place, "only a secret has a 'source'", "leave it out")
    return secret is not False


def _secret(findings: Findings, key: ScalarNode, fields: Fields) -> Input:
    """A secret input: text, from a source or asked for, never from the file itself."""
    for name, why in NOT_FOR_SECRETS.items():
        if name in fields and not (name == "type" and _is_text_type(fields[name][1])):
            findings.add(fields[name][0].place, f"a secret has no {shown(name)}", why)
    source: SecretSource | None = ASKED
    if "source" in fields:
        source = read_secret_source(findings, fields["source"][1], "'source'")
    help_text = findings.text(fields["help"][1], "'help'") if "help" in fields else ""
    return Input(
        key.text, "text", help_text or "", None, False, (), key.place, secret=source or ASKED
    )


def _is_text_type(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.text == "text"


def _kind(findings: Findings, node: Node) -> str:
    text = findings.text(node, "'type'")
    if text is not None and text not in INPUT_TYPES:
        findings.unknown(node.place, "the type", text, INPUT_TYPES)
        return "text"
    return text or "text"


def _guessed(default: Node | None) -> str:
    """The type of an input that does not say it.

    A number is one only where nothing is lost by it: ``6.10`` and ``0644`` are text.
    """
    if isinstance(default, SequenceNode):
        return "list"
    value = plain_value(default) if isinstance(default, ScalarNode) else None
    if isinstance(value, bool):
        return "boolean"
    if isinstance(default, ScalarNode) and isinstance(value, int) and str(value) == default.text:
        return "integer"
    return "text"


def _choices(findings: Findings, node: Node, kind: str) -> tuple[Any, ...]:
    if not isinstance(node, SequenceNode) or not node.items:
        findings.expected(node, "'choices'", "a list of at least one value")
        return ()
    values = [_typed(findings, item, kind, "the choice") for item in node.items]
    return tuple(value for value in values if value is not None)


def _typed(findings: Findings, node: Node, kind: str, what: str) -> Any:
    value = Texts(findings).literal(node, what)
    if isinstance(node, ScalarNode) and kind == "text":
        return node.text
    if isinstance(node, ScalarNode) and kind in ("integer", "number") and octal_or_decimal(node):
        hint = "write it without the zero, or as 0o…"
        findings.add(node.place, f"{what} {shown(node.text)} may be octal or decimal", hint)
        return None
    if isinstance(node, ScalarNode):
        value = plain_value(node)
    try:
        return typed_input(kind, value)
    except ValueError as error:
        said = str(error)
        gap = " " if said.startswith("it ") else ": "
        findings.add(node.place, f"{what}{gap}{said.removeprefix('it ')}")
        return None
