"""What the public pages need from the inventory: the site's identity and the services' names."""

from __future__ import annotations

import re
from dataclasses import dataclass

LIGHT, DARK = "#ffffff", "#0d1117"
"""The page's background in the light and in the dark colour scheme."""

LEAST_CONTRAST = 4.5
"""Contrast that text needs against its background (WCAG 2.2, 1.4.3, level AA)."""

COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class Service:
    """Something users know by name, and the hosts and units that provide it.

    Only the name and the note are public. ``slug`` is the name as it stands in file names.
    """

    name: str
    hosts: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    note: str = ""

    @property
    def slug(self) -> str:
        """``Web mail`` becomes ``web-mail``."""
        return slug(self.name)


@dataclass(frozen=True, slots=True)
class Publishing:
    """The site: its identity and its looks. Paths are absolute or relative to the inventory.

    ``address`` ends with a slash. ``authority`` and ``year`` make the permanent ids of feed entries
    (RFC 4151), so neither may change once the site was published. ``next_update`` is the number of
    seconds within which an open log promises its next entry.
    """

    title: str = "Status"
    address: str = ""
    authority: str = ""
    year: int = 0
    site: str = "site"
    logo: str = ""
    templates: str = ""
    colour: str = "#0550ae"
    colour_dark: str = "#79c0ff"
    next_update: float = 3600.0


def slug(name: str) -> str:
    """A name in lower case, with a hyphen for each run of other characters."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def contrast(first: str, second: str) -> float:
    """The contrast ratio of two ``#rrggbb`` colours, from 1 to 21 (WCAG 2.2, "contrast ratio")."""
    darker, lighter = sorted((_luminance(first), _luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
