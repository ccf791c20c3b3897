"""``disk.detach``: tell the kernel that a disk is about to be pulled."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param, require
from tastyops.domain.storage.disks import find_disk, in_use, public_serial
from tastyops.errors import Failed, Refused
from tastyops.facts.boot_code import succeeds
from tastyops.facts.disks import BLOCK_DEVICES, Disks
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Probe, Steps, Unknown


@dataclass(frozen=True, kw_only=True)
class DiskDetach:
    """The parameters of ``disk.detach``."""

    disk: str = param("text", "The disk's serial number, WWN or name in /dev/disk/by-id")


@action(
    "disk.detach",
    scalar="disk",
    returns={"device": "device", "serial": "word"},
    sentence="Disk {{ serial }} detached; it may be pulled.",
    guarded=True,
)
def disk_detach(params: DiskDetach, facts: Facts) -> Steps:
    """Have the kernel let go of an unused disk, so that it can be pulled (SCSI and SATA).

    Its caches are written out and it is spun down. ``disk.rescan`` brings it back. Refused while
    anything uses the disk; ``force:`` does not change that.
    """
    disks: Disks = yield Probe(*BLOCK_DEVICES, sudo=True)
    disk = yield from find_disk(disks, params.disk)
    used = yield from in_use(disks, disk)
    if used:
        raise Refused(f"the disk is in use: {'; '.join(used)}")
    switch = f"/sys/block/{disk.kname}/device/delete"
    if not (yield Probe(*succeeds("test", "-e", switch))):
        raise Refused(f"the driver of {disk.path} cannot detach a disk while the system runs")
    gone = Probe(*succeeds("test", "!", "-e", f"/sys/block/{disk.kname}"))
    deleted = yield Change(("tee", switch), b"1\n", sudo=True, settle=gone)
    require(deleted, "the kernel did not let go of the disk")
    if not isinstance(deleted, Unknown):
        after: Disks = yield Probe(*BLOCK_DEVICES, sudo=True)
        if any((each.kname, each.serial) == (disk.kname, disk.serial) for each in after.disks):
            raise Failed("the kernel still lists the disk")
    return {"device": disk.path, "serial": public_serial(disk.serial)}
