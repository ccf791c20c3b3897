"""What fstab wants mounted and what is, as findmnt(8) knows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tastyops.errors import ProbeFailed
from tastyops.facts.readings import Answer, Parsers, Reading, as_path, from_json

_FORM = ("--json", "--list", "-o", "TARGET,SOURCE,FSTYPE,OPTIONS")
FSTAB = Reading(("findmnt", "--fstab", *_FORM), "filesystems")
MOUNTED = Reading(("findmnt", *_FORM), "filesystems")


@dataclass(frozen=True, slots=True)
class Filesystem:
    """A line of fstab, or a mount; ``options`` as they are written there."""

    target: str
    source: str
    fstype: str
    options: frozenset[str]


def unmounted(fstab: Iterable[Filesystem], mounted: Iterable[Filesystem]) -> tuple[str, ...]:
    """The directories fstab wants mounted at boot and that are not (fstab(5))."""
    there = {each.target for each in mounted}
    return tuple(each.target for each in _at_boot(fstab) if each.target not in there)


def read_only(fstab: Iterable[Filesystem], mounted: Iterable[Filesystem]) -> tuple[str, ...]:
    """The directories fstab wants writable and that are mounted read-only."""
    there = {each.target: each.options for each in mounted}
    wanted = (each.target for each in _at_boot(fstab) if "ro" not in each.options)
    return tuple(target for target in wanted if "ro" in there.get(target, ()))


def _at_boot(fstab: Iterable[Filesystem]) -> list[Filesystem]:
    return [
        each
        for each in fstab
        if each.target.startswith("/") and each.fstype != "swap" and "noauto" not in each.options
    ]


def _filesystems(answer: Answer) -> tuple[Filesystem, ...]:
    if answer.status == 1 and not answer.text.strip():
        return ()  # findmnt found none
    data = from_json(answer)
    rows = data.get("filesystems") if isinstance(data, dict) else None
    if not isinstance(rows, list):
        raise ProbeFailed("that is not a list of file systems")
    return tuple(_filesystem(row) for row in rows)


def _filesystem(row: Any) -> Filesystem:
    if not isinstance(row, dict) or not isinstance(row.get("target"), str):
        raise ProbeFailed("that is not a file system")
    options = str(row.get("options") or "").split(",")
    source, fstype = str(row.get("source") or ""), str(row.get("fstype") or "")
    return Filesystem(as_path(row["target"]), source, fstype, frozenset(options))


PARSERS: Parsers = {"filesystems": _filesystems}
