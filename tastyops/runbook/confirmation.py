"""``confirm:``, which may want another operator's yes instead of the operator's own."""

from __future__ import annotations

from typing import Any

from tastyops.errors import shown
from tastyops.model.runbook import ANOTHER_OPERATOR
from tastyops.runbook.name_scope import Scope, Texts
from tastyops.runbook.yaml_tree import Mapping as Tree
from tastyops.runbook.yaml_tree import Node
from tastyops.templates.rendering import has_template


def read_confirm(texts: Texts, node: Node, scope: Scope) -> dict[str, Any]:
    """The key ``confirm`` of a step: a question, or a mapping with ``question`` and ``by``."""
    if not isinstance(node, Tree):
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
    if not isinstance(node, Tree):
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
