"""``raid.add``: a disk's partitions into the mirrors that lack a member."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tastyops.actions import action, param
from tastyops.domain.raid import joining, suspects
from tastyops.domain.raid.storage import Storage, read_storage
from tastyops.domain.storage.disks import find_disk, need_free, public_serial
from tastyops.errors import Refused
from tastyops.facts.disks import Device
from tastyops.facts.md import Array
from tastyops.facts.signatures import RAID_MEMBER
from tastyops.model.action import Facts
from tastyops.model.commands import Command, Steps


@dataclass(frozen=True, kw_only=True)
class RaidAdd:
    """The parameters of ``raid.add``."""

    disk: str = param("text", "The disk's serial number, or its name in /dev/disk/by-id")
    members: dict[str, Any] | None = param(
        "mapping",
        "Which partition for which array, such as {md0: 1}; default: as on the other disks",
        None,
    )
    quick: bool = param(
        "boolean", "If the bitmap allows, copy only what changed since the disk was dropped", False
    )
    spare: bool = param("boolean", "Add the disk as a spare to mirrors that lack no member", False)


@action(
    "raid.add",
    scalar="disk",
    returns={
        "disk": "word",
        "device": "device",
        "mirrors": "device",
        "added": "device",
        "quickly": "device",
        "changed": "flag",
    },
    sentence="Partitions of {{ device }} added to {{ mirrors | length }} RAID mirrors.",
    already="{{ device }} has partitions in {{ mirrors | length }} RAID mirrors.",
    guarded=True,
)
def raid_add(params: RaidAdd, facts: Facts) -> Steps:
    """Add a disk, named by its serial number, to RAID1 mirrors; by default rebuilt in full."""
    storage = yield from read_storage()
    if storage is None:
        return None
    disk = yield from find_disk(storage.disks, params.disk)
    if params.quick:
        yield from _trusted(disk, params.disk, facts)
    wanted = joining.pairs(storage, disk, params.members, spare=params.spare)
    new = [(array, device) for array, device in wanted if not _joined(array, device)]
    found = []
    for array, device in new:
        joining.fits(storage, array, device, spare=params.spare)
        yield from need_free(device.path)
        seen = yield from joining.found_on(storage, array, device, facts.force)
        quick = params.quick and _quick(storage, array, device, seen)
        found.append((array, device, seen, quick))
    for array, device, seen, quick in found:
        yield from joining.join(array, device, seen, quick=quick)
    return {
        "disk": public_serial(disk.serial or params.disk),
        "device": disk.path,
        "mirrors": [array.path for array, _ in wanted],
        "added": [device.path for _, device in new],
        "quickly": [device.path for _, device, _, quick in found if quick],
        "changed": bool(new),
    }


def _trusted(disk: Device, name: str, facts: Facts) -> Generator[Command, Any, None]:
    """A disk that wrote garbage keeps it where the bitmap says that nothing changed."""
    dropped = facts.earlier("raid.drop")
    here = dropped.get("suspect") and dropped.get("disk") == public_serial(disk.serial or name)
    if here or (yield from suspects.is_marked(disk, name)):
        raise Refused(
            f"{name} is marked as suspect: what it holds may be wrong, so it is only"
            " taken back by a full rebuild, without `quick`"
        )


def _joined(array: Array, device: Device) -> bool:
    member = array.member(device.kname)
    if member and member.faulty:
        raise Refused(f"{device.path} was thrown out of {array.path}: raid.drop it first")
    return member is not None


def _quick(storage: Storage, array: Array, device: Device, seen: tuple[str, ...]) -> bool:
    ours = RAID_MEMBER in seen and joining.of_this_array(storage, array, device)
    return ours and array.bitmap
