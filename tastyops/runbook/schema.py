"""The JSON Schema of a runbook, made from the tables that ``validate`` reads by.

For editors: they complete keys and underline mistakes while a runbook is being written. It never
refuses what ``validate`` accepts; what it cannot express (names that are not defined, hosts that do
not exist, …) is left to ``check``. A key without a shape here takes any value, so that a new one
needs nothing but its entry in ``validate``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from tastyops.model.action import ActionSpec, Param, Registry
from tastyops.model.coercion import INPUT_TYPES
from tastyops.runbook.findings import IDENTIFIER
from tastyops.runbook.inputs import KEYS as INPUT_KEYS
from tastyops.runbook.steps import ID, MOST_RETRIES
from tastyops.runbook.steps import KEYS as STEP_KEYS
from tastyops.runbook.validation import KEYS, KINDS, WORK_KEYS

Schema = dict[str, Any]

_SINGLE = ["string", "number", "boolean"]
"""Any single value is text where text is wanted: ``6.10`` stays ``6.10``."""

# One shape is one object whose keywords each concern one type, and no `anyOf` where it can be
# helped: so an editor points at the very key that is wrong, and not at all that was tried.
TEXT: Schema = {"type": _SINGLE}
SENTENCE: Schema = {"type": _SINGLE, "pattern": r"\S"}
NAME: Schema = {"type": "string", "pattern": f"^(?:{IDENTIFIER.pattern})$"}
DURATION: Schema = {
    "type": ["number", "string"], "minimum": 0, "pattern": r"^\s*\d[\d.\sdhms]*$",
}  # fmt: skip
_YES_NO = "[Yy][Ee][Ss]|[Nn][Oo]|[Oo][Nn]|[Oo][Ff][Ff]"
_TRUE_FALSE = "[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]"
FLAG: Schema = {"type": ["boolean", "string"], "pattern": f"^(?:{_YES_NO})$"}
SENTENCES: Schema = {**SENTENCE, "type": [*_SINGLE, "array"], "items": SENTENCE}
_TEMPLATE = r"\{[{%]"


def _or(shape: Schema, *types: str) -> Schema:
    """The shape, or a value of one of these types; what the shape asks of its own types stays."""
    own = shape["type"]
    return {**shape, "type": [*(own if isinstance(own, list) else [own]), *types]}


def _list_of(part: str) -> Schema:
    return {"type": "array", "minItems": 1, "items": {"$ref": f"#/definitions/{part}"}}


_RECOVERY: Schema = {"anyOf": [{"$ref": "#/definitions/step"}, _list_of("step")]}

_UNDO: Schema = {
    "anyOf": [
        *_RECOVERY["anyOf"],
        {
            "type": "object",
            "properties": {"steps": _RECOVERY, "automatic": FLAG},
            "required": ["steps"],
            "additionalProperties": False,
        },
    ]
}

_RUNBOOK: Mapping[str, tuple[str, Schema]] = {
    "title": ("Names the log.", SENTENCE),
    "kind": ("Planned work, or an unforeseen fault.", {"enum": list(KINDS)}),
    "hosts": ("A host, a group, a list of them, or none.", {**SENTENCES, "minItems": 1}),
    "summary": ("Sentences for the head of the log.", _or(SENTENCES, "null")),
    "inputs": (
        "What the operator may say with --var name=value.",
        {
            "type": ["object", "null"],
            "propertyNames": NAME,
            "additionalProperties": {"$ref": "#/definitions/input"},
        },
    ),
    "vars": (
        "Names for values used more than once.",
        {"type": ["object", "null"], "propertyNames": NAME},
    ),
    "works": ('The items of "Works to be carried out".', _list_of("work")),
    "window": (
        "The at-risk period, after which no step begins without a person's word.",
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 2,
            "additionalProperties": False,
            "properties": {"from": SENTENCE, "to": SENTENCE, "for": DURATION},
        },
    ),
    "rescue": ("Steps for a run that stops on its way, after all else.", _RECOVERY),
}

_WORK: Mapping[str, tuple[str, Schema]] = {
    "work": ("Its title.", SENTENCE),
    "steps": ("Its steps, in order.", _list_of("step")),
    "when": ("An expression; when it is false the steps are skipped.", TEXT),
    "on_failure": ("Steps for when the work is given up.", _RECOVERY),
}

_LOGGED: Schema = {"anyOf": [{"type": ["string", "number"], "pattern": r"\S"}, {"enum": [False]}]}

_STEP: Mapping[str, tuple[str, Schema]] = {
    "id": (
        "An identity that stays when steps move.",
        {"type": _SINGLE, "pattern": f"^(?:{ID.pattern})$"},
    ),
    "name": ("What the step is called, in the log too.", SENTENCE),
    "log": (
        "The sentence for the log when it was done, or one for each ending; false for none.",
        {"anyOf": [_LOGGED, {"type": "object", "additionalProperties": _LOGGED}]},
    ),
    "when": ("An expression; when it is false the step is skipped.", TEXT),
    "register": ("The name later steps know its result by.", NAME),
    "retries": (
        "How many times more it is tried until `until` holds.",
        {"type": "integer", "minimum": 0, "maximum": MOST_RETRIES},
    ),
    "delay": ("Time between two tries.", DURATION),
    "until": ("Try again until this expression holds.", TEXT),
    "timeout": ("How long one command of it may take.", DURATION),
    "confirm": ("A question to answer before the step begins.", SENTENCE),
    "reads": ("Says that a run: only reads, so that a dry run executes it.", FLAG),
    "publish": ("Allows private values (a command's output) in this step's log:.", FLAG),
    "sudo": ("Whether to become root, if other than the host's setting.", FLAG),
    "hosts": ("Only these of the runbook's hosts.", {**SENTENCES, "minItems": 1}),
    "force": ("Why a guard is overruled, where the action allows it.", SENTENCE),
    "no_log": ("Keeps the step's output out of the journal.", FLAG),
    "background": ("Begins it and goes on with the next; join: waits for it.", FLAG),
    "quiet": ("After how long a silent command is spoken of.", DURATION),
    "on_failure": ("Steps for when this one is given up.", _RECOVERY),
    "undo": ("Steps that take this one back, offered when the run stops.", _UNDO),
}

_INPUT: Mapping[str, tuple[str, Schema]] = {
    "help": ("What the operator is told.", TEXT),
    "type": ("How its value is read.", {"enum": list(INPUT_TYPES)}),
    "default": ("Its value when none is given.", _or(TEXT, "array", "null")),
    "choices": ("The values it may have.", {"type": "array", "minItems": 1}),
    "secret": ("Keeps its value out of everything that is written.", FLAG),
    "source": (
        "Where a secret comes from.",
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
            "properties": {
                "env": TEXT,
                "file": TEXT,
                "command": {"type": "array", "minItems": 1, "items": TEXT},
            },
        },
    ),
}

_PARAMS: Mapping[str, Schema] = {
    "text": TEXT,
    "shell": TEXT,
    "expression": TEXT,
    "integer": {"type": ["integer", "string"], "pattern": r"^\s*[+-]*\d+\s*$"},
    "number": {"type": ["number", "string"]},
    "boolean": {
        "type": ["boolean", "string"], "pattern": rf"^\s*(?:{_YES_NO}|{_TRUE_FALSE})\s*$",
    },
    "duration": DURATION,
    "list": {"type": ["array", "string"], "pattern": _TEMPLATE},
    "mapping": {"type": ["object", "string"], "pattern": _TEMPLATE},
}  # fmt: skip
"""What a parameter of each type may be; a template may stand for any."""


def runbook_schema(registry: Registry) -> Schema:
    """The schema of a runbook that may use these actions."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A tastyops runbook",
        **_mapping(KEYS, _RUNBOOK, ("title", "hosts", "works")),
        "definitions": {
            "work": _mapping(WORK_KEYS, _WORK, ("work", "steps")),
            "step": _step(registry),
            "input": _or(_mapping(INPUT_KEYS, _INPUT, ()), *_SINGLE, "array", "null"),
        },
    }


