"""Which disk is meant, and what uses it: judged from lsblk's facts, nothing is asked here."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tastyops.errors import Refused
from tastyops.probes.disks import Device, Disks


def the_disk(disks: Disks, name: str) -> Device:
    """The one disk of that serial, WWN or by-id name. Raises Refused for none or several.

    A kernel name such as ``sda`` is refused: it is another disk's after the next boot.
    """
    if not name.strip():
        raise Refused("no disk is named: give its serial number")
    found = disks.named(name)
    if len(found) == 1:
        return found[0]
    if found:
        paths = ", ".join(disk.path for disk in found)
        raise Refused(f"{len(found)} disks are called {name} ({paths}): name it by its WWN")
    letters = disks.device(name.removeprefix("/dev/"))
    if letters is not None:
        serial = (disks.whole(letters.kname) or letters).serial
        hint = f": say {serial}" if serial else ""
        raise Refused(f"{name} is a name that moves between boots; disks go by serial{hint}")
    there = ", ".join(sorted(disk.serial for disk in disks.disks if disk.serial)) or "none known"
    raise Refused(f"there is no disk called {name} (there are: {there})")


def public_serial(serial: str) -> str:
    """A serial number as a fact for the log: other characters than a word's become ``_``."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", serial)[:64] or "unknown"


def uses(disks: Disks, disk: Device) -> tuple[str, ...]:
    """What uses the disk now, a phrase each; empty when nothing does.

    A volume group's member counts although none of its volumes is active.
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
        if device.fstype == "LVM2_member" and not device.children:
            yield f"{device.path} belongs to a volume group"


def partition_node(disk: Device, number: int) -> str:
    """The kernel's name of a disk's partition: ``sda1``, ``nvme0n1p1``."""
    return f"{disk.kname}{'p' if disk.kname[-1:].isdigit() else ''}{number}"


def under(disks: Disks, device: Device) -> frozenset[str]:
    """The kernel names of everything a device lies on, and its own."""
    names: set[str] = set()
    waiting = [device.kname]
    while waiting:
        found = disks.device(waiting.pop())
        if found is not None and found.kname not in names:
            names.add(found.kname)
            waiting += found.parents
    return frozenset(names)
