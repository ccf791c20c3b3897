"""sfdisk(8) of the modelled machine: DOS tables are shown, written to blank disks, added to."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable

from tastyops.facts import disk_use
from tastyops.practice.calls import Call, Commands
from tastyops.practice.disks import FIRST_SECTOR, SECTOR, Disk, Disks, Partition
from tastyops.practice.files import NotModelled
from tastyops.practice.mirrors import Mirrors

_LINE = re.compile(
    r"(?P<node>/dev/\S+) : start=(?P<start>\d+), size=(?P<size>\d+), type=(?P<type>\w+)"
)
_HEAD = {"label: dos", "unit: sectors", ""}
_PLACES = 4


class Partitions:
    """The program; ``changed`` is called after a table was written."""

    def __init__(self, disks: Disks, mirrors: Mirrors, changed: Callable[[], None]) -> None:
        self._disks, self._mirrors, self._changed = disks, mirrors, changed

    def commands(self) -> Commands:
        """The programs; udev has always settled here."""
        return {"sfdisk": self._sfdisk, "udevadm": self._udevadm}

    def scripts(self) -> Commands:
        """The look at who holds a disk, by the text of its script."""
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
        """tastyops' own look at who holds a disk: here only mirrors claim one."""
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
        """A whole table. What partitions held that begin where the new ones do is wiped."""
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
        """The partitions a script of sfdisk's asks for; None where they cannot be made."""
        found: list[Partition] = []
        for text in call.stdin.rest().decode("utf-8", "replace").splitlines():
            line = _LINE.fullmatch(text)
            if line is None and text not in _HEAD:
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
    if part.number > _PLACES or any(each.number == part.number for each in there):
        return f"Failed to add #{part.number} partition: Invalid argument"
    if part.start < FIRST_SECTOR or part.end > disk.sectors:
        return f"Failed to add #{part.number} partition: Numerical result out of range"
    if any(each.start < part.end and part.start < each.end for each in there):
        return f"Failed to add #{part.number} partition: Sector {part.start} already used."
    return ""
