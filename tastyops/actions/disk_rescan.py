"""``disk.rescan``: look for disks that were put in while the system runs."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tastyops.actions import action, param, require
from tastyops.domain.storage.disks import disk_exists, find_disk
from tastyops.errors import Failed
from tastyops.facts.disks import BLOCK_DEVICES, Disks
from tastyops.facts.partition_tables import SETTLED
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Command, Probe, Sleep, Steps, Unknown
from tastyops.model.duration import format_duration

POLL = 2.0
"""Seconds between two looks for a disk that is spinning up."""

SCAN = ("sh", "-c", 'for host in /sys/class/scsi_host/host*/scan; do echo "- - -" > "$host"; done')
"""Every bus of every SCSI host adapter, SATA's among them (scsi_host(9): three wildcards)."""


@dataclass(frozen=True, kw_only=True)
class DiskRescan:
    """The parameters of ``disk.rescan``."""

    disk: str = param("text", "The serial number, WWN or by-id name of the disk to find", "")
    patience: float = param("duration", "How long the disk may take to appear", 60.0)


@action(
    "disk.rescan",
    scalar="disk",
    returns={"device": "device", "found": "device", "changed": "flag"},
    sentence="Buses scanned for new disks.",
    already="{{ 'The disk is there as ' ~ device if device else 'Buses scanned, no new disk"
    " found' }}.",
)
def disk_rescan(params: DiskRescan, facts: Facts) -> Steps:
    """Make the kernel look for new disks (SCSI and SATA), and wait for the given disk."""
    before: Disks = yield Probe(*BLOCK_DEVICES, sudo=True)
    if params.disk and (yield from disk_exists(before, params.disk)):
        disk = yield from find_disk(before, params.disk)
        return {"device": disk.path, "found": [], "changed": False}
    scanned = yield Change(SCAN, sudo=True)
    require(scanned, "the buses could not be scanned")
    if isinstance(scanned, Unknown):
        return {"device": None, "found": [], "changed": True}
    after = yield from _appeared(params)
    known = {(disk.kname, disk.serial) for disk in before.disks}
    found = [disk.path for disk in after.disks if (disk.kname, disk.serial) not in known]
    wanted = (yield from find_disk(after, params.disk)) if params.disk else None
    return {"device": wanted.path if wanted else None, "found": found, "changed": bool(found)}


def _appeared(params: DiskRescan) -> Generator[Command, Any, Disks]:
    waited = 0.0
    while True:
        yield Probe(*SETTLED)
        disks: Disks = yield Probe(*BLOCK_DEVICES, sudo=True)
        if not params.disk or (yield from disk_exists(disks, params.disk)):
            return disks
        if waited >= params.patience:
            raise Failed(
                f"no disk called {params.disk} appeared within {format_duration(params.patience)}"
            )
        waited += POLL
        yield Sleep(POLL, "the disk to appear")
