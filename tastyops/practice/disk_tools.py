"""Programs over the modelled disks: sfdisk, udevadm, wipefs, lsblk, smartctl."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tastyops.facts import disk_use
from tastyops.facts.signatures import signatures
from tastyops.practice.calls import Call, Commands
from tastyops.practice.disks import FIRST_SECTOR, SECTOR, Disk, Disks, Partition
from tastyops.practice.files import NotModelled
from tastyops.practice.filesystems import Mounts
from tastyops.practice.mirrors import Mirror, Mirrors
from tastyops.practice.volumes import Volume, Volumes

_SFDISK_LINE = re.compile(
    r"(?P<node>/dev/\S+) : start=(?P<start>\d+), size=(?P<size>\d+), type=(?P<type>\w+)"
)
_SFDISK_HEAD = {"label: dos", "unit: sectors", ""}
_PARTITIONS_AT_MOST = 4


class Partitions:
    """sfdisk(8) and udevadm(8); ``changed`` is called after a partition table was written."""

    def __init__(self, disks: Disks, mirrors: Mirrors, changed: Callable[[], None]) -> None:
        self._disks, self._mirrors, self._changed = disks, mirrors, changed

    def commands(self) -> Commands:
        """The programs by name; udev has always settled."""
        return {"sfdisk": self._sfdisk, "udevadm": self._udevadm}

    def scripts(self) -> Commands:
        """tastyops' script that reads who holds a disk, and what answers it."""
        return {disk_use.SCRIPT: self._holders}

    def _udevadm(self, call: Call) -> int:
        """``settle``, and the names udev made for a device (udevadm(8))."""
        match call.argv[1:]:
            case ["settle", *_]:
                return 0
            case ["info", "--query=symlink", name] if name.startswith("--name="):
                return self._names(call, name.removeprefix("--name="))
            case _:
                raise NotModelled(" ".join(call.argv))

    def _names(self, call: Call, device: str) -> int:
        place = self._disks.find(device)
        if place is None:
            call.complain(f'Unknown device "{device}": No such device')
            return 1
        disk, part = place
        end = f"-part{part.number}" if part else ""
        call.say(" ".join(f"disk/by-id/{link}{end}" for link in disk.links))
        return 0

    def _holders(self, call: Call) -> int:
        """Answers which disks are in use; on the model only mirrors use one."""
        for device in call.argv[4:]:
            place = self._disks.find(device)
            if place is None:
                if self._mirrors.find(device) is None:
                    call.say(f"unknown {device}")
                continue
            disk, part = place
            parts = [part] if part else disk.partitions
            if any(self._mirrors.holding(f"{disk.name}{each.number}") for each in parts):
                call.say(f"claimed {device}")
        return 0

    def _sfdisk(self, call: Call) -> int:
        *options, device = call.argv[1:]
        place = self._disks.find(device)
        if place is None or place[1] is not None:
            call.complain(f"sfdisk: cannot open {device}: No such file or directory")
            return 1
        match sorted(options):
            case ["--json"]:
                return self._show(call, device, place[0])
            case ["--quiet", "--wipe-partitions=always", "--wipe=always"]:
                return self._write(call, place[0])
            case ["--append", "--no-reread", "--quiet", "--wipe-partitions=always"]:
                return self._append(call, place[0])
            case _:
                raise NotModelled(" ".join(call.argv))

    def _show(self, call: Call, device: str, disk: Disk) -> int:
        if not disk.table:
            call.complain(f"sfdisk: {device}: does not contain a recognized partition table")
            return 1
        table = {
            "label": disk.table, "id": f"0x{disk.table_id}", "device": device, "unit": "sectors",
            "sectorsize": SECTOR,
            "partitions": [
                {"node": f"{device}{part.number}", "start": part.start, "size": part.size,
                 "type": part.type}
                for part in disk.partitions
            ],
        }  # fmt: skip
        call.say(json.dumps({"partitiontable": table}, indent=3))
        return 0

    def _write(self, call: Call, disk: Disk) -> int:
        """Writes a new table; a signature is wiped where a new partition begins at its place."""
        if any(self._mirrors.holding(f"{disk.name}{part.number}") for part in disk.partitions):
            call.complain("Checking that no-one is using this disk right now ... FAILED")
            return 1
        before = [*disk.partitions, *disk.remains]
        made = self._lines(call, disk, [])
        if made is None:
            return 1
        disk.table, disk.partitions = "dos", made
        disk.table_id = hashlib.sha256(f"{disk.serial}{len(made)}".encode()).hexdigest()[:8]
        starts = {part.start for part in made}
        disk.remains = [part for part in before if part.holds and part.start not in starts]
        disk.boot_code = False
        self._changed()
        return 0

    def _append(self, call: Call, disk: Disk) -> int:
        if not disk.table:
            raise NotModelled(f"{' '.join(call.argv)} on a disk without a table")
        added = self._lines(call, disk, disk.partitions)
        if added is None:
            return 1
        disk.partitions += added
        starts = {part.start for part in added}
        disk.remains = [part for part in disk.remains if part.start not in starts]
        self._changed()
        return 0

    def _lines(self, call: Call, disk: Disk, there: list[Partition]) -> list[Partition] | None:
        """The partitions an sfdisk script asks for; None where one cannot be made."""
        found: list[Partition] = []
        for text in call.stdin.rest().decode("utf-8", "replace").splitlines():
            line = _SFDISK_LINE.fullmatch(text)
            if line is None and text not in _SFDISK_HEAD:
                raise NotModelled(f"sfdisk's {text!r}")
            if line is None:
                continue
            number = int(re.sub(r"^\D+", "", line["node"]))
            part = Partition(number, int(line["start"]), int(line["size"]), line["type"].lower())
            why = _refused(disk, [*there, *found], part)
            if why:
                call.complain(f"sfdisk: /dev/{disk.name}: {why}")
                return None
            found.append(part)
        return found


