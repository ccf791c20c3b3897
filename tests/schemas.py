"""A runbook against the JSON Schema, as an editor checks it."""

from __future__ import annotations

from functools import cache
from typing import Any

from jsonschema import Draft7Validator

from tastyops.app.registry import BUILT_IN
from tastyops.model.action import Registry
from tastyops.runbook import yaml_reader
from tastyops.runbook.schema import runbook_schema
from tastyops.runbook.yaml_tree import MappingNode, Node, SequenceNode, plain_value


def validator(registry: Registry) -> Draft7Validator:
    schema = runbook_schema(registry)
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


@cache
def shipped() -> Draft7Validator:
    return validator(BUILT_IN)


def refused(text: str, schema: Draft7Validator | None = None) -> list[str]:
    """What the schema has against a runbook; nothing, for a good one."""
    document = _plain(yaml_reader.parse(text.encode(), "r.yml"))
    return [error.json_path for error in (schema or shipped()).iter_errors(document)]


def _plain(node: Node) -> Any:
    match node:
        case MappingNode():
            return {key.text: _plain(value) for key, value in node.entries}
        case SequenceNode():
            return [_plain(item) for item in node.items]
    return plain_value(node)
