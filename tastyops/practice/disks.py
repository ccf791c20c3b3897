"""Disks and partitions of the modelled machine; a reboot keeps them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

SECTOR = 512
"""Bytes."""

FIRST_SECTOR = 2048
"""Start of a disk's first partition: one MiB, the default of partitioning programs."""


@dataclass
class Partition:
    """A partition; ``start`` and ``size`` in sectors. ``holds`` is the type its signature names."""

    number: int
    start: int
    size: int
    type: str = "fd"
    holds: str = ""
    """``linux_raid_member``, ``xfs``, ``swap``, …; empty for no signature."""
    uuid: str = ""
    beneath: str = ""
    """Type of a filesystem that begins with the partition, where md's superblock is at the end."""

    @property
    def end(self) -> int:
        """The first sector after the partition."""
        return self.start + self.size


@dataclass
class Disk:
    """A whole disk. ``table`` is ``dos`` or empty for a blank one."""

    name: str
    serial: str
    sectors: int
    model: str
    table: str = "dos"
    table_id: str = ""
    partitions: list[Partition] = field(default_factory=list)
    boot_code: bool = False
    """Whether GRUB is in the first sectors."""
    failing: bool = False
    """Whether every request to the disk fails."""
    errors: int = 0
    """Requests that have failed."""
    letters: str = "ata"
    """How the disk is attached, as in udev's names."""
    remains: list[Partition] = field(default_factory=list)
    """Partitions no table has any more, whose content is still on the disk."""

    @property
    def by_id(self) -> str:
        """Its name in /dev/disk/by-id."""
        return f"{self.letters}-{self.model.replace(' ', '_')}_{self.serial}"

    @property
    def wwn(self) -> str:
        """World-wide name as lsblk prints it, derived from the serial number."""
        return f"0x5000{hashlib.sha256(self.serial.encode()).hexdigest()[:12]}"

    @property
    def links(self) -> tuple[str, ...]:
        """All of udev's names for it in /dev/disk/by-id."""
        return (self.by_id, f"wwn-{self.wwn}")

    def partition(self, number: int) -> Partition | None:
        """The partition of that number."""
        return next((part for part in self.partitions if part.number == number), None)

    def add(self, size_kib: int, *, holds: str = "", type: str = "fd") -> Partition:
        """Adds a partition after the last one."""
        start = max([FIRST_SECTOR, *(part.end for part in self.partitions)])
        made = Partition(len(self.partitions) + 1, start, size_kib * 2, type, holds)
        self.partitions.append(made)
        return made


class Disks:
    """The attached disks, by their present names."""

    def __init__(self, disks: list[Disk], spare: list[Disk]) -> None:
        self.attached = disks
        self.spare = spare
        """Blank disks in the cupboard."""

    def __iter__(self) -> Iterator[Disk]:
        return iter(self.attached)

    def find(self, device: str) -> tuple[Disk, Partition | None] | None:
        """Disk and partition for ``/dev/sda``, ``sda1`` or a name in /dev/disk/by-id."""
        name = device.removeprefix("/dev/").removeprefix("disk/by-id/")
        for disk in self.attached:
            for whole, between in ((disk.name, ""), *((link, "-part") for link in disk.links)):
                if name == whole:
                    return disk, None
                number = name.removeprefix(whole + between)
                if name.startswith(whole + between) and number.isdigit():
                    part = disk.partition(int(number))
                    return (disk, part) if part else None
        return None

    def detach(self, disk: Disk) -> None:
        """Removes a disk; its name is free again."""
        self.attached.remove(disk)

    def attach(self, disk: Disk) -> None:
        """Adds a disk under the first free name."""
        taken = {each.name for each in self.attached}
        disk.name = next(name for letter in "abcdefgh" if (name := f"sd{letter}") not in taken)
        self.attached.append(disk)
        self.attached.sort(key=lambda each: each.name)