def _refused(disk: Disk, there: list[Partition], part: Partition) -> str:
    if part.number > _PARTITIONS_AT_MOST or any(each.number == part.number for each in there):
        return f"Failed to add #{part.number} partition: Invalid argument"
    if part.start < FIRST_SECTOR or part.end > disk.sectors:
        return f"Failed to add #{part.number} partition: Numerical result out of range"
    if any(each.start < part.end and part.start < each.end for each in there):
        return f"Failed to add #{part.number} partition: Sector {part.start} already used."
    return ""


_LISTS = {"-n", "--no-act", "-J", "--json", "--noheadings"}
_ERASES = {"-a", "--all", "-q", "--quiet"}
_PROBES = re.compile(r"--(offset|size|output|match-tag)=(\S+)")


class Signatures:
    """wipefs(8) and blkid(8); ``changed`` is called after a signature was erased."""

    def __init__(
        self, disks: Disks, mirrors: Mirrors, volumes: Volumes, mounts: Mounts,
        changed: Callable[[], None],
    ) -> None:  # fmt: skip
        self._disks, self._mirrors = disks, mirrors
        self._volumes, self._mounts, self._changed = volumes, mounts, changed

    def commands(self) -> Commands:
        """The programs by name."""
        return {"wipefs": self._wipefs, "blkid": self._blkid}

    def scripts(self) -> Commands:
        """tastyops' script that reads signatures, and what answers it."""
        return {signatures("").argv[2]: self._read}

    def found(self, device: str) -> list[str]:
        """Types of all signatures on a device, as libblkid names them."""
        place = self._disks.find(device)
        if place is not None:
            disk, part = place
            if part is None:
                return [disk.table] if disk.table else []
            return [kind for kind in (part.holds, part.beneath) if kind]
        filesystem = self._mounts.filesystem(device)
        if filesystem is not None:
            return [filesystem.type]
        return ["LVM2_member"] if self._volumes.physical(device) else []

    def _read(self, call: Call) -> int:
        """Reads the first and last blocks of a device, then lists its signatures."""
        device = call.argv[-1]
        place = self._disks.find(device)
        if place is not None and place[0].failing:
            call.complain(f"dd: error reading '{device}': Input/output error")
            return 2
        return self._wipefs(replace(call, argv=("wipefs", "--json", "--no-act", device)))

    def _wipefs(self, call: Call) -> int:
        """wipefs(8); a device without a signature gives no output."""
        options, columns, words = set[str](), "", list[str]()
        left = list(call.argv[1:])
        while left:
            word = left.pop(0)
            if word in ("-O", "--output") and left:
                columns = left.pop(0)
            elif word.startswith("-"):
                options.add(word)
            else:
                words.append(word)
        if options & {"-a", "--all"} and not options - _ERASES and not columns:
            return max((self._erase(call, word) for word in words), default=1)
        if options - _LISTS or columns not in ("", "TYPE"):
            raise NotModelled(" ".join(call.argv))
        if columns:
            if "--noheadings" not in options:
                raise NotModelled(" ".join(call.argv))
            call.say("".join(f"{kind}\n" for word in words for kind in self.found(word)), end="")
            return 0
        if not options & {"-J", "--json"}:
            raise NotModelled(" ".join(call.argv))
        found = [
            {"device": word.removeprefix("/dev/"), "offset": "0x438", "type": kind, "uuid": None,
             "label": None}
            for word in words
            for kind in self.found(word)
        ]  # fmt: skip
        if found:
            call.say(json.dumps({"signatures": found}, indent=3))
        return 0

    def _erase(self, call: Call, device: str) -> int:
        place = self._disks.find(device)
        if place is None:
            raise NotModelled(" ".join(call.argv))
        disk, part = place
        if self._in_use(disk, part):
            call.complain(
                f"wipefs: error: {device}: probing initialization failed: Device or resource busy"
            )
            return 1
        if disk.failing:
            call.complain(f"wipefs: error: {device}: Input/output error")
            return 1
        if part is None:
            disk.remains += [each for each in disk.partitions if each.holds]
            disk.table, disk.table_id, disk.partitions = "", "", []
        else:
            part.holds = part.beneath = part.uuid = ""
        self._changed()
        return 0

    def _in_use(self, disk: Disk, part: Partition | None) -> bool:
        parts = [part] if part else disk.partitions
        return any(self._mirrors.holding(f"{disk.name}{each.number}") for each in parts)

    def _blkid(self, call: Call) -> int:
        """``blkid --probe`` of a range of a disk; status 2 where no signature begins there."""
        *options, device = call.argv[1:]
        told = {m[1]: m[2] for word in options if (m := _PROBES.fullmatch(word))}
        place = self._disks.find(device)
        if (
            len(told) != 4 or len(options) != 5 or "--probe" not in options
            or (told["output"], told["match-tag"]) != ("value", "TYPE")
            or place is None or place[1] is not None
        ):  # fmt: skip
            raise NotModelled(" ".join(call.argv))
        if not told["offset"].isdigit():
            raise NotModelled(" ".join(call.argv))
        start = int(told["offset"]) // SECTOR
        for part in [*place[0].partitions, *place[0].remains]:
            if part.start == start and part.holds:
                call.say(part.holds)
                return 0
        return 2


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
        """The program by name."""
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
    """The device of that name in the tree, with the devices on it."""
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


