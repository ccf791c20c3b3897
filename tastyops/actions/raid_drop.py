"""``raid.drop``: a disk out of all the mirrors it is in."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tastyops.actions import action, param
from tastyops.domain.raid import guards, leaving, roster, suspects
from tastyops.domain.raid.missing import gaps, missing_disk
from tastyops.domain.raid.storage import Storage, other_uses, read_storage
from tastyops.domain.storage.disks import is_known, names_for, public_serial, require_disk
from tastyops.errors import Failed
from tastyops.facts.disks import Device
from tastyops.facts.signatures import RAID_MEMBER
from tastyops.model.action import DONE, Facts, Registered, done_or_already
from tastyops.model.commands import Command, Report, Steps
from tastyops.model.public_text import PublicText

_DIRECT = ("disk", "part")


@dataclass(frozen=True, kw_only=True)
class RaidDrop:
    """The parameters of ``raid.drop``."""

    disk: str = param("text", "The disk's serial number, or its name in /dev/disk/by-id")
    suspect: bool = param(
        "boolean", "The disk's data may be wrong: raid.add will rebuild it in full", False
    )
    forget: bool = param(
        "boolean", "Clear the disk's superblocks, so that no boot uses the old copy", False
    )
    may_stay: bool = param(
        "boolean", "With `forget`: report superblocks that cannot be cleared, and go on", False
    )
    absent: bool = param("boolean", "Accept a disk that is already gone from the machine", False)
    was: str = param(
        "text",
        "Where a disk that is gone was: an empty slot (`md0/2`) or md's name for it (`sdb`)",
        "",
    )


def _ending(registered: Registered) -> str:
    """What it did: a disk that is in no mirror cannot be dropped, but its copies can be cleared."""
    for field, word in (("removed", DONE), ("kept", "kept"), ("forgotten", "cleared")):
        if registered.get(field):
            return word
    return "marked" if registered.get("changed") else done_or_already(registered)


@action(
    "raid.drop",
    scalar="disk",
    returns={
        "disk": "word",
        "device": "device",
        "present": "flag",
        "mirrors": "device",
        "removed": "device",
        "forgotten": "device",
        "kept": "device",
        "also_used": "device",
        "suspect": "flag",
        "changed": "flag",
    },
    sentence="{{ device or disk }} taken out of every RAID mirror.",
    already="Disk {{ disk }} is in no RAID mirror.",
    endings={
        "cleared": "Old copies on {{ forgotten | length }} partitions of disk {{ disk }} cleared.",
        "kept": "Old copies on disk {{ disk }} could not be cleared.",
        "marked": "Disk {{ disk }} is in no RAID mirror; it is marked as suspect.",
    },
    ending=_ending,
    guarded=True,
)
def raid_drop(params: RaidDrop, facts: Facts) -> Steps:
    """Drop a disk, named by its serial number, from all RAID1 mirrors."""
    storage = yield from read_storage()
    if storage is None:
        return None
    disk = yield from _disk(params, storage, facts)
    mine = storage.on(disk) if disk else []
    uses = other_uses(storage, disk) if disk else {}
    stale = _stale(storage, disk) if disk and params.forget else []
    if disk:
        guards.may_drop(storage, disk, facts.force)
    yield from roster.record_serials(storage)
    marked = params.suspect and (yield from suspects.mark_suspect(_name(params, disk)))
    if disk:
        yield from _report_other_uses(uses)
        yield from leaving.drop_members(disk, storage, facts.force)
    fates: dict[str, leaving.Fate] = {}
    for device in stale:
        fates[device.path] = yield from leaving.forget(device)
    forgotten, kept = _with(fates, "cleared"), _with(fates, "stays")
    registered = {
        "disk": public_serial(_name(params, disk)),
        "device": disk.path if disk else None,
        "present": bool(disk and storage.disks.device(disk.kname)),
        "mirrors": [array.path for array, _ in mine],
        "removed": [member.path for _, member in mine],
        "forgotten": forgotten,
        "kept": kept,
        "also_used": sorted(uses),
        "suspect": params.suspect,
        "changed": bool(mine or forgotten or kept or marked),
    }
    if kept and not params.may_stay:
        raise Failed(leaving.stays(kept), registered)
    if kept:
        told = leaving.stays(kept)
        yield _entry(f"{told[0].upper()}{told[1:]}.")
    return registered


def _with(fates: dict[str, leaving.Fate], fate: leaving.Fate) -> list[str]:
    return [path for path, became in fates.items() if became == fate]


def _disk(
    params: RaidDrop, storage: Storage, facts: Facts
) -> Generator[Command, Any, Device | None]:
    """The disk that is meant, or what md still has of one that is gone; None if nothing is."""
    names = yield from names_for(storage.disks, params.disk)
    may_be_gone = params.absent or params.was or storage.gone()
    if not may_be_gone or is_known(storage.disks, params.disk, names):
        return require_disk(storage.disks, params.disk, names)
    serial = public_serial(params.disk)
    seen = serial in (facts.earlier("raid.drop").get("disk"),
                      facts.earlier("disk.detach").get("serial"))  # fmt: skip
    disk = yield from missing_disk(params.disk, params.was, storage, seen=seen)
    yield _entry(f"Disk {serial} is no longer there; missing: {gaps(storage)}.")
    return disk


def _name(params: RaidDrop, disk: Device | None) -> str:
    return disk.serial if disk and disk.serial else params.disk


def _stale(storage: Storage, disk: Device) -> list[Device]:
    """The devices on a disk that are members of arrays, or were: what is to be forgotten."""
    members = {member.device for _, member in storage.on(disk)}
    found = [disk, *storage.disks.on(disk.kname)]
    return [
        device
        for device in found
        if storage.disks.device(device.kname)
        and (device.kname in members or (device.fstype == RAID_MEMBER and device.type in _DIRECT))
    ]


def _report_other_uses(uses: dict[str, str]) -> Generator[Command, Any, None]:
    """Says what else the disk is used for; it is left alone."""
    for path, use in sorted(uses.items()):
        yield _entry(f"{path} on the same disk is {use}; it was left alone.")


def _entry(text: str) -> Report:
    return Report(entry=PublicText.fixed(text), note=text)
