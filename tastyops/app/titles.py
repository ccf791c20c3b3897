"""Titles of runbooks, without the rest of their files."""

from __future__ import annotations

from pathlib import Path

from tastyops.app.inventory import read_bounded
from tastyops.errors import InvalidFile, Problem
from tastyops.runbook.yaml_reader import parse
from tastyops.runbook.yaml_tree import MappingNode, ScalarNode

RUNBOOK_FILES = "*.y*ml"


def title_of(path: Path) -> str:
    """A runbook's title as its author wrote it. Whether the runbook is valid is not judged.

    Judging it would load every action it names. Raises UsageError for a file that cannot be read,
    InvalidFile for one that is no YAML or has no title.
    """
    tree = parse(read_bounded(path, "a runbook"), str(path))
    for key, value in tree.entries if isinstance(tree, MappingNode) else ():
        if key.text == "title" and isinstance(value, ScalarNode):
            return value.text
    raise InvalidFile([Problem(tree.place, "the runbook has no title")])
