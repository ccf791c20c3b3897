"""The JSON Schema of runbooks, for editors."""

from __future__ import annotations

from pathlib import Path

from tastyops.app.registry import BUILT_IN, registry
from tastyops.runbook import schema


def runbook_schema(folder: Path | None) -> str:
    """The schema, with the actions beside the runbooks in a folder and those of plugins."""
    actions = BUILT_IN if folder is None else registry(folder)
    return schema.render(schema.runbook_schema(actions))
