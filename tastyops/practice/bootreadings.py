"""What tastyops' own readings of the boot find on the modelled machine.

Each is a script that ``probes`` has as one command; here it is answered as one, from the model,
and nothing of it runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tastyops.practice.calls import Call, Commands
from tastyops.practice.files import Files
from tastyops.probes import bootside, initrd

WHOLE_INITRD = 1_000_000
"""Bytes below which an initial ramdisk is truncated."""

_DISKS = ("sda", "sdb", "sdc")
_ARRAYS = {"md6": ("sda1", "sdb1", "sdc1"), "md7": ("sda2", "sdb2", "sdc2"),
           "md0": ("sda3", "sdc3")}  # fmt: skip
_VOLUMES = {"/": ("/dev/mapper/volume-root", "xfs"), "/boot": ("/dev/md6", "ext4"),
            "/home": ("/dev/mapper/volume-home", "xfs"),
            "/var": ("/dev/mapper/volume-var", "xfs")}  # fmt: skip
_FREE = 300_000_000
"""Bytes free in /boot."""


def _uuid(array: str) -> str:
    return f"5c1d7a9e-4b2f-4c0e-8f6a-1d3b5e7c9{int(array[2:]):03d}"


class BootReadings:
    """``booted`` maps each kernel that has run to when it started."""

    def __init__(self, files: Files, booted: Mapping[str, int]) -> None:
        self._files = files
        self._booted = booted

    def scripts(self) -> Commands:
        """The readings, by the text of their script."""
        return {bootside.SCRIPT: self._side, initrd.SCRIPT: self._initrd}

    def _side(self, call: Call) -> int:
        for name, data in (("root", _mounted("/")), ("boot", _mounted("/boot")),
                           ("fstab", _mounted(*_VOLUMES)), ("blocks", _blocks())):  # fmt: skip
            call.say(f"== {name}\n{json.dumps(data)}")
        call.say("== system")
        for disk in _DISKS:
            call.say(f"driver {disk} sd_mod\ndriver {disk} ahci\ncode {disk} grub there")
        for array, members in _ARRAYS.items():
            for member in members:
                call.say(f"member {array} {member} in_sync")
            call.say(f"degraded {array} 0")
        call.say("== booted")
        for release, at in self._booted.items():
            call.say(f"{at} {release}")
        return 0

    def _initrd(self, call: Call) -> int:
        release = call.argv[-1]
        image, ramdisk = f"/boot/vmlinuz-{release}", f"/boot/initrd.img-{release}"
        if self._files.exists(image) and self._files.size(image):
            call.say("image")
        size = self._files.size(ramdisk) if self._files.exists(ramdisk) else 0
        if not size:
            return 0
        call.say(f"size {size}\nwritten 0")
        if size < WHOLE_INITRD:
            call.say("unpacked 1\nlisted 2")
            return 0
        for module in ("sd_mod", "ahci", "raid1", "dm_mod", "xfs", "ext4"):
            call.say(f"module {module}")
        call.say("program mdadm\nprogram lvm\nunpacked 0\nlisted 0")
        for array in _ARRAYS:
            call.say(f"conf ARRAY /dev/{array} metadata=1.2 UUID={_uuid(array)}")
        return 0


def _mounted(*targets: str) -> dict[str, Any]:
    return {
        "filesystems": [
            {"target": target, "source": _VOLUMES[target][0], "fstype": _VOLUMES[target][1],
             "options": "defaults", "avail": _FREE}
            for target in targets
        ]
    }  # fmt: skip


def _blocks() -> dict[str, Any]:
    def block(name: str, kind: str, path: str = "", **more: Any) -> dict[str, Any]:
        return {"kname": name, "type": kind, "path": path or f"/dev/{name}", **more}

    volumes = [
        block(f"dm-{number}", "lvm", source, fstype=fstype)
        for number, (source, fstype) in enumerate(v for v in _VOLUMES.values() if "mapper" in v[0])
    ]

    def array(name: str) -> dict[str, Any]:
        return block(name, "raid1", children=[] if name == "md6" else volumes)

    return {
        "blockdevices": [
            block(disk, "disk", children=[
                block(member, "part", fstype="linux_raid_member", uuid=_uuid(name),
                      children=[array(name)])
                for name, members in _ARRAYS.items() for member in members
                if member.startswith(disk)
            ])
            for disk in _DISKS
        ]
    }  # fmt: skip
