"""``disk.identify``: which device a disk's serial number stands for, and what uses it."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.domain.storage.disks import find_disk, in_use, public_serial
from tastyops.errors import Failed
from tastyops.facts.disks import BLOCK_DEVICES, Disks
from tastyops.facts.readings import Reading
from tastyops.model.action import Facts
from tastyops.model.commands import Probe, Steps


@dataclass(frozen=True, kw_only=True)
class DiskIdentify:
    """The parameters of ``disk.identify``."""

    disk: str = param("text", "The disk's serial number, WWN or name in /dev/disk/by-id")
    unused: bool = param("boolean", "Fail unless nothing uses the disk", False)


def model(path: str) -> Reading:
    """A disk's model, as its maker calls it."""
    return Reading(("lsblk", "--nodeps", "--noheadings", "--output=MODEL", path), "line")


@action(
    "disk.identify",
    scalar="disk",
    returns={
        "device": "device",
        "serial": "word",
        "size": "size",
        "sector": "count",
        "table": "word",
        "used": "flag",
        "uses": "private",
        "model": "private",
    },
    sentence="Disk {{ serial }} found as {{ device }}.",
)
def disk_identify(params: DiskIdentify, facts: Facts) -> Steps:
    """Find a disk by its serial number, and name its device and what uses it.

    Refuses when no disk has that name or several do: then nobody knows which one is meant.
    """
    disks: Disks = yield Probe(*BLOCK_DEVICES, sudo=True)
    disk = yield from find_disk(disks, params.disk)
    used = yield from in_use(disks, disk)
    registered = {
        "device": disk.path,
        "serial": public_serial(disk.serial),
        "size": disk.size,
        "sector": disk.sector,
        "table": disk.table or "none",
        "used": bool(used),
        "uses": list(used),
        "model": (yield Probe(*model(disk.path))),
    }
    if params.unused and used:
        raise Failed(f"the disk is in use: {'; '.join(used)}", registered)
    return registered
