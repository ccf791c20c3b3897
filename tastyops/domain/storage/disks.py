"""Which disk is meant, and what uses it."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from tastyops.errors import Refused
from tastyops.facts.disk_use import DeviceHolders, holders
from tastyops.facts.disks import BY_ID, NO_NAMES, Device, Disks, Names, udev_names
from tastyops.model.commands import Command, Probe, Unknown

BELONGS = {
    "LVM2_member": "belongs to a volume group",
    "zfs_member": "belongs to a ZFS pool",
    "ceph_bluestore": "belongs to a Ceph OSD",
    "drbd": "belongs to a DRBD resource",
    "crypto_LUKS": "holds an encrypted volume, which may be wanted though it is not open",
    "BitLocker": "holds an encrypted volume, which may be wanted though it is not open",
    "bcache": "belongs to a bcache device",
    "DM_integrity": "belongs to a dm-integrity device",
    "DM_snapshot_cow": "belongs to a device-mapper snapshot",
    "DM_verity_hash": "belongs to a dm-verity device",
    "vdo": "belongs to a VDO volume",
    "mpath_member": "is a path of a multipath device",
    "isw_raid_member": "belongs to a RAID of the firmware",
    "ddf_raid_member": "belongs to a RAID of the firmware",
    "VMFS_volume_member": "belongs to a VMFS volume",
}
"""Signatures of libblkid's that say that a device is one part of something larger, and of what."""

_ON_SEVERAL = ("btrfs", "bcachefs")
"""Filesystems over several devices: lsblk shows a mount point at one of them only."""


def find_disk(disks: Disks, name: str) -> Generator[Command, Any, Device]:
    """The one disk of that serial number, WWN or name in /dev/disk/by-id. Raises Refused."""
    names = yield from names_for(disks, name)
    return require_disk(disks, name, names)


def disk_exists(disks: Disks, name: str) -> Generator[Command, Any, bool]:
    """Whether any disk has that name."""
    names = yield from names_for(disks, name)
    return bool(disks.named(name, names))


def names_for(disks: Disks, name: str) -> Generator[Command, Any, Names]:
    """udev's names of all disks and partitions, where lsblk does not know the name itself."""
    known = not name.strip() or disks.device(name.removeprefix("/dev/"))
    if known or (disks.named(name) and not name.startswith(BY_ID)):
        return NO_NAMES
    nodes = [device.path for device in disks.devices if device.type in ("disk", "part")]
    if not nodes:
        return NO_NAMES
    names: Names | Unknown = yield Probe(*udev_names(nodes))
    return NO_NAMES if isinstance(names, Unknown) else names


def is_known(disks: Disks, name: str, names: Names) -> bool:
    """Whether a name stands for any device that is there, a disk or not."""
    return bool(disks.named(name, names)) or _device_of(disks, name, names) is not None


def require_disk(disks: Disks, name: str, names: Names = NO_NAMES) -> Device:
    """The one disk of that name. Raises Refused for none, for several, and for two paths to one.

    A kernel name such as ``sda`` is refused: it is another disk's after the next boot.
    """
    if not name.strip():
        raise Refused("no disk is named: give its serial number")
    found = disks.named(name, names)
    if len(found) == 1:
        return found[0]
    if found:
        raise Refused(_several(disks, found, name))
    part = _device_of(disks, name, names)
    if part is not None:
        serial = (disks.whole(part.kname) or part).serial
        hint = f": say {serial}" if serial else ""
        if part.type != "disk":
            raise Refused(f"{name} is {part.path}, which is not a disk{hint}")
        raise Refused(
            f"{name} may name another disk after the next boot; name the disk by its serial"
            f" number{hint}"
        )
    raise Refused(f"no disk is named {name} (there are: {serials(disks)})")


def serials(disks: Disks) -> str:
    """The serial numbers of the disks that are there, for a message."""
    return ", ".join(sorted({disk.serial for disk in disks.disks if disk.serial})) or "none known"


def _several(disks: Disks, found: Sequence[Device], name: str) -> str:
    paths = ", ".join(disk.path for disk in found)
    if all(disks.same(found[0], disk) for disk in found):
        joined = [d.path for each in found for d in disks.on(each.kname) if d.type == "mpath"]
        device = f", joined as {joined[0]}" if joined else ""
        return (
            f"{name} is one disk with {len(found)} paths ({paths}{device}): tastyops does not work"
            " on multipath disks. Use multipath(8) and the disk array's own tools"
        )
    if len({disk.wwn for disk in found} - {""}) == len(found):
        wwns = ", ".join(f"{disk.path} {disk.wwn}" for disk in found)
        return f"{len(found)} disks are called {name} ({wwns}): name it by its WWN"
    return (
        f"{len(found)} disks are called {name} ({paths}), and no WWN tells them apart:"
        " leave only the one that is meant connected"
    )


