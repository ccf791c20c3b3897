"""Reads where a secret comes from: ``{env: NAME}``, ``{file: PATH}`` or ``{command: [argv…]}``."""

from __future__ import annotations

import re

from tastyops.errors import shown
from tastyops.model.secret_source import SecretSource
from tastyops.runbook.findings import Findings
from tastyops.runbook.yaml_tree import MappingNode, Node, ScalarNode, SequenceNode

KINDS = ("env", "file", "command")

_HINT = "{env: NAME}, {file: PATH} or {command: [pass, show, NAME]}"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}", re.ASCII)


def read_secret_source(findings: Findings, node: Node, what: str) -> SecretSource | None:
    """The source a file names; None with problems noted."""
    if not isinstance(node, MappingNode):
        # What stands there may be the secret itself, so it is not shown.
        findings.add(node.place, f"{what} must be a mapping with one key", _HINT)
        return None
    fields = findings.fields(node, what, KINDS) or {}
    if len(node.entries) != 1:
        findings.add(node.place, f"{what} must have one key", _HINT)
    for name, (_, value) in fields.items():
        if name == "env":
            return _env(findings, value)
        if name == "file":
            return _file(findings, value)
        return _command(findings, value)
    return None


def _env(findings: Findings, node: Node) -> SecretSource | None:
    text = findings.text(node, "'env'")
    if text is None:
        return None
    if not _VARIABLE.fullmatch(text):
        hint = "its name alone, without '$'"
        findings.add(node.place, f"{shown(text)} cannot be an environment variable", hint)
        return None
    return SecretSource("env", (text,))


def _file(findings: Findings, node: Node) -> SecretSource | None:
    text = findings.text(node, "'file'")
    if text is None:
        return None
    if not text.strip() or "\n" in text:
        findings.add(node.place, f"{shown(text)} cannot be a path")
        return None
    return SecretSource("file", (text,))


def _command(findings: Findings, node: Node) -> SecretSource | None:
    if not isinstance(node, SequenceNode) or not node.items:
        hint = "no shell runs it, as in [pass, show, NAME]"
        findings.expected(node, "'command'", "a list of words", hint)
        return None
    words = []
    for item in node.items:
        if not isinstance(item, ScalarNode):
            findings.expected(item, "a word of 'command'", "text")
            return None
        words.append(item.text)
    if not words[0].strip():
        findings.add(node.items[0].place, "'command' names no program")
        return None
    return SecretSource("command", tuple(words))
