"""LVM: volume groups, logical and physical volumes, as its JSON reports say (lvmreport(7))."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tastyops.errors import ProbeFailed
from tastyops.facts.readings import Answer, Parsers, Reading, from_json
from tastyops.model.public_text import is_fact

_NAME = re.compile(r"[A-Za-z0-9+_.][A-Za-z0-9+_.-]{0,127}")
"""Names of groups and volumes: letters, digits and ``+ _ . -``, with no hyphen first (lvm(8))."""

_MISSING = ("[unknown]", "unknown device")
"""What pvs calls a physical volume whose device is gone."""

_REPORT = ("--reportformat", "json", "--units", "b", "--nosuffix", "--options")

VOLUMES = Reading(
    ("lvs", *_REPORT, "lv_name,vg_name,lv_path,lv_dm_path,lv_size,lv_attr,lv_layout,origin"),
    "volumes",
)
GROUPS = Reading(
    ("vgs", *_REPORT, "vg_name,vg_extent_size,vg_free_count,vg_extent_count"), "volume_groups"
)
PHYSICAL = Reading(("pvs", *_REPORT, "pv_name,vg_name,pv_size"), "physical_volumes")


@dataclass(frozen=True, slots=True)
class Volume:
    """A logical volume. ``size`` is bytes; ``attributes`` as in lvs(8)."""

    name: str
    group: str
    path: str
    mapped: str
    """Its name in /dev/mapper."""
    size: int
    attributes: str
    layout: str
    origin: str

    @property
    def linear(self) -> bool:
        """Whether it is plain: no snapshot, not thin, not cached, not LVM's own RAID."""
        return self.layout == "linear" and not self.origin

    @property
    def invalid(self) -> bool:
        """Whether it is a snapshot that ran out of room (lv_attr's fifth character)."""
        return self.attributes[4:5] in ("I", "S")


@dataclass(frozen=True, slots=True)
class VolumeGroup:
    """A volume group. ``extent`` is bytes, ``free`` and ``extents`` count extents."""

    name: str
    extent: int
    free: int
    extents: int

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self.extent * self.extents


@dataclass(frozen=True, slots=True)
class PhysicalVolume:
    """A physical volume; ``group`` is empty for one in no group."""

    device: str
    group: str
    size: int


def _report(answer: Answer, kind: str) -> list[dict[str, Any]]:
    data = from_json(answer)
    try:
        rows = [row for report in data["report"] for row in report[kind]]
    except (KeyError, TypeError) as error:
        raise ProbeFailed("that is not one of LVM's reports") from error
    if not all(isinstance(row, dict) for row in rows):
        raise ProbeFailed("that is not one of LVM's reports")
    return rows


def _rows(kind: str, made: Callable[[dict[str, Any]], Any]) -> Callable[[Answer], Any]:
    def parse(answer: Answer) -> tuple[Any, ...]:
        try:
            return tuple(made(row) for row in _report(answer, kind))
        except (KeyError, TypeError, ValueError) as error:
            raise ProbeFailed("that is not one of LVM's reports") from error

    return parse


def _name(row: dict[str, Any], column: str) -> str:
    name = str(row[column])
    if name and not (_NAME.fullmatch(name) or is_fact("device", name) or name in _MISSING):
        raise ProbeFailed("that is not a name LVM allows")
    return name


def _volume(row: dict[str, Any]) -> Volume:
    return Volume(
        name=str(row["lv_name"]),
        group=_name(row, "vg_name"),
        path=str(row["lv_path"]),
        mapped=str(row["lv_dm_path"]),
        size=int(row["lv_size"]),
        attributes=str(row["lv_attr"]),
        layout=str(row["lv_layout"]),
        origin=str(row["origin"]),
    )


def _group(row: dict[str, Any]) -> VolumeGroup:
    numbers = ("vg_extent_size", "vg_free_count", "vg_extent_count")
    extent, free, extents = (int(row[column]) for column in numbers)
    if extent <= 0:
        raise ProbeFailed("that is not the size of an extent")
    return VolumeGroup(_name(row, "vg_name"), extent, free, extents)


def _physical(row: dict[str, Any]) -> PhysicalVolume:
    return PhysicalVolume(str(row["pv_name"]), _name(row, "vg_name"), int(row["pv_size"]))


PARSERS: Parsers = {
    "volumes": _rows("lv", _volume),
    "volume_groups": _rows("vg", _group),
    "physical_volumes": _rows("pv", _physical),
}
