"""Which disk is missing from the mirrors, identified and not guessed.

A disk that is gone has taken its serial number with it: md keeps the kernel's name of a member at
most, and the other members' superblocks have only the roles. So a serial number that no disk has
may be a slip of the pen. It is taken for the missing disk's only where something says so: an
earlier step of the same run, what the host remembers of its disks, or the runbook's ``was``.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any

from tastyops.domain.raid import roster
from tastyops.domain.raid.storage import Storage
from tastyops.errors import Refused
from tastyops.facts.disks import Device
from tastyops.facts.md import Array
from tastyops.model.commands import Command

_SERIAL = re.compile(r"(?!(?:ata|scsi|nvme|usb|virtio|mmc|ieee1394|wwn|dm|md|lvm-pv)-)[^/]+")
"""What may be a serial number: no path, and none of udev's names, which say more than that."""

_SLOT = re.compile(r"(?:/dev/)?(?P<array>md[A-Za-z0-9_.+-]*)/(?P<slot>[0-9]{1,4})")


def missing_disk(
    name: str, was: str, storage: Storage, *, seen: bool
) -> Generator[Command, Any, Device | None]:
    """What md still has of the missing disk of that name; None where nothing is left of it.

    ``seen``: an earlier step of this run found the disk by that name. Raises Refused where no
    disk is missing, and where nothing says that the missing one is this.
    """
    _need_gap(name, storage)
    _no_faulty(name, storage)
    if was:
        return _where(name, was, storage)
    gone = storage.gone()
    arrays = [array.name for array, _ in _empty(storage)]
    if len(gone) > 1 or len(set(arrays)) < len(arrays):
        raise Refused(f"several disks are gone ({gaps(storage)}): {_say(name, storage)}")
    if seen:
        return gone[0] if gone else None
    known = yield from roster.recorded_serials()
    absent = sorted(known - {disk.serial for disk in storage.disks.disks})
    if name not in absent:
        raise Refused(
            f"no disk is named {name} ({_there(storage)}), and nothing on this host tells"
            f" that the missing one ({gaps(storage)}) had that name: {_say(name, storage)}"
        )
    if len(absent) > 1:
        raise Refused(
            f"this host has had {', '.join(absent)}, and one disk is missing ({gaps(storage)}):"
            f" {_say(name, storage)}"
        )
    return gone[0] if gone else None


def gaps(storage: Storage) -> str:
    """What is missing from the arrays, in words: empty slots, or spares whose devices are gone."""
    empty = [f"slot {slot} of {array.path}" for array, slot in _empty(storage)]
    left = [
        f"{member.path} of {array.path}"
        for array, member in storage.members()
        if not storage.present(member)
    ]
    return ", ".join(empty or left)


def _empty(storage: Storage) -> list[tuple[Array, int]]:
    mirrors = (array for array in storage.arrays if not array.out_of_scope)
    return [(array, slot) for array in mirrors for slot in storage.empty(array)]


def _need_gap(name: str, storage: Storage) -> None:
    if not _SERIAL.fullmatch(name):
        raise Refused(
            f"no disk is named {name} ({_there(storage)}). A disk that is gone is named by"
            " its serial number: udev has no other name for it any more"
        )
    if not gaps(storage):
        raise Refused(
            f"no disk is named {name}, and no array lacks a disk, so none is gone"
            f" ({_there(storage)})"
        )


def _no_faulty(name: str, storage: Storage) -> None:
    """A member that was thrown out leaves an empty slot too, though its disk is still there."""
    for array, member in storage.members():
        if member.faulty and storage.present(member):
            disk = storage.disk_of(member)
            serial = disk.serial if disk else ""
            raise Refused(
                f"no disk is named {name}. {member.path} was thrown out of {array.path} and"
                f" is still there{f' (disk {serial})' if serial else ''}: drop that disk first, or"
                " name it if it is the one that is meant"
            )


def _where(name: str, was: str, storage: Storage) -> Device | None:
    """What is left of the disk that was there. Raises Refused where no disk is missing there."""
    gone = storage.gone()
    for disk in gone:
        if was.removeprefix("/dev/") == disk.kname:
            return disk
    found = _SLOT.fullmatch(was)
    array = storage.array(found["array"]) if found else None
    if found is None or array is None or int(found["slot"]) not in storage.empty(array):
        raise Refused(f"no disk is missing at {was}: {_say(name, storage)}")
    if not gone:
        return None
    if len(gone) == 1 and len(storage.empty(array)) == 1:
        return gone[0]
    names = ", ".join(disk.kname for disk in gone)
    raise Refused(f"md still has members of disks that are gone ({names}): say which with `was`")


def _say(name: str, storage: Storage) -> str:
    """What to write, by an example that fits."""
    gone = [disk.kname for disk in storage.gone()]
    empty = [f"{array.name}/{slot}" for array in storage.arrays for slot in storage.empty(array)]
    places = " or ".join(f"`was: {place}`" for place in (gone or empty)[:3])
    return f"if {name} was there, say where with {places}"


def _there(storage: Storage) -> str:
    serials = sorted({disk.serial for disk in storage.disks.disks if disk.serial})
    return f"there are: {', '.join(serials) or 'none known'}"
