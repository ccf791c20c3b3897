"""Hot-plugging: disks pulled from the lab machine and put in, as at the rack."""

from __future__ import annotations

import re
from dataclasses import replace

from tastyops.errors import LabFailed, UsageError, did_you_mean
from tastyops.lab import places, processes, recipe
from tastyops.lab.golden import create
from tastyops.lab.qemu import Drive
from tastyops.lab.qmp import Qmp
from tastyops.lab.record import Record

UNPLUG_SECONDS = 30.0
"""Seconds that QEMU may take to release a disk; a moment is usual."""

SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,19}")
"""Serial numbers that QEMU passes to the guest in full (20 bytes of VPD page 0x80)."""

SIZE = re.compile(r"[1-9][0-9]{0,6}[MG]")
SECTORS = (512, 4096)


def pull(made: Record, serial: str) -> Record:
    """Pulls a disk, whether the machine is on or off; the file is kept. Raises LabFailed."""
    drive = find_drive(made, serial)
    if not drive.attached:
        raise UsageError(f"Disk {serial} is out already.", still_true="Nothing was done.")
    if made.qemu is not None:
        with Qmp(made.machine.qmp) as qmp:
            _unplug(qmp, drive)
    return _with_drive(made, replace(drive, attached=False))


def insert(made: Record, serial: str, size: str = "", sector: int = 512) -> Record:
    """Inserts a pulled disk, or a blank disk with a new serial. Raises LabFailed."""
    known = {drive.serial: drive for drive in made.drives}
    drive = known.get(serial)
    if drive is None:
        drive = _blank_drive(made, serial, size or recipe.DISK_SIZE, sector)
    elif drive.attached:
        raise UsageError(f"Disk {serial} is in the machine.", still_true="Nothing was done.")
    elif size or sector != 512:
        raise UsageError(
            f"Disk {serial} exists and keeps its size.", still_true="Nothing was done.",
            next_step="Give a blank one another serial.",
        )  # fmt: skip
    drive = replace(drive, attached=True)
    changed = _with_drive(made, drive)
    if made.qemu is not None:
        try:
            _plug(changed, drive)
        except LabFailed:
            _with_drive(changed, replace(drive, attached=False))
            raise
    return changed


def keep_only(made: Record, serial: str) -> Record:
    """Pulls every other disk of a machine that is off. Raises LabFailed while it is on."""
    chosen = find_drive(made, serial)
    if made.qemu is not None:
        raise LabFailed("The lab machine is on; its disks are taken out while it is off.")
    drives = tuple(replace(drive, attached=drive is chosen) for drive in made.drives)
    return _save(replace(made, drives=drives))


def find_drive(made: Record, serial: str) -> Drive:
    """Finds a disk by serial, in the machine or on the shelf. Raises UsageError."""
    known = {drive.serial: drive for drive in made.drives}
    if serial not in known:
        raise UsageError(
            f"There is no disk {serial!r}.", still_true="Nothing was done.",
            next_step=did_you_mean(serial, known) or f"Disks: {', '.join(known)}.",
        )  # fmt: skip
    return known[serial]


def _blank_drive(made: Record, serial: str, size: str, sector: int) -> Drive:
    if not SERIAL.fullmatch(serial) or not SIZE.fullmatch(size) or sector not in SECTORS:
        raise UsageError(
            f"A disk {serial!r} of {size} with sectors of {sector} bytes cannot be made.",
            still_true="Nothing was done.",
            next_step="A serial has up to 20 letters and digits, a size is like 4G or 500M, "
            "a sector has 512 or 4096 bytes.",
        )
    name = f"disk{len(made.drives) + 1}"
    path = places.state() / f"{name}.qcow2"
    path.unlink(missing_ok=True)
    create(path, size)
    return Drive(name, serial, path, sector)


def _with_drive(made: Record, drive: Drive) -> Record:
    """Records a disk in its own place, or in the place of a pulled disk, to boot from there."""
    drives = list(made.drives)
    places_of = [index for index, each in enumerate(drives) if each.serial == drive.serial]
    if places_of:
        drives[places_of[0]] = drive
    else:
        gap = next((n for n, each in enumerate(drives) if not each.attached), len(drives))
        drives.insert(gap, drive)
    return _save(replace(made, drives=tuple(drives)))


def _save(made: Record) -> Record:
    made.write_start_script()
    made.save()
    return made


def _plug(made: Record, drive: Drive) -> None:
    with Qmp(made.machine.qmp) as qmp:
        qmp.put("blockdev-add", drive.node)
        try:
            # No bootindex: the boot order is fixed when the machine is switched on.
            qmp.put("device_add", {k: v for k, v in drive.device(0).items() if k != "bootindex"})
        except LabFailed:
            qmp.ask("blockdev-del", node_name=drive.name)
            raise


def _unplug(qmp: Qmp, drive: Drive) -> None:
    qmp.ask("device_del", id=drive.name)

    def gone() -> bool:
        found = qmp.ask("qom-list", path="/machine/peripheral")
        return all(each["name"] != drive.name for each in found)

    if not processes.wait_for(gone, UNPLUG_SECONDS):
        raise LabFailed(f"The lab machine does not let go of disk {drive.serial}.")
    nodes = {each["node-name"] for each in qmp.ask("query-named-block-nodes", flat=True)}
    for node in (f"bad-{drive.name}", drive.name):  # a fault's node lies over the disk's
        if node in nodes:
            _remove_node(qmp, node)


def _remove_node(qmp: Qmp, node: str) -> None:
    """Removes a block node, which the device releases a moment after its own removal."""

    def removed() -> bool:
        try:
            qmp.ask("blockdev-del", node_name=node)
        except LabFailed:
            return False
        return True

    if not processes.wait_for(removed, UNPLUG_SECONDS):
        raise LabFailed(f"QEMU does not let go of {node}, the image of a disk that was pulled.")
