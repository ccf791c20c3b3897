"""One look at arrays and disks together: who is on what."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from tastyops.facts.disks import BLOCK_DEVICES, Device, Disks
from tastyops.facts.md import ARRAYS, Array, Member
from tastyops.model.commands import Command, Probe, Unknown

_PARTITION = re.compile(r"(?P<disk>.*\d)p\d+|(?P<plain>\D+)\d+")
"""The kernel's names of partitions: nvme0n1p2, mmcblk0p1, sdb2."""

_PARTITION_USES = {
    "c12a7328-f81f-11d2-ba4b-00a0c93ec93b": "an EFI system partition",
    "0xef": "an EFI system partition",
    "21686148-6449-6e6f-744e-656564454649": "a BIOS boot partition",
}
_CONTENT_USES = {
    "LVM2_member": "a physical volume of LVM",
    "swap": "swap space",
    "zfs_member": "part of a ZFS pool",
    "crypto_LUKS": "an encrypted volume",
    "isw_raid_member": "part of a firmware RAID",
    "ddf_raid_member": "part of a firmware RAID",
}


@dataclass(frozen=True, slots=True)
class Storage:
    """Arrays and block devices, seen at about the same time."""

    arrays: tuple[Array, ...]
    disks: Disks

    def array(self, name: str) -> Array | None:
        """The array of that kernel name, device node or UUID."""
        wanted = name.removeprefix("/dev/")
        return next((each for each in self.arrays if wanted in (each.name, each.uuid)), None)

    def members(self) -> Iterator[tuple[Array, Member]]:
        """Every member of every array."""
        return ((array, member) for array in self.arrays for member in array.members)

    def present(self, member: Member) -> bool:
        """Whether the member's device is still there."""
        return self.disks.device(member.device) is not None

    def on(self, disk: Device) -> list[tuple[Array, Member]]:
        """The members on a disk, one that is there or one that is gone."""
        return [(array, member) for array, member in self.members() if self.disk_of(member) == disk]

    def disk_of(self, member: Member) -> Device | None:
        """The disk a member is on; for one whose device is gone, a stand-in by the kernel's name.

        md keeps such a member's name, but neither serial number nor size.
        """
        if self.present(member):
            return self.disks.whole(member.device)
        return missing_device(disk_of_partition(member.device))

    def empty(self, array: Array) -> list[int]:
        """The slots of an array that no device which is there, and not thrown out, has."""
        filled = {each.slot for each in array.members if self.present(each) and not each.faulty}
        return [slot for slot in range(array.wanted) if slot not in filled]

    def gone(self) -> tuple[Device, ...]:
        """Stand-ins for the disks of members whose devices are gone."""
        found = (self.disk_of(member) for _, member in self.members() if not self.present(member))
        return tuple(dict.fromkeys(disk for disk in found if disk))


def missing_device(kname: str) -> Device:
    """A disk that is no longer there, of which only the kernel's name is left."""
    return Device(kname, kname, f"/dev/{kname.replace('!', '/')}", "gone", 0)


def disk_of_partition(partition: str) -> str:
    """The kernel's name of the disk that a partition of that name was on."""
    found = _PARTITION.fullmatch(partition)
    return (found["disk"] or found["plain"]) if found else partition


def read_storage() -> Generator[Command, Any, Storage | None]:
    """Both at once; None in a dry run after a withheld change."""
    arrays: tuple[Array, ...] | Unknown = yield Probe(*ARRAYS)
    disks: Disks | Unknown = yield Probe(*BLOCK_DEVICES, sudo=True)
    if isinstance(arrays, Unknown) or isinstance(disks, Unknown):
        return None
    return Storage(arrays, disks)


def other_uses(storage: Storage, disk: Device) -> dict[str, str]:
    """What a disk is used for besides its members of arrays: device path → use."""
    below_arrays = {
        device.kname
        for _, member in storage.members()
        for device in storage.disks.on(member.device)
    } | {member.device for _, member in storage.members()}
    uses = {}
    for device in (disk, *storage.disks.on(disk.kname)):
        use = _use(device) if device.kname not in below_arrays else ""
        if use:
            uses[device.path] = use
    return uses


def _use(device: Device) -> str:
    if "[SWAP]" in device.mountpoints:
        return "swap in use"
    if device.mountpoints:
        return "a mounted filesystem"
    return _CONTENT_USES.get(device.fstype) or _PARTITION_USES.get(device.parttype.lower(), "")
