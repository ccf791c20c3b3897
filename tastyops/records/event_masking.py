"""Secrets out of events before they are written: which fields may hold one, and which are ours."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from tastyops.journal.events import Body
from tastyops.journal.public_events import PublicBody
from tastyops.redact import Masker

RUN_WORDS = frozenset({
    "digest", "sha256", "runbook", "plan", "kind", "how", "outcome", "question", "action", "fate",
    "boot_id", "directory", "log", "unknown", "decision", "choices", "id", "at",
})  # fmt: skip
"""A run's fields with words and digests of ours, made without secrets: one that looks alike stays.
"""

LOG_WORDS = frozenset({"status", "kind_of", "head", "run", "number", "date"})
"""The same of a log."""

FREE = frozenset({"inputs", "params", "registered"})
"""A run's fields whose names and numbers are the author's, so a number may be a secret."""

_NONE: frozenset[str] = frozenset()


def masked_in_run(body: Body, masker: Masker) -> Body:
    """An event's body as it goes into a run's journal."""
    if not masker:
        return body
    told = _told(body, masker, RUN_WORDS, besides=FREE)
    free = {
        name: masker.data(getattr(body, name)) for name in body.__struct_fields__ if name in FREE
    }
    return structs.replace(body, **told, **free)


def masked_in_log(body: PublicBody, masker: Masker) -> PublicBody:
    """An event's body as it goes into a log's journal."""
    return structs.replace(body, **_told(body, masker, LOG_WORDS)) if masker else body


def _told(
    body: Body | PublicBody, masker: Masker, own: frozenset[str], besides: frozenset[str] = _NONE
) -> dict[str, Any]:
    return {
        name: masker.data(getattr(body, name), own, numbers=False)
        for name in body.__struct_fields__
        if name not in own and name not in besides
    }