def _device_of(disks: Disks, name: str, names: Names) -> Device | None:
    """What else a name stands for: a kernel's name, or a partition's in /dev/disk/by-id."""
    claims = names.get(name.removeprefix(BY_ID), ())
    kname = name.removeprefix("/dev/")
    return next((d for d in disks.devices if d.kname == kname or d.path in (name, *claims)), None)


def public_serial(serial: str) -> str:
    """A serial number as a fact for the log: other characters than a word's become ``_``."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", serial)[:64] or "unknown"


def in_use(disks: Disks, device: Device) -> Generator[Command, Any, tuple[str, ...]]:
    """What uses a disk or partition now, a phrase each; empty when nothing does.

    lsblk does not show every use. Where it shows none, the kernel and /proc are asked as well.
    """
    seen = uses(disks, device)
    if seen:
        return seen
    parts = [part.path for part in disks.on(device.kname) if part.type == "part"]
    return (yield from held_by(device.path, *parts))


def held_by(*paths: str) -> Generator[Command, Any, tuple[str, ...]]:
    """Who holds devices besides what lsblk shows, a phrase each."""
    holding: DeviceHolders | Unknown = yield Probe(*holders(paths), sudo=True)
    return () if isinstance(holding, Unknown) else tuple(_held(holding))


def need_free(path: str) -> Generator[Command, Any, None]:
    """Raises Refused for a device that is about to be written over and that something holds."""
    held = yield from held_by(path)
    if held:
        raise Refused("; ".join(held))


def _held(holding: DeviceHolders) -> Iterator[str]:
    for path in holding.claimed:
        yield (
            f"{path} is claimed by the kernel for something that lsblk does not show, such as"
            " DRBD, an iSCSI target, ZFS or a filesystem on several disks"
        )
    for path, process in holding.opened:
        yield f"{path} is held open by {process}"
    for path in holding.unknown:
        yield (
            f"whether {path} is in use cannot be told: opening it for exclusive use was not"
            " possible (perl or python3 and root are needed)"
        )


def uses(disks: Disks, disk: Device) -> tuple[str, ...]:
    """What uses the disk as far as lsblk shows, a phrase each.

    A member of a volume group, of a pool or of a filesystem on several disks counts although
    nothing of it is mounted: nobody can tell from here that it is not wanted.
    """
    return tuple(dict.fromkeys(_uses(disks, disk)))


def _uses(disks: Disks, disk: Device) -> Iterator[str]:
    for device in (disk, *disks.on(disk.kname)):
        for place in device.mountpoints:
            what = "is used as swap" if place == "[SWAP]" else f"is mounted on {place}"
            yield f"{device.path} {what}"
        for child in map(disks.device, device.children):
            if child is not None and child.type != "part":
                yield f"{device.path} carries {child.path} ({child.type})"
        if not device.children and not device.mountpoints:
            yield from _belongs(disks, device)


def _belongs(disks: Disks, device: Device) -> Iterator[str]:
    """What a signature says that lsblk does not: the device is one part of something."""
    if device.fstype in BELONGS:
        yield f"{device.path} {BELONGS[device.fstype]}"
    if device.fstype in _ON_SEVERAL:
        for other in disks.devices:
            alike = not device.uuid or not other.uuid or other.uuid == device.uuid
            if alike and other.fstype == device.fstype and other.mountpoints:
                place = other.mountpoints[0]
                yield f"{device.path} may belong to the {device.fstype} mounted on {place}"


def partition_node(disk: Device, number: int) -> str:
    """The kernel's name of a disk's partition: ``sda1``, ``nvme0n1p1``."""
    return f"{disk.kname}{'p' if disk.kname[-1:].isdigit() else ''}{number}"


def underlying_devices(disks: Disks, device: Device) -> frozenset[str]:
    """The kernel names of everything a device lies on, and its own."""
    names: set[str] = set()
    waiting = [device.kname]
    while waiting:
        found = disks.device(waiting.pop())
        if found is not None and found.kname not in names:
            names.add(found.kname)
            waiting += found.parents
    return frozenset(names)
