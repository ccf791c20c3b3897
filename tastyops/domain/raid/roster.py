"""The disks of the mirrors, remembered on the host by serial number.

A disk that is gone can no longer be asked for its serial number. So the serial numbers of those
that are there are kept, an empty file for each: with the list, a name that no disk has is either
that of a disk that was here, or a slip of the pen.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any
from urllib.parse import quote, unquote

from tastyops.domain.raid.storage import Storage
from tastyops.errors import Failed
from tastyops.model.commands import Change, Command, Probe, Unknown

FOLDER = "/var/lib/tastyops/disks"
_LISTED = Probe(("sh", "-c", f'test ! -d {FOLDER} || ls -1 "{FOLDER}"'), "lines")
_ADD = 'mkdir -p "$1" && cd "$1" && shift && touch "$@"'
_REPLACE = 'mkdir -p "$1" && cd "$1" && shift && rm -f ./* && touch "$@"'


def recorded_serials() -> Generator[Command, Any, frozenset[str]]:
    """The serial numbers of the disks that the mirrors of this host have had."""
    names: tuple[str, ...] | Unknown = yield _LISTED
    return frozenset() if isinstance(names, Unknown) else frozenset(map(unquote, names))


def record_serials(storage: Storage, *, exactly: bool = False) -> Generator[Command, Any, None]:
    """Keeps the serial numbers of the disks that have members of mirrors.

    With ``exactly`` those of other disks are forgotten, as they have left for good, unless a
    mirror lacks a member: it may have been on one of them.
    """
    exactly = exactly and not any(storage.empty(array) for array in storage.arrays)
    disks = (storage.disk_of(member) for _, member in storage.members())
    there = {disk.serial for disk in disks if disk and disk.serial}
    before = yield from recorded_serials()
    if not there or (there == before if exactly else there <= before):
        return
    names = [_file(serial) for serial in sorted(there)]
    script = _REPLACE if exactly else _ADD
    kept = yield Change(("sh", "-c", script, "sh", FOLDER, *names), sudo=True)
    if not isinstance(kept, Unknown) and not kept.ok:
        why = "the serial numbers of the disks could not be recorded"
        raise Failed(why, {"status": kept.status})


def _file(serial: str) -> str:
    """A file's name: no path, and nothing that a program takes for an option."""
    return re.sub(r"^[-.]", lambda first: f"%{ord(first[0]):02X}", quote(serial, safe=""))
