"""The inventory's ``publish`` and ``services``: the public site, and what users call its parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from tastyops.errors import shown
from tastyops.model.duration import parse_duration
from tastyops.model.public_text import one_line
from tastyops.model.publishing import (
    COLOUR,
    DARK,
    LEAST_CONTRAST,
    LIGHT,
    Publishing,
    Service,
    contrast,
)
from tastyops.runbook.findings import Findings, is_null
from tastyops.runbook.yaml_tree import MappingNode, Node, ScalarNode, plain_value

KEYS = (
    "title", "address", "feed", "site", "logo", "templates", "colour", "colour_dark", "next_update",
)  # fmt: skip
FEED_KEYS = ("authority", "year")
SERVICE_KEYS = ("hosts", "units", "note")
LOGO_TYPES = (".svg", ".png", ".jpg", ".jpeg", ".webp")

_AUTHORITY = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}", re.ASCII)
_UNIT = re.compile(r"[A-Za-z0-9:_.@\\-]{1,255}", re.ASCII)
_LONGEST_NAME = 60

_Fields = dict[str, tuple[ScalarNode, Node]]


def read_publishing(
    findings: Findings, node: Node, beside: Callable[[str], str]
) -> Publishing | None:
    """The ``publish`` mapping; ``beside`` makes a path relative to the inventory. Notes faults."""
    if is_null(node):
        return None
    fields = findings.fields(node, "'publish'", KEYS)
    if fields is None:
        return None
    default = Publishing()
    address = _address(findings, fields)
    authority, year = _feed(findings, fields)
    if address and "feed" not in fields:
        hint = "add feed: {authority: example.org, year: 2026}; never change them afterwards"
        findings.add(fields["address"][0].place, "'publish' has an address but no 'feed'", hint)

    def path(name: str) -> str:
        text = _line(findings, fields, name)
        return beside(text) if text else ""

    logo = path("logo")
    if logo and not logo.lower().endswith(LOGO_TYPES):
        hint = f"use one of {', '.join(LOGO_TYPES)}"
        findings.add(fields["logo"][1].place, f"the logo {shown(logo)} is no image", hint)
    return Publishing(
        title=_line(findings, fields, "title") or default.title,
        address=address,
        authority=authority,
        year=year,
        site=path("site") or beside(default.site),
        logo=logo,
        templates=path("templates"),
        colour=_colour(findings, fields, "colour", LIGHT) or default.colour,
        colour_dark=_colour(findings, fields, "colour_dark", DARK) or default.colour_dark,
        next_update=_span(findings, fields, default.next_update),
    )


def read_services(findings: Findings, node: Node, hosts: Collection[str]) -> tuple[Service, ...]:
    """The ``services`` mapping, in the order written; ``hosts`` are the names it may use."""
    if is_null(node):
        return ()
    if not isinstance(node, MappingNode):
        findings.expected(node, "'services'", "a mapping (name: hosts)")
        return ()
    services: dict[str, Service] = {}
    for key, value in node.entries:
        service = _service(findings, key, value, hosts)
        other = services.get(service.slug)
        if not service.slug or one_line(key.text) != key.text or len(key.text) > _LONGEST_NAME:
            hint = f"a name has a letter or digit and at most {_LONGEST_NAME} characters"
            findings.add(key.place, f"{shown(key.text)} cannot be a service's name", hint)
        elif other is not None:
            message = f"{shown(key.text)} and {shown(other.name)} would share the file names"
            findings.add(key.place, message, "rename one of them")
        services.setdefault(service.slug, service)
    return tuple(services.values())


def _service(findings: Findings, key: ScalarNode, node: Node, hosts: Collection[str]) -> Service:
    if not isinstance(node, MappingNode):
        return Service(key.text, _hosts(findings, node, hosts))
    what = f"the service {shown(key.text)}"
    fields = findings.fields(node, what, SERVICE_KEYS) or {}
    units = []
    for item in findings.items(fields["units"][1], "'units'") if "units" in fields else ():
        unit = findings.text(item, "a unit")
        if unit is not None and not _UNIT.fullmatch(unit):
            findings.add(
                item.place, f"{shown(unit)} is no unit's name", "for example exim4.service"
            )
        units.append(unit or "")
    return Service(
        key.text,
        _hosts(findings, fields["hosts"][1], hosts) if "hosts" in fields else (),
        tuple(units),
        _line(findings, fields, "note"),
    )


def _hosts(findings: Findings, node: Node, known: Collection[str]) -> tuple[str, ...]:
    found = []
    for item in findings.items(node, "a service's hosts"):
        name = findings.text(item, "a host or group")
        if name is not None and name not in known:
            findings.unknown(item.place, "the host or group", name, known)
        elif name is not None:
            found.append(name)
    return tuple(found)


def _line(findings: Findings, fields: _Fields, name: str) -> str:
    """A text of one line; empty if the key is missing."""
    if name not in fields:
        return ""
    node = fields[name][1]
    text = findings.text(node, shown(name))
    if text is not None and (not text.strip() or one_line(text) != text):
        findings.add(node.place, f"{shown(name)} must be one line of text that is not empty")
        return ""
    return text or ""


def _address(findings: Findings, fields: _Fields) -> str:
    text = _line(findings, fields, "address")
    if not text:
        return ""
    place = fields["address"][1].place
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("https", "http") and bool(parts.hostname)
        sound = sound and not (parts.query or parts.fragment or "@" in parts.netloc)
        sound = (
            sound and re.fullmatch(r"[!-~]+", text) is not None and not set(text) & set("\"'<>\\")
        )
    except ValueError:
        sound = False
    if not sound:
        hint = "for example https://status.example.org/"
        findings.add(place, f"{shown(text)} is not the address of a site", hint)
        return ""
    return text if text.endswith("/") else text + "/"


def _feed(findings: Findings, fields: _Fields) -> tuple[str, int]:
    if "feed" not in fields:
        return "", 0
    node = fields["feed"][1]
    known = findings.fields(node, "'feed'", FEED_KEYS)
    if known is None:
        return "", 0
    for missing in [key for key in FEED_KEYS if key not in known]:
        hint = "write {authority: example.org, year: 2026}"
        findings.add(node.place, f"'feed' has no {shown(missing)}", hint)
    authority = _line(findings, known, "authority")
    if authority and not _AUTHORITY.fullmatch(authority):
        hint = "a domain name in lower case that is yours in that year"
        findings.add(known["authority"][1].place, f"{shown(authority)} is no domain name", hint)
    year = 0
    if "year" in known:
        value = plain_value(known["year"][1]) if isinstance(known["year"][1], ScalarNode) else None
        if isinstance(value, int) and not isinstance(value, bool) and 1990 <= value <= 2262:
            year = value
        else:
            findings.expected(known["year"][1], "'year'", "a year such as 2026")
    return authority, year


def _colour(findings: Findings, fields: _Fields, name: str, background: str) -> str:
    text = _line(findings, fields, name)
    if not text:
        return ""
    place = fields[name][1].place
    if not COLOUR.fullmatch(text):
        findings.add(place, f"{shown(text)} is no colour", 'write it as "#0550ae", in quotes')
        return ""
    ratio = contrast(text, background)
    if ratio < LEAST_CONTRAST:
        findings.add(
            place,
            f"{shown(name)} {text} has a contrast of {ratio:.1f} on {background}; text needs "
            f"{LEAST_CONTRAST}",
            "choose a darker one" if background == LIGHT else "choose a lighter one",
        )
        return ""
    return text.lower()


def _span(findings: Findings, fields: _Fields, default: float) -> float:
    text = _line(findings, fields, "next_update")
    if not text:
        return default
    try:
        span = parse_duration(text)
    except ValueError as error:
        findings.add(fields["next_update"][1].place, str(error))
        return default
    if span < 60:
        findings.add(fields["next_update"][1].place, "'next_update' is shorter than a minute")
    return span