_FAILING = 0x08
"""Bit of smartctl's exit status for a failing disk (smartctl(8), EXIT STATUS)."""

_BAD_SECTORS = 23


class Smart:
    """smartctl(8), with JSON output only."""

    def __init__(self, disks: Disks) -> None:
        self._disks = disks

    def commands(self) -> Commands:
        """The program by name."""
        return {"smartctl": self._smartctl}

    def _smartctl(self, call: Call) -> int:
        *options, device = call.argv[1:]
        place = self._disks.find(device)
        if set(options) != {"--json", "--all"} or (place is not None and place[1] is not None):
            raise NotModelled(" ".join(call.argv))
        if place is None:
            call.say(json.dumps({"smartctl": {"exit_status": 2}}))
            return 2
        status = _FAILING if place[0].failing else 0
        call.say(json.dumps(_smart_report(place[0], device, status), indent=2))
        return status


def _smart_report(disk: Disk, device: str, status: int) -> dict[str, object]:
    bad = _BAD_SECTORS if disk.failing else 0
    counts = {5: ("Reallocated_Sector_Ct", bad), 197: ("Current_Pending_Sector", bad),
              198: ("Offline_Uncorrectable", bad), 199: ("UDMA_CRC_Error_Count", 0)}  # fmt: skip
    return {
        "smartctl": {"version": [7, 3], "exit_status": status},
        "device": {"name": device, "type": "sat", "protocol": "ATA"},
        "model_name": disk.model,
        "serial_number": disk.serial,
        "smart_support": {"available": True, "enabled": True},
        "smart_status": {"passed": not disk.failing},
        "ata_smart_attributes": {
            "table": [
                {"id": number, "name": name, "raw": {"value": value, "string": str(value)}}
                for number, (name, value) in counts.items()
            ]
        },
    }