def render(schema: Schema) -> str:
    """The schema as the text of a file."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def _mapping(
    keys: Collection[str], shapes: Mapping[str, tuple[str, Schema]], required: Collection[str]
) -> Schema:
    found: Schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {key: _described(*shapes.get(key, ("", {}))) for key in keys},
    }
    return {**found, "required": list(required)} if required else found


def _described(text: str, schema: Schema) -> Schema:
    return {"description": text, **schema} if text else schema


def _step(registry: Registry) -> Schema:
    step = _mapping(STEP_KEYS, _STEP, ())
    for name, spec in sorted(registry.items()):
        # `confirm` is an action and, beside another, a key: the action's shape holds the key's
        step["properties"][name] = _described(spec.help, _action(spec))
    verbs = sorted(name for name in registry if name not in STEP_KEYS)
    both = sorted(name for name in registry if name in STEP_KEYS)
    others: Schema = {"not": {"anyOf": [{"required": [verb]} for verb in verbs]}}
    alone = [{"required": [name], **others} for name in both]
    return {**step, "oneOf": [*({"required": [verb]} for verb in verbs), *alone]}


def _action(spec: ActionSpec) -> Schema:
    """Named parameters, or a bare value for the main one; nothing where none is required."""
    required = [name for name, param in spec.params.items() if param.required]
    named: Schema = {
        "type": ["object"] if required else ["object", "null"],
        "additionalProperties": False,
        "properties": {name: _param(param) for name, param in spec.params.items()},
    }
    if required:
        named["required"] = required
    if not spec.scalar:
        return named
    bare = _value(spec.params[spec.scalar])
    if spec.params[spec.scalar].type == "list":
        bare = {"type": ["array", "string", "number"]}  # one of them needs no brackets
    if "object" in bare.get("type", ["object"]):  # not to be told from named parameters by type
        return {"anyOf": [bare, named]}
    return {**bare, **_or(named, *bare["type"])}


def _param(param: Param) -> Schema:
    value = _value(param)
    if not param.required:
        value = _or(value, "null") if "type" in value else {"anyOf": [value, {"type": "null"}]}
    return _described(param.help, value)


def _value(param: Param) -> Schema:
    template: Schema = {"type": "string", "pattern": _TEMPLATE}
    if param.choices:
        return {"anyOf": [{"enum": list(param.choices)}, template]}
    shape = _PARAMS.get(param.type, {})
    if "pattern" not in shape:
        return shape
    return {**shape, "pattern": f"{shape['pattern']}|{_TEMPLATE}"}
