"""The Atom feed (RFC 4287): an entry for each update of a log, newest first.

An update that readers must see is an entry with an id of its own, because feed readers disagree
about changed entries. Ids are ``tag:`` URIs (RFC 4151) from the inventory's ``feed:``, so that they
outlive the site's address. The dates are those of recording, in whole seconds that strictly rise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from xml.etree import ElementTree as ET

from markupsafe import escape

from tastyops.journal.public_events import Closed, Corrected, LogOpened, PublicEvent, RiskPeriod
from tastyops.model.public_text import one_line
from tastyops.model.publishing import Publishing, Service
from tastyops.publish.summary import Summary, as_moment, in_words, moment
from tastyops.records.document.build import Document

ENTRIES = 50
"""Entries in a feed."""

LARGEST = 100_000
"""Bytes of a feed; the newest entry is always in it."""

QUIET = timedelta(minutes=10)
"""A pause after which earlier entries no longer push the dates of later ones."""

MOST_READ = 1000

ATOM = "http://www.w3.org/2005/Atom"


@dataclass(frozen=True, slots=True)
class Update:
    """What became known of a log at a moment."""

    log: Summary
    number: int
    """Of its line in the log's journal."""
    at: datetime
    text: str
    points: tuple[str, ...] = ()


def updates(log: Summary, document: Document, events: Sequence[PublicEvent]) -> Iterator[Update]:
    """Every update of a log, without withdrawn entries; a corrected entry has its new text."""
    lines = {line.number: line for line in document.transcript}
    for event in events:
        line, text = lines.get(event.seq), ""
        points: tuple[str, ...] = ()
        if line is not None:
            text, points = line.text, line.points
        match event.body:
            case LogOpened():
                text = "Opened. " + " ".join(document.summary)
            case RiskPeriod() as period:
                text = _period(period, log)
            case Closed(status=status):
                text = f"{status}."
            case Corrected(entry=number) if number in lines:
                text, points = f"Corrected: {lines[number].text}", lines[number].points
            case _:
                pass
        if text.strip():
            yield Update(log, event.seq, event.recorded_at, text, points)


def _period(period: RiskPeriod, log: Summary) -> str:
    begins, ends = as_moment(period.begins), as_moment(period.ends)
    shown = [in_words(at, log.offset) for at in (begins, ends) if at]
    if ends is None:
        return ""
    return (
        f"At-risk period: from {shown[0]} until {shown[1]}."
        if begins
        else (f"At-risk period until {shown[0]}.")
    )


def newest(logs: Iterable[Summary], read: Callable[[Summary], Iterable[Update]]) -> list[Update]:
    """The newest updates of these logs, oldest first, with as many before as their dates need.

    ``logs`` are given by their last change, newest first. A log is read only if one of its updates
    may belong here.
    """
    found: list[Update] = []
    for log in logs:
        found.sort(key=lambda each: (each.at, each.log.number, each.number))
        if len(found) > ENTRIES and found[-ENTRIES].at > moment(log.changed) + QUIET:
            break
        if len(found) > MOST_READ:
            break
        found.extend(read(log))
    found.sort(key=lambda each: (each.at, each.log.number, each.number))
    start = max(0, len(found) - ENTRIES)
    while start and found[start].at - found[start - 1].at < QUIET:
        start -= 1
    return found[start:]


def dated(found: Sequence[Update]) -> list[tuple[datetime, Update]]:
    """Each update with its date: whole seconds, each later than the one before."""
    dates: list[tuple[datetime, Update]] = []
    for update in found:
        at = update.at.replace(microsecond=0)
        if dates and at <= dates[-1][0]:
            at = dates[-1][0] + timedelta(seconds=1)
        dates.append((at, update))
    return dates


def render_feed(
    found: Sequence[Update], site: Publishing, path: str, service: Service | None,
    services: Sequence[Service],
) -> bytes:  # fmt: skip
    """The feed at ``path`` of the site."""
    entries = dated(found)[-ENTRIES:][::-1]
    names = {each.slug: each.name for each in services}
    ET.register_namespace("", ATOM)
    while True:
        data = _document(entries, site, path, service, names)
        if len(data) <= LARGEST or len(entries) <= 1:
            return data
        entries = entries[: max(1, len(entries) * LARGEST // len(data) - 1)]


def _document(
    entries: Sequence[tuple[datetime, Update]], site: Publishing, path: str,
    service: Service | None, names: dict[str, str],
) -> bytes:  # fmt: skip
    identity = f"tag:{site.authority},{site.year}:"
    feed = ET.Element(f"{{{ATOM}}}feed")
    _child(feed, "id", f"{identity}feed" + (f"/{service.slug}" if service else ""))
    title = one_line(f"{site.title}: {service.name}" if service else site.title)
    _child(feed, "title", title)
    last = entries[0][0] if entries else datetime(site.year, 1, 1)
    _child(feed, "updated", f"{last:%Y-%m-%dT%H:%M:%SZ}")
    author = _child(feed, "author", "")
    _child(author, "name", one_line(site.title))
    page = f"services/{service.slug}.html" if service else "index.html"
    _child(feed, "link", "", rel="self", type="application/atom+xml", href=site.address + path)
    _child(feed, "link", "", rel="alternate", type="text/html", href=site.address + page)
    for date, update in entries:
        log = update.log
        entry = _child(feed, "entry", "")
        _child(entry, "id", f"{identity}{log.number}/{update.number}")
        _child(entry, "title", f"{log.tag} {log.short_title}", type="text")
        for name in ("published", "updated"):
            _child(entry, name, f"{date:%Y-%m-%dT%H:%M:%SZ}")
        _child(entry, "link", "", rel="alternate", type="text/html", href=site.address + log.page)
        for slug in log.services:
            _child(entry, "category", "", term=names.get(slug, slug))
        _child(entry, "content", _html(update), type="html")
    body: bytes = ET.tostring(feed, encoding="utf-8")
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + body + b"\n"


def _html(update: Update) -> str:
    """The update as HTML, which the XML writer escapes once more."""
    practice = "<p><strong>PRACTICE</strong></p>" if update.log.practice else ""
    points = "".join(f"<li>{escape(one_line(point))}</li>" for point in update.points)
    text = f"{practice}<p>{escape(one_line(update.text))}</p>"
    return text + (f"<ul>{points}</ul>" if points else "")


def _child(parent: ET.Element, name: str, text: str, **attributes: str) -> ET.Element:
    child = ET.SubElement(parent, f"{{{ATOM}}}{name}", attributes)
    child.text = text or None
    return child
