"""Disks, partitions and what is on them, as lsblk and udev know them.

A disk is named by its serial number, its WWN, or a name udev made for it in /dev/disk/by-id.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from tastyops.errors import ProbeFailed
from tastyops.facts.readings import Answer, Parsers, Reading, from_json, need_ok
from tastyops.model.public_text import is_fact

_COLUMNS = (
    "NAME,KNAME,PATH,TYPE,SIZE,SERIAL,WWN,FSTYPE,UUID,PARTUUID,PARTTYPE,PKNAME,MOUNTPOINTS,RO,"
    "LOG-SEC,PHY-SEC,TRAN,PTTYPE"
)
BLOCK_DEVICES = Reading(("lsblk", "--json", "-b", "-o", _COLUMNS), "block_devices")
"""lsblk(8); MOUNTPOINTS needs util-linux 2.37. Needs root for what udev has not recorded."""

BY_ID = "/dev/disk/by-id/"

_NAMES = """for device do
  echo "$device $(udevadm info --query=symlink --name="$device")"
done"""

_KNAME = re.compile(r"[A-Za-z0-9_.:!+-]{1,64}")

Names = Mapping[str, tuple[str, ...]]
"""A name in /dev/disk/by-id, and the device nodes that claim it: several where it is ambiguous."""

NO_NAMES: Names = MappingProxyType({})


def udev_names(devices: Sequence[str]) -> Reading:
    """The names udev made for devices, whatever their form.

    udevadm(8), ``info --query=symlink``: one line of names below /dev for each device. The links
    themselves would not do: of two devices that claim one name, the link shows only one.
    """
    return Reading(("sh", "-c", _NAMES, "udev-names", *devices), "udev_names")


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

    def named(self, name: str, names: Names = NO_NAMES) -> tuple[Device, ...]:
        """The disks with that serial number, WWN or name in /dev/disk/by-id.

        ``names`` are udev's, needed for the names that are neither serial number nor WWN. Every
        path to the disk is among them. None means that no disk has the name. Several are either
        paths to one disk (``one_disk``), or the name does not identify a disk: some USB bridges
        give every disk the same serial number.
        """
        given = _udev_spelling(name.removeprefix(BY_ID))
        plain = given and not name.startswith(BY_ID)
        found = [disk for disk in self.disks if plain and _has_name(disk, given)]
        if not found:
            claims = names.get(given, ())
            found = [disk for disk in self.disks if disk.path in claims]
        return tuple(disk for disk in self.disks if any(self.same(disk, each) for each in found))

    def same(self, one: Device, other: Device) -> bool:
        """Whether two disks of lsblk's are one, or two paths to one (multipath).

        Namespaces of one NVMe disk share the serial number and not the WWN; cheap bridges give
        disks of different sizes both.
        """
        if one == other:
            return True
        joined = {child for child in one.children if self._is_multipath(child)}
        alike = one.wwn and one.serial and (one.wwn, one.serial) == (other.wwn, other.serial)
        return bool(alike and one.size == other.size) or bool(joined & set(other.children))

    def _is_multipath(self, kname: str) -> bool:
        device = self.device(kname)
        return device is not None and device.type == "mpath"

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


def _udev_spelling(name: str) -> str:
    """A name as udev spells it: ``_`` for white space, none of that around it."""
    return re.sub(r"\s+", "_", name.strip())


def _has_name(disk: Device, name: str) -> bool:
    """Whether a disk has that serial number or WWN; hexadecimal digits have no case.

    The only names of udev's that are a WWN and nothing else are ``wwn-…`` and NVMe's.
    """
    wwn = disk.wwn.lower()
    serial, kinds = _udev_spelling(disk.serial), ("", "wwn-", "nvme-")
    return bool(serial and name == serial) or bool(
        wwn and name.lower() in {f"{kind}{wwn}" for kind in kinds}
    )


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


def _udev_names(answer: Answer) -> Names:
    found: dict[str, tuple[str, ...]] = {}
    for line in need_ok(answer).splitlines():
        device, *links = line.split()
        for link in links:
            folder, _, name = link.removeprefix("/dev/").rpartition("/")
            if folder == "disk/by-id":
                found[name] = (*found.get(name, ()), device)
    return found


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
    "udev_names": _udev_names,
}
