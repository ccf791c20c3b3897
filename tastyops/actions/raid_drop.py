"""``raid.drop``: a disk out of all the mirrors it is in."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tastyops.actions import action, param
from tastyops.commands import Command, Report, Steps
from tastyops.errors import Failed, Refused
from tastyops.mirrors import guards, leaving, suspects
from tastyops.mirrors.storage import Storage, look, other_uses
from tastyops.model.action import Facts
from tastyops.model.text import PublicText
from tastyops.probes.disks import Device
from tastyops.probes.signatures import RAID_MEMBER
from tastyops.storage.disks import public_serial, the_disk

_DIRECT = ("disk", "part")


@dataclass(frozen=True, kw_only=True)
class RaidDrop:
    """Which disk, and what is to become of what is on it."""

    disk: str = param("text", "The disk's serial number, or its name in /dev/disk/by-id")
    suspect: bool = param(
        "boolean", "What it holds may be wrong: raid.add will not take it back quickly", False
    )
    forget: bool = param(
        "boolean", "Clear its superblocks, so that nothing takes the old copy for a good one", False
    )
    may_stay: bool = param(
        "boolean", "With `forget`: go on where they cannot be cleared; the log says so", False
    )
    absent: bool = param("boolean", "The disk may be gone already, its members with it", False)


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
    sentence="{{ device or disk }} dropped from all RAID mirrors.",
    guarded=True,
)
def raid_drop(params: RaidDrop, facts: Facts) -> Steps:
    """Drop a disk, named by its serial number, from all RAID1 mirrors."""
    storage = yield from look()
    if storage is None:
        return None
    disk = _disk(params, storage)
    if disk is None and not facts.force:
        _is_missed(params.disk, storage)
    mine = storage.on(disk) if disk else []
    uses = other_uses(storage, disk) if disk else {}
    stale = _stale(storage, disk) if disk and params.forget else []
    if disk:
        guards.may_drop(storage, disk, facts.force)
    if not storage.disks.named(params.disk):
        yield from _assumed(params.disk, storage)
    marked = params.suspect and (yield from suspects.mark(_name(params, disk)))
    if disk:
        yield from _told(uses)
        yield from leaving.drop(disk, storage, facts.force)
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
        yield _said(f"{told[0].upper()}{told[1:]}.")
    return registered


def _with(fates: dict[str, leaving.Fate], fate: leaving.Fate) -> list[str]:
    return [path for path, became in fates.items() if became == fate]


def _disk(params: RaidDrop, storage: Storage) -> Device | None:
    """The disk that is meant, or what md still has of one that is gone; None if nothing is.

    A disk that is gone has no serial number any more; md's superblocks on the others have only
    the roles of members. If every disk that is there has another one, and only one is missing, it
    is taken for that one, and ``_assumed`` says so.
    """
    gone = storage.gone()
    if storage.disks.named(params.disk) or not (gone or params.absent):
        return the_disk(storage.disks, params.disk)
    if len(gone) > 1:
        names = ", ".join(disk.path for disk in gone)
        raise Refused(f"several disks are gone ({names}): which of them is {params.disk}?")
    return gone[0] if gone else None


def _is_missed(name: str, storage: Storage) -> None:
    """A disk that is gone leaves a gap; where there is none, its name is a slip. Raises Refused."""
    if not any(array.degraded for array in storage.arrays):
        there = ", ".join(sorted(disk.serial for disk in storage.disks.disks if disk.serial))
        raise Refused(
            f"there is no disk called {name}, and no array lacks a disk, so none is gone"
            f" (there are: {there or 'none known'})"
        )


def _assumed(name: str, storage: Storage) -> Generator[Command, Any, None]:
    """Says which empty slots are taken for a disk that is gone: md keeps no serial numbers."""
    empty = [
        f"slot {slot} of {array.path}" for array in storage.arrays for slot in storage.empty(array)
    ]
    if empty:
        known = f"No disk is called {public_serial(name)}"
        yield _said(f"{known}; it is taken for what is missing: {', '.join(empty)}.")


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


def _told(uses: dict[str, str]) -> Generator[Command, Any, None]:
    """Says what else the disk is used for; it is left alone."""
    for path, use in sorted(uses.items()):
        yield _said(f"{path} on the same disk is {use}; it was left alone.")


def _said(text: str) -> Report:
    return Report(entry=PublicText.fixed(text), note=text)
