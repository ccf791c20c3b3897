"""The log as Markdown; what stands in it is escaped, so that it reads as it was written."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tastyops.records.document.build import Document

_SPECIAL = re.compile(r"[\\`*<>\[\]|]|(?<!\w)_|_(?!\w)|&(?=#?\w+;)")


def escape(text: str) -> str:
    """Text that Markdown shows as it is; an underscore inside a word needs nothing."""
    escaped = _SPECIAL.sub(lambda found: "\\" + found[0], text)
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", re.sub(r"^([#+=~-])", r"\\\1", escaped))


def render_markdown(document: Document) -> str:
    """The whole log."""
    return "\n".join(_lines(document)) + "\n"


def _lines(document: Document) -> Iterator[str]:
    # the brackets of the tag are no link, since nothing defines one; they stay readable
    rest = document.heading[len(document.tag) :]
    yield f"# {document.tag}{escape(rest)}"
    yield ""
    yield escape(document.subtitle)
    yield ""
    yield f"- **Attending:** {escape(', '.join(document.attending) or 'nobody yet')}"
    yield f"- **Status:** {escape(document.status)}."
    if document.at_risk:
        yield f"- **At-risk period:** {escape(document.at_risk)}."
    yield ""
    yield from (f"- {escape(line)}" for line in document.summary)
    if document.works:
        yield "- Works to be carried out:"
        yield from (
            f"  - {escape(work.title)} {work.note and escape(work.note)}".rstrip()
            for work in document.works
        )
    yield ""
    yield f"## Transcript, times are in {document.zone}"
    yield from _transcript(document)
    for record in document.records:
        yield ""
        yield f"Record: {escape(record)}."


def _transcript(document: Document) -> Iterator[str]:
    day, headings = "", document.spans_days
    if not headings:
        yield ""
    for line in document.transcript:
        if headings and line.day != day:
            day = line.day
            yield ""
            yield f"### {day}"
            yield ""
        yield f"- [{line.minute}] {escape(line.text)}"
        yield from (f"  - {escape(point)}" for point in line.points)
