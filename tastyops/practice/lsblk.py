"""lsblk(8) over the modelled disks, mirrors and volumes; JSON only."""

from __future__ import annotations

import json
from typing import Any

from tastyops.practice.calls import Call, Commands
from tastyops.practice.disks import SECTOR, Disk, Disks, Partition
from tastyops.practice.files import NotModelled
from tastyops.practice.mirrors import Mirror, Mirrors
from tastyops.practice.mounts import Mounts
from tastyops.practice.volumes import Volume, Volumes

_COLUMNS = (
    "name", "kname", "path", "type", "size", "serial", "wwn", "fstype", "uuid", "partuuid",
    "parttype", "pkname", "mountpoints", "mountpoint", "ro", "log-sec", "phy-sec", "tran",
    "pttype", "label", "model", "rota",
)  # fmt: skip

Row = dict[str, Any]


class Lsblk:
    """The program."""

    def __init__(self, disks: Disks, mirrors: Mirrors, volumes: Volumes, mounts: Mounts) -> None:
        self._disks, self._mirrors, self._volumes, self._mounts = disks, mirrors, volumes, mounts

    def commands(self) -> Commands:
        """The program."""
        return {"lsblk": self._lsblk}

    def _lsblk(self, call: Call) -> int:
        words, columns, plain, device = list(call.argv[1:]), "", set(), ""
        while words:
            word = words.pop(0)
            if word in ("-o", "--output") and words:
                columns = words.pop(0)
            elif word.startswith("--output="):
                columns = word.partition("=")[2]
            elif word.startswith("/dev/") and not device:
                device = word
            else:
                plain.add({"-J": "--json", "-b": "--bytes", "-p": "--paths"}.get(word, word))
        wanted = columns.lower().split(",")
        if not {"--json", "--bytes"} <= plain <= {"--json", "--bytes"} or not columns:
            raise NotModelled(" ".join(call.argv))
        if set(wanted) - set(_COLUMNS):
            raise NotModelled(f"lsblk's columns {', '.join(sorted(set(wanted) - set(_COLUMNS)))}")
        trees = [self._disk(disk) for disk in self._disks]
        trees = _named(trees, device) if device else trees
        if not trees:
            call.complain(f"lsblk: {device}: not a block device")
            return 32
        rows = [_only(tree, wanted) for tree in trees]
        call.say(json.dumps({"blockdevices": rows}, indent=3))
        return 0

    def _disk(self, disk: Disk) -> Row:
        row = self._row(disk.name, "disk", disk.sectors * SECTOR)
        row |= {"serial": disk.serial, "wwn": disk.wwn, "tran": disk.letters}
        row |= {"model": disk.model, "pttype": disk.table or None}
        row["children"] = [self._part(disk, part) for part in disk.partitions]
        return row

    def _part(self, disk: Disk, part: Partition) -> Row:
        name = f"{disk.name}{part.number}"
        row = self._row(name, "part", part.size * SECTOR)
        row |= {"pkname": disk.name, "fstype": part.holds or None, "parttype": f"0x{part.type}"}
        row |= {"pttype": disk.table, "uuid": part.uuid or None}
        row |= {"partuuid": f"{disk.table_id}-{part.number:02}"}
        mirror = self._mirrors.holding(name)
        row["children"] = [self._mirror(mirror, name)] if mirror else []
        return row

    def _mirror(self, mirror: Mirror, parent: str) -> Row:
        row = self._row(mirror.name, "raid1", mirror.size * 1024)
        row |= {"pkname": parent} | self._content(mirror.path)
        row["children"] = [
            self._volume(volume, mirror.name) for volume in self._volumes.on(mirror.path)
        ]
        return row

    def _volume(self, volume: Volume, parent: str) -> Row:
        row = self._row(volume.mapper, "lvm", volume.size)
        row |= {"kname": volume.kname, "path": volume.path, "pkname": parent}
        return row | self._content(volume.path)

    def _content(self, device: str) -> Row:
        filesystem = self._mounts.filesystem(device)
        if filesystem is None:
            physical = self._volumes.physical(device)
            return {"fstype": "LVM2_member" if physical else None}
        return {"fstype": filesystem.type, "uuid": filesystem.uuid, "label": filesystem.label}

    def _row(self, name: str, kind: str, size: int) -> Row:
        row: Row = dict.fromkeys(_COLUMNS)
        path = f"/dev/{name}"
        where = path if kind != "lvm" else f"/dev/mapper/{name}"
        places: list[str | None] = [*self._mounts.places(where)]
        return row | {
            "name": name, "kname": name, "path": path, "type": kind, "size": size, "ro": False,
            "mountpoints": places or [None], "mountpoint": next(iter(places), None),
            "log-sec": SECTOR, "phy-sec": SECTOR, "rota": True,
        }  # fmt: skip


def _named(rows: list[Row], device: str) -> list[Row]:
    """The device of that name, with what lies on it; it may lie on several."""
    for row in rows:
        if device in (row["path"], f"/dev/{row['kname']}"):
            return [row]
        if found := _named(row.get("children", []), device):
            return found
    return []


def _only(row: Row, wanted: list[str]) -> Row:
    found = {name: row[name] for name in wanted}
    children = [_only(child, wanted) for child in row.get("children", [])]
    return found | ({"children": children} if children else {})
