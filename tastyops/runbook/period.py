"""``window:``, the at-risk period of a runbook."""

from __future__ import annotations

from tastyops.errors import UsageError
from tastyops.model.clock_time import read_said
from tastyops.model.duration import parse_duration
from tastyops.model.runbook import WindowSpec
from tastyops.runbook.findings import Findings
from tastyops.runbook.yaml_tree import Mapping as Tree
from tastyops.runbook.yaml_tree import Node

KEYS = ("from", "to", "for")


def read_window(findings: Findings, node: Node) -> WindowSpec | None:
    """The period as it is written; its times are worked out when a run begins."""
    if not isinstance(node, Tree):
        hint = 'as in {from: "00:01", to: "02:00"} or {for: 2h}'
        findings.expected(node, "'window'", "a mapping (key: value)", hint)
        return None
    fields = findings.fields(node, "'window'", KEYS) or {}
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
