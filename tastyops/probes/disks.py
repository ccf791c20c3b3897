"""Disks, partitions and what is on them, as lsblk knows them. Disks are named by serial number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from tastyops.errors import ProbeFailed
from tastyops.model.text import is_fact
from tastyops.probes.reading import Answer, Parsers, Reading, from_json

_COLUMNS = (
    "NAME,KNAME,PATH,TYPE,SIZE,SERIAL,WWN,FSTYPE,UUID,PARTUUID,PARTTYPE,PKNAME,MOUNTPOINTS,RO,"
    "LOG-SEC,PHY-SEC,TRAN,PTTYPE"
)
BLOCK_DEVICES = Reading(("lsblk", "--json", "-b", "-o", _COLUMNS), "block_devices")
"""lsblk(8); MOUNTPOINTS needs util-linux 2.37. Needs root for what udev has not recorded."""

_KNAME = re.compile(r"[A-Za-z0-9_.:!+-]{1,64}")
_BY_ID = re.compile(r"(?:ata|scsi|nvme|usb|virtio|mmc|ieee1394)-.+")


@dataclass(frozen=True, slots=True)
class Device:
    """One block device. Sizes are bytes; what lsblk does not know is empty, or 0.

    ``kname`` is the kernel's name (``sda1``, ``dm-0``), which moves between boots; ``type`` is
    lsblk's (disk, part, raid1, lvm, crypt, loop, rom, …). ``parents`` are kernel names of what it
    lies on, ``children`` of what lies on it.
    """

    name: str
    kname: str
    path: str
    type: str
    size: int
    serial: str = ""
    wwn: str = ""
    fstype: str = ""
    uuid: str = ""
    partuuid: str = ""
    parttype: str = ""
    parents: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    mountpoints: tuple[str, ...] = ()
    """Where it is mounted; ``[SWAP]`` for swap in use."""
    readonly: bool = False
    sector: int = 512
    """Bytes of a logical sector."""
    physical_sector: int = 512
    transport: str = ""
    table: str = ""
    """The kind of its partition table: gpt, dos, …"""


@dataclass(frozen=True, slots=True)
class Disks:
    """All block devices, each once."""

    devices: tuple[Device, ...]

    def device(self, kname: str) -> Device | None:
        """The device of that kernel name."""
        return next((device for device in self.devices if device.kname == kname), None)

    @property
    def disks(self) -> tuple[Device, ...]:
        """The whole disks."""
        return tuple(device for device in self.devices if device.type == "disk")

    def named(self, name: str) -> tuple[Device, ...]:
        """The disks with that serial number, WWN or name in /dev/disk/by-id.

        One is what it should be; none means that it is not there, several that the name tells
        nothing (some USB bridges give every disk the same).
        """
        name = name.removeprefix("/dev/disk/by-id/")
        return tuple(disk for disk in self.disks if _is_called(disk, name))

    def whole(self, kname: str) -> Device | None:
        """The disk it is on, itself if it is one; None if it lies on several or none."""
        device = self.device(kname)
        while device is not None and device.type != "disk":
            if len(device.parents) != 1:
                return None
            device = self.device(device.parents[0])
        return device

    def on(self, kname: str) -> tuple[Device, ...]:
        """Everything that lies on it, nearest first, each once; without itself."""
        return tuple(dict.fromkeys(self._below(kname, set())))

    def _below(self, kname: str, seen: set[str]) -> Iterator[Device]:
        device = self.device(kname)
        for child in device.children if device else ():
            found = self.device(child)
            if found and child not in seen:
                seen.add(child)
                yield found
                yield from self._below(child, seen)


def _is_called(disk: Device, name: str) -> bool:
    if not name:
        return False
    if name in (disk.serial, disk.wwn, f"wwn-{disk.wwn}"):
        return True
    return bool(disk.serial and _BY_ID.fullmatch(name) and name.endswith(f"_{disk.serial}"))


def _block_devices(answer: Answer) -> Disks:
    data = from_json(answer)
    rows = data.get("blockdevices") if isinstance(data, dict) else None
    if not isinstance(rows, list):
        raise ProbeFailed("that is not a list of block devices")
    found: dict[str, Device] = {}
    for parent, row in _rows(rows, ""):
        device = _device(row, parent)
        before = found.get(device.kname)
        if before is None:
            found[device.kname] = device
        elif parent not in before.parents:
            found[device.kname] = _also_on(before, parent)
    return Disks(tuple(found.values()))


def _rows(rows: Any, parent: str, depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row of the tree, and the kernel name of the device it stands under."""
    if not isinstance(rows, list) or depth > 16:
        raise ProbeFailed("that is not a list of block devices")
    for row in rows:
        if not isinstance(row, dict) or not _KNAME.fullmatch(str(row.get("kname"))):
            raise ProbeFailed("that is not a block device")
        yield parent, row
        yield from _rows(row.get("children") or [], str(row["kname"]), depth + 1)


def _device(row: dict[str, Any], parent: str) -> Device:
    kname = str(row["kname"])
    path = _text(row, "path")
    return Device(
        name=_text(row, "name"),
        kname=kname,
        path=path if is_fact("device", path) else f"/dev/{kname.replace('!', '/')}",
        type=_text(row, "type"),
        size=_number(row, "size"),
        serial=_text(row, "serial"),
        wwn=_text(row, "wwn"),
        fstype=_text(row, "fstype"),
        uuid=_text(row, "uuid"),
        partuuid=_text(row, "partuuid"),
        parttype=_text(row, "parttype"),
        parents=(parent,) if parent else (),
        children=tuple(str(child.get("kname")) for child in row.get("children") or []),
        mountpoints=tuple(str(place) for place in row.get("mountpoints") or [] if place),
        readonly=row.get("ro") in (True, 1, "1"),
        sector=_number(row, "log-sec") or 512,
        physical_sector=_number(row, "phy-sec") or 512,
        transport=_text(row, "tran"),
        table=_text(row, "pttype"),
    )


def _also_on(device: Device, parent: str) -> Device:
    parents = tuple(sorted({*device.parents, parent} - {""}))
    return replace(device, parents=parents)


def _text(row: dict[str, Any], column: str) -> str:
    return str(row.get(column) or "").strip()


def _number(row: dict[str, Any], column: str) -> int:
    try:
        return int(row.get(column) or 0)
    except (TypeError, ValueError) as error:
        raise ProbeFailed("that is not the size of a block device") from error


PARSERS: Parsers = {
    "block_devices": _block_devices,
}
