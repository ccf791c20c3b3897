"""LVM of the modelled machine: one volume group, its volumes, and the reports of lvmreport(7)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from tastyops.practice.calls import Call, Command, Commands
from tastyops.practice.files import NotModelled

EXTENT = 4 * 1024 * 1024
"""Bytes."""

_REPORT = ["--reportformat", "json", "--units", "b", "--nosuffix", "--options"]


@dataclass
class Volume:
    """A linear logical volume of ``extents`` extents; ``number`` is N of its device dm-N."""

    name: str
    group: str
    extents: int
    number: int
    origin: str = ""
    """For a snapshot, the name of its origin."""

    @property
    def mapper(self) -> str:
        """Name in /dev/mapper."""
        return f"{self.group}-{self.name}"

    @property
    def path(self) -> str:
        """Device node in /dev/mapper."""
        return f"/dev/mapper/{self.mapper}"

    @property
    def kname(self) -> str:
        """The kernel's name, dm-N."""
        return f"dm-{self.number}"

    @property
    def size(self) -> int:
        """Bytes."""
        return self.extents * EXTENT


@dataclass
class Physical:
    """A physical volume. ``size`` is bytes."""

    device: str
    size: int
    group: str = ""

    @property
    def extents(self) -> int:
        """Whole extents on the physical volume, without its label."""
        return self.size // EXTENT - 1


