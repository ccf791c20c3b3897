"""What is on the modelled machine's devices: wipefs(8), blkid(8), and tastyops' own reading."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace

from tastyops.facts.signatures import signatures
from tastyops.practice.calls import Call, Commands
from tastyops.practice.disks import SECTOR, Disk, Disks, Partition
from tastyops.practice.files import NotModelled
from tastyops.practice.mirrors import Mirrors
from tastyops.practice.mounts import Mounts
from tastyops.practice.volumes import Volumes

_LISTS = {"-n", "--no-act", "-J", "--json", "--noheadings"}
_ERASES = {"-a", "--all", "-q", "--quiet"}
_PROBES = re.compile(r"--(offset|size|output|match-tag)=(\S+)")


class Signatures:
    """The programs; ``changed`` is called after one was erased."""

    def __init__(
        self, disks: Disks, mirrors: Mirrors, volumes: Volumes, mounts: Mounts,
        changed: Callable[[], None],
    ) -> None:  # fmt: skip
        self._disks, self._mirrors = disks, mirrors
        self._volumes, self._mounts, self._changed = volumes, mounts, changed

    def commands(self) -> Commands:
        """The programs."""
        return {"wipefs": self._wipefs, "blkid": self._blkid}

    def scripts(self) -> Commands:
        """The reading, by the text of its script."""
        return {signatures("").argv[2]: self._read}

    def found(self, device: str) -> list[str]:
        """The types of all signatures on a device, in libblkid's words."""
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
        """First and last blocks of the device are read, then its signatures are listed."""
        device = call.argv[-1]
        place = self._disks.find(device)
        if place is not None and place[0].failing:
            call.complain(f"dd: error reading '{device}': Input/output error")
            return 2
        return self._wipefs(replace(call, argv=("wipefs", "--json", "--no-act", device)))

    def _wipefs(self, call: Call) -> int:
        """wipefs(8), which says nothing at all of a device without a signature."""
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
        """``blkid --probe`` of a stretch of a disk: 2 where nothing begins there."""
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
