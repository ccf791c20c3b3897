"""The log as plain text, in the shape of the status pages it is modelled on."""

from __future__ import annotations

from collections.abc import Iterator

from tastyops.records.document.build import Document


def render_text(document: Document) -> str:
    """The whole log."""
    return "\n".join(_lines(document)) + "\n"


def _lines(document: Document) -> Iterator[str]:
    yield document.heading
    yield ""
    yield document.subtitle
    yield f"Attending: {', '.join(document.attending) or 'nobody yet'}"
    yield f"Status: {document.status}."
    if document.at_risk:
        yield f"At-risk period: {document.at_risk}."
    yield ""
    yield from (f"  • {line}" for line in document.summary)
    if document.works:
        yield "  • Works to be carried out:"
        yield from (f"    • {work.title} {work.note}".rstrip() for work in document.works)
    if document.summary or document.works:
        yield ""
    yield f"Transcript, times are in {document.zone}:"
    yield from _transcript(document)
    if document.records:
        yield ""
        yield from (f"Record: {record}." for record in document.records)


def _transcript(document: Document) -> Iterator[str]:
    day, headings = "", document.spans_days
    for line in document.transcript:
        if headings and line.day != day:
            day = line.day
            yield day
        yield f"  • [{line.minute}] {line.text}"
        yield from (f"    • {point}" for point in line.points)
