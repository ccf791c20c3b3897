"""Disks whose content may be wrong, remembered on the host: a disk outlives the run.

The mark is an empty file named by the serial number. It stays until somebody removes it: what a
disk once did is a reason to look at it again whenever it is met.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any
from urllib.parse import quote

from tastyops.errors import Failed
from tastyops.facts.disks import Device
from tastyops.model.commands import Change, Command, Probe, Unknown

FOLDER = "/var/lib/tastyops/suspect-disks"
_MARKS = ("sh", "-c", f'test ! -d {FOLDER} || ls -1 "{FOLDER}"')


def _marked(name: str) -> str:
    return quote(name.removeprefix("/dev/disk/by-id/"), safe="").replace(".", "%2E")


def mark_suspect(name: str) -> Generator[Command, Any, bool]:
    """Marks the disk of that name; False if it was marked already."""
    marks: tuple[str, ...] | Unknown = yield Probe(_MARKS, "lines")
    if not isinstance(marks, Unknown) and _marked(name) in marks:
        return False
    path = f"{FOLDER}/{_marked(name)}"
    made = yield Change(
        ("sh", "-c", 'mkdir -p "$1" && touch "$2"', "sh", FOLDER, path),
        sudo=True,
        settle=Probe(("test", "-e", path), "holds"),
    )
    if not isinstance(made, Unknown) and not made.ok:
        raise Failed("the disk could not be marked as suspect", {"status": made.status})
    return True


def is_marked(disk: Device, name: str) -> Generator[Command, Any, bool]:
    """Whether a disk was marked as suspect, by that name or by its serial number."""
    marks: tuple[str, ...] | Unknown = yield Probe(_MARKS, "lines")
    if isinstance(marks, Unknown):
        return False
    return bool({_marked(name), _marked(disk.serial or name)} & set(marks))