class Volumes:
    """The volume groups; ``sizes`` gives a device's bytes, None for a device that is missing."""

    def __init__(
        self,
        physical: list[Physical],
        volumes: list[Volume],
        sizes: Callable[[str], int | None],
    ) -> None:
        self.physicals, self.volumes, self._sizes = physical, volumes, sizes

    def physical(self, device: str) -> Physical | None:
        """The physical volume on a device."""
        return next((each for each in self.physicals if each.device == device), None)

    def find(self, device: str) -> Volume | None:
        """A volume by ``/dev/GROUP/NAME``, ``/dev/mapper/…`` or ``/dev/dm-N``."""
        for volume in self.volumes:
            if device in (
                volume.path, f"/dev/{volume.group}/{volume.name}", f"/dev/{volume.kname}",
                f"{volume.group}/{volume.name}",
            ):  # fmt: skip
                return volume
        return None

    def on(self, device: str) -> list[Volume]:
        """Volumes with extents on a physical volume; extents are filled in order."""
        found, at = [], 0
        spans = {}
        for physical in self.physicals:
            spans[physical.device] = (at, at + physical.extents)
            at += physical.extents if physical.group else 0
        low, high = spans.get(device, (0, 0))
        at = 0
        for volume in self.volumes:
            if at < high and at + volume.extents > low:
                found.append(volume)
            at += volume.extents
        return found

    def total(self, group: str) -> int:
        """Number of extents of a group."""
        return sum(each.extents for each in self.physicals if each.group == group)

    def free(self, group: str) -> int:
        """Number of free extents of a group."""
        used = sum(volume.extents for volume in self.volumes if volume.group == group)
        return self.total(group) - used

    # -- programs ----------------------------------------------------------------------------

    def commands(self) -> Commands:
        """The programs by name."""
        return {
            "lvs": self._report("lv", self._lv_rows),
            "vgs": self._report("vg", self._vg_rows),
            "pvs": self._report("pv", self._pv_rows),
            "lvextend": self._lvextend,
            "pvcreate": self._pvcreate,
            "vgextend": self._vgextend,
            "lvm": self._lvm,
        }

    def _lvm(self, call: Call) -> int:
        """lvm(8) at the initramfs prompt: volumes whose devices are there become active."""
        if call.argv[1:] != ("vgchange", "--activate", "y"):
            raise NotModelled(" ".join(call.argv))
        for group in dict.fromkeys(each.group for each in self.physicals if each.group):
            there = all(self._sizes(p.device) for p in self.physicals if p.group == group)
            count = sum(volume.group == group for volume in self.volumes) if there else 0
            call.say(f'  {count} logical volume(s) in volume group "{group}" now active')
        return 0

    def _report(self, kind: str, rows: Callable[[], list[dict[str, str]]]) -> Command:
        def run(call: Call) -> int:
            words = list(call.argv[1:])
            if words[:-1] != _REPORT:
                raise NotModelled(" ".join(call.argv))
            wanted, found = words[-1].split(","), rows()
            missing = sorted(set(wanted) - set(found[0] if found else wanted))
            if missing:
                raise NotModelled(f"{call.argv[0]}'s {', '.join(missing)}")
            told = [{name: row[name] for name in wanted} for row in found]
            call.say(json.dumps({"report": [{kind: told}]}, indent=2))
            return 0

        return run

    def _lv_rows(self) -> list[dict[str, str]]:
        return [
            {
                "lv_name": each.name, "vg_name": each.group,
                "lv_attr": "swi-a-s---" if each.origin else "-wi-ao----",
                "lv_path": f"/dev/{each.group}/{each.name}", "lv_dm_path": each.path,
                "lv_size": str(each.size), "lv_layout": "linear", "origin": each.origin,
            }
            for each in self.volumes
        ]  # fmt: skip

    def _vg_rows(self) -> list[dict[str, str]]:
        groups = dict.fromkeys(each.group for each in self.physicals if each.group)
        return [
            {
                "vg_name": name, "vg_extent_size": str(EXTENT),
                "vg_free_count": str(self.free(name)), "vg_extent_count": str(self.total(name)),
            }
            for name in groups
        ]  # fmt: skip

    def _pv_rows(self) -> list[dict[str, str]]:
        return [
            {"pv_name": each.device, "vg_name": each.group, "pv_size": str(each.extents * EXTENT)}
            for each in self.physicals
        ]

    def _lvextend(self, call: Call) -> int:
        words = [word for word in call.argv[1:] if word not in ("--yes", "--quiet", "-y", "-q")]
        match words:
            case ["--size" | "-L", size, device]:
                wanted = _extents(size, call)
            case ["--extents" | "-l", extents, device] if extents.isdigit():
                wanted = int(extents)
            case _:
                raise NotModelled(" ".join(call.argv))
        volume = self.find(device)
        if volume is None:
            call.complain(f"  Failed to find logical volume \"{device.removeprefix('/dev/')}\"")
            return 5
        wanted += volume.extents if words[1].startswith("+") else 0
        if wanted <= volume.extents:
            call.complain("  New size given is not larger than existing size")
            return 5
        if wanted - volume.extents > self.free(volume.group):
            call.complain(f"  Insufficient free space: {wanted - volume.extents} extents needed")
            return 5
        volume.extents = wanted
        call.say(f"  Logical volume {volume.group}/{volume.name} successfully resized.")
        return 0

    def _pvcreate(self, call: Call) -> int:
        devices = [word for word in call.argv[1:] if not word.startswith("-")]
        if len(devices) != 1:
            raise NotModelled(" ".join(call.argv))
        size = self._sizes(devices[0])
        if size is None:
            call.complain(f"  No device found for {devices[0]}.")
            return 5
        self.physicals.append(Physical(devices[0], size))
        call.say(f'  Physical volume "{devices[0]}" successfully created.')
        return 0

    def _vgextend(self, call: Call) -> int:
        words = [word for word in call.argv[1:] if not word.startswith("-")]
        physical = self.physical(words[1]) if len(words) == 2 else None
        if physical is None or physical.group:
            raise NotModelled(" ".join(call.argv))
        physical.group = words[0]
        call.say(f'  Volume group "{words[0]}" successfully extended')
        return 0


def _extents(size: str, call: Call) -> int:
    """``+512M``, ``10g`` or ``1073741824b`` in extents, rounded up as lvextend does."""
    text = size.lstrip("+").lower()
    unit = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}.get(text[-1:])
    if unit is None or not text[:-1].isdigit():
        raise NotModelled(" ".join(call.argv))
    return -(-int(text[:-1]) * unit // EXTENT)
