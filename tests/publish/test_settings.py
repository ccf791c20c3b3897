"""`publish:` and `services:` of an inventory: what they give, and each fault with its place."""

from __future__ import annotations

import pytest

from tastyops.errors import InvalidFile
from tastyops.model.inventory import Inventory
from tastyops.model.publishing import DARK, LIGHT, Publishing, Service, contrast, slug
from tastyops.runbook.inventory_file import read_inventory

HOSTS = "hosts: {mill: {connection: practice}, forge: {connection: practice}}\n"


def read(text: str) -> Inventory:
    return read_inventory((HOSTS + text).encode(), "etc/inv.yml")


def problems(text: str) -> list[str]:
    with pytest.raises(InvalidFile) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


def test_a_whole_site() -> None:
    inventory = read(
        "groups: {all: [forge, mill]}\n"
        "services:\n"
        "  Web pages: mill\n"
        "  Mail: {hosts: all, units: [exim4.service], note: 'IMAP and SMTP'}\n"
        "publish:\n"
        "  title: Mill status\n"
        "  address: https://status.example.org/mill\n"
        "  feed: {authority: example.org, year: 2026}\n"
        "  site: public\n"
        "  logo: mill.svg\n"
        "  templates: ours\n"
        '  colour: "#7A1F1F"\n'
        "  next_update: 30m\n"
    )
    assert inventory.services == (
        Service("Web pages", ("mill",)),
        Service("Mail", ("forge", "mill"), ("exim4.service",), "IMAP and SMTP"),
    )
    assert inventory.publish == Publishing(
        title="Mill status",
        address="https://status.example.org/mill/",
        authority="example.org",
        year=2026,
        site="etc/public",
        logo="etc/mill.svg",
        templates="etc/ours",
        colour="#7a1f1f",
        next_update=1800,
    )


def test_an_inventory_without_a_site() -> None:
    assert read("").publish is None
    assert read("").services == ()
    assert read("publish: {}").publish == Publishing(site="etc/site")


@pytest.mark.parametrize(
    ("text", "place", "fault"),
    [
        ("publish: yes", "2:10", "must be a mapping"),
        ("publish: {titel: x}", "2:11", "'titel' is not a key of 'publish'"),
        ("publish: {title: ''}", "2:18", "must be one line of text"),
        ('publish: {title: "a\\nb"}', "2:18", "must be one line of text"),
        ("publish: {address: example.org}", "2:20", "is not the address of a site"),
        ("publish: {address: 'javascript:alert(1)'}", "2:20", "is not the address of a site"),
        ("publish: {address: 'https://u:p@example.org/'}", "2:20", "is not the address of a site"),
        ("publish: {address: 'https://example.org/?a=b'}", "2:20", "is not the address of a site"),
        ("publish: {address: 'https://example.org/'}", "2:11", "an address but no 'feed'"),
        ("publish: {feed: {authority: example.org}}", "2:17", "'feed' has no 'year'"),
        ("publish: {feed: {authority: Example, year: 2026}}", "2:29", "is no domain name"),
        ("publish: {feed: {authority: example.org, year: 26}}", "2:48", "'year' must be a year"),
        ("publish: {logo: logo.exe}", "2:17", "is no image"),
        ("publish: {colour: red}", "2:19", "is no colour"),
        ("publish: {colour: '#ffa500'}", "2:19", "has a contrast of 2.0 on #ffffff"),
        ("publish: {colour_dark: '#24478f'}", "2:24", "has a contrast of 2.1 on #0d1117"),
        ("publish: {next_update: soon}", "2:24", "is not a span of time"),
        ("publish: {next_update: 5s}", "2:24", "is shorter than a minute"),
        ("services: [web]", "2:11", "'services' must be a mapping"),
        ("services: {Web: mil}", "2:17", "the host or group 'mil' is not known"),
        ("services: {Web: {host: mill}}", "2:18", "'host' is not a key of the service 'Web'"),
        ("services: {'--': mill}", "2:12", "cannot be a service's name"),
        ("services: {Web: mill, web!: mill}", "2:23", "would share the file names"),
        ("services: {Web: {units: ['a b']}}", "2:26", "'a b' is no unit's name"),
    ],
)
def test_a_fault_is_found_with_its_place(text: str, place: str, fault: str) -> None:
    (found,) = problems(text)
    assert found.startswith(f"etc/inv.yml:{place}: ")
    assert fault in found


def test_the_colours_unless_set_otherwise_are_readable() -> None:
    assert contrast(Publishing().colour, LIGHT) >= 4.5
    assert contrast(Publishing().colour_dark, DARK) >= 4.5
    assert round(contrast("#000000", "#ffffff"), 1) == 21.0
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48


def test_the_slug_of_a_name_is_a_plain_file_name() -> None:
    assert slug("../Web & mail / IMAP ") == "web-mail-imap"
