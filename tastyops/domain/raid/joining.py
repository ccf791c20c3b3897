"""Members join arrays: which partition for which, whether it may, and how."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from typing import Any

from tastyops.domain.raid.guards import in_no_array, in_scope, unused
from tastyops.domain.raid.leaving import forget, member_directory
from tastyops.domain.raid.storage import Storage, read_storage
from tastyops.errors import Failed, Refused
from tastyops.facts.disks import Device
from tastyops.facts.md import Array
from tastyops.facts.signatures import RAID_MEMBER, signatures
from tastyops.model.commands import Change, Command, Probe, Unknown

_NUMBER = re.compile(r"(?:.*\dp|\D+)(\d+)")


def pairs(
    storage: Storage, disk: Device, members: Mapping[str, Any] | None, *, spare: bool
) -> list[tuple[Array, Device]]:
    """Which of a disk's partitions is to join which array. Raises Refused where none fits.

    Without ``members`` an array that lacks a member gets the partition of the number its other
    members have; with ``spare`` every array does.
    """
    if members:
        return [_named_partition(storage, disk, name, number) for name, number in members.items()]
    found = []
    for array in storage.arrays:
        if not array.out_of_scope and (
            spare or missing_members(array) or _has(storage, array, disk)
        ):
            found.append((array, partition(storage, disk, _number(array))))
    if not found:
        raise Refused("no RAID1 mirror here lacks a member")
    return found


def missing_members(array: Array) -> int:
    """How many members an array has too few, those that are being rebuilt counted as there."""
    return array.wanted - sum(not member.faulty for member in array.members)


def _has(storage: Storage, array: Array, disk: Device) -> bool:
    return any(each is array for each, _ in storage.on(disk))


def _named_partition(
    storage: Storage, disk: Device, name: str, number: Any
) -> tuple[Array, Device]:
    array = storage.array(name)
    if array is None:
        raise Refused(f"there is no array {name}")
    in_scope(array)
    return array, partition(storage, disk, number)


def _number(array: Array) -> int:
    numbers = {_NUMBER.fullmatch(member.device) for member in array.in_sync}
    found = {int(number[1]) if number else 0 for number in numbers}
    if len(found) != 1 or 0 in found:
        raise Refused(
            f"the members of {array.path} have no common partition number; give `members:`"
        )
    return found.pop()


def partition(storage: Storage, disk: Device, number: Any) -> Device:
    """A disk's partition of that number. Raises Refused if it has none."""
    for kname in disk.children:
        found = _NUMBER.fullmatch(kname)
        device = storage.disks.device(kname)
        if found and device and device.type == "part" and found[1] == str(number):
            return device
    raise Refused(f"{disk.path} has no partition {number}")


def fits(storage: Storage, array: Array, device: Device, *, spare: bool) -> None:
    """Whether a device may join an array. Raises Refused."""
    in_scope(array)
    unused(storage, device)
    if missing_members(array) <= 0 and not spare:
        raise Refused(
            f"{array.path} has all {array.wanted} members, so {device.path} would only be a spare"
            " (`spare: true`, then raid.resize_members)"
        )
    if device.size < array.size * 1024:
        raise Refused(
            f"{device.path} is too small for {array.path}:"
            f" {device.size} bytes, and {array.size * 1024} are needed"
        )
    node = storage.disks.device(array.name)
    if node and device.sector > node.sector:
        raise Refused(f"{device.path} has sectors of {device.sector} bytes, {array.path} smaller")


def found_on(
    storage: Storage, array: Array, device: Device, force: str
) -> Generator[Command, Any, tuple[str, ...]]:
    """The signatures on a device; refuses all but an old member of this very array."""
    seen: tuple[str, ...] | Unknown = yield Probe(*signatures(device.path), sudo=True)
    if isinstance(seen, Unknown) or not seen or force:
        return () if isinstance(seen, Unknown) else seen
    if RAID_MEMBER not in seen:
        raise Refused(f"{device.path} holds something: {', '.join(sorted(set(seen)))}")
    if not of_this_array(storage, array, device):
        raise Refused(f"{device.path} is a member of another array")
    return seen


def of_this_array(storage: Storage, array: Array, device: Device) -> bool:
    """Whether the superblock on a device has the UUID that the array's members have."""
    peers = (storage.disks.device(member.device) for member in array.in_sync)
    uuids = {array.uuid, *(peer.uuid for peer in peers if peer)} - {""}
    return device.uuid in uuids


def join(
    array: Array, device: Device, seen: tuple[str, ...], *, quick: bool
) -> Generator[Command, Any, None]:
    """Adds a device: rebuilt in full, or only where the bitmap says that it differs."""
    if seen and not quick:
        yield from forget(device)
    storage: Storage | None = yield from read_storage()
    if storage is not None:
        in_no_array(storage, device)
    how = "--re-add" if quick else "--add"
    added = yield Change(
        ("mdadm", "--manage", array.path, how, device.path),
        sudo=True,
        settle=Probe(("test", "-e", member_directory(array.name, device.kname)), "holds"),
    )
    if isinstance(added, Unknown):
        return
    hint = "; without `quick` it is rebuilt in full" if quick else ""
    if not added.ok:
        why = f"{device.path} could not be added to {array.path}{hint}"
        raise Failed(why, {"status": added.status})
    there = yield Probe(("test", "-e", member_directory(array.name, device.kname)), "holds")
    if not there:
        raise Failed(f"{array.path} does not have {device.path}, although mdadm reported success")
