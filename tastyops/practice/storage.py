"""What kalimdor's disks, mirrors, volumes and filesystems are, put together.

Three disks, the second of them the old small one: md6 is /boot on all three, md7 holds most of
LVM's volumes on all three, md0 the rest on the two large ones, as after February 9th 2008.
In the cupboard lies a blank one, PRACTICE-D.
"""

from __future__ import annotations

import uuid

from tastyops.practice.boot_code import BootCode
from tastyops.practice.calls import Commands
from tastyops.practice.clock import PracticeClock
from tastyops.practice.disks import SECTOR, Disk, Disks
from tastyops.practice.files import Files
from tastyops.practice.filesystem_tools import FsTools
from tastyops.practice.lsblk import Lsblk
from tastyops.practice.mdadm import MEMBER, Mdadm
from tastyops.practice.mirrors import Leg, Mirror, Mirrors
from tastyops.practice.mounts import Filesystem, Mounts
from tastyops.practice.partitions import Partitions
from tastyops.practice.processes import Processes
from tastyops.practice.signatures import Signatures
from tastyops.practice.smart import Smart
from tastyops.practice.snapshots import Snapshots
from tastyops.practice.sysfs import Sysfs
from tastyops.practice.volumes import EXTENT, Physical, Volume, Volumes

GB = 1_000_000_000
MIB = 1 << 20

_BOOT_KIB = 487_424
_MAIN_KIB = 121_968_640
_REST_KIB = 121_710_592
"""Partition sizes; each mirror is a little smaller than its members."""


class Storage:
    """Disks and all that lies on them."""

    def __init__(self, clock: PracticeClock, files: Files, processes: Processes) -> None:
        self.disks = Disks(_disks(), [_spare()])
        self.mirrors = Mirrors(clock, self.disks, _mirrors(self.disks))
        self.volumes = Volumes(_physical(self.mirrors), _volumes(), self._size)
        self.mounts = Mounts(files, _filesystems(self.volumes, self.mirrors))
        files.add("/etc/mdadm/mdadm.conf", _mdadm_conf(self.mirrors))
        self._sysfs = Sysfs(files, self.disks, self.mirrors)
        self.hotplug = self._sysfs.hotplug
        self._signatures = Signatures(
            self.disks, self.mirrors, self.volumes, self.mounts, self._sysfs.refresh
        )
        self._partitions = Partitions(self.disks, self.mirrors, self._sysfs.refresh)
        self.boot_code = BootCode(self.disks, processes)
        self._parts = (
            self.volumes,
            self.mounts,
            Snapshots(self.volumes, self.mounts),
            Mdadm(files, self.disks, self.mirrors, self._sysfs.refresh),
            Lsblk(self.disks, self.mirrors, self.volumes, self.mounts),
            FsTools(self.volumes, self.mounts, processes),
            self._signatures,
            self._partitions,
            Smart(self.disks),
            self.boot_code,
        )

    def commands(self) -> Commands:
        """The programs that look at it and change it."""
        return {name: run for part in self._parts for name, run in part.commands().items()}

    def scripts(self) -> Commands:
        """tastyops' own readings of it, by the text of their script."""
        return {**self._signatures.scripts(), **self._partitions.scripts()}

    def assembled(self, conf: str) -> bool:
        """The arrays a boot assembles whose initial ramdisk has that mdadm.conf (mdadm.conf(5)).

        With ``AUTO -all`` only those it names. Gives whether all are there that LVM needs.
        """
        self.hotplug.scan()
        named = "AUTO -all" in conf
        self.mirrors.reassemble(lambda mirror: not named or mirror.digits in conf)
        self._sysfs.refresh()
        return self.root_there()

    def root_there(self) -> bool:
        """Whether all arrays are assembled that hold the volume group."""
        return all(self._size(each.device) is not None for each in self.volumes.physicals)

    def booted(self, mode: str = "") -> None:
        """What the rest of a boot brings: mounts from fstab; in emergency mode only the root's."""
        self.mirrors.assemble(lambda _: True)
        self.mounts.booted()
        if mode == "emergency":
            self.mounts.mounted = [each for each in self.mounts.mounted if each.target == "/"]
            for mount in self.mounts.mounted:
                mount.read_only = True
        self._sysfs.refresh()

    def fail_disk(self, serial: str) -> None:
        """From now on every request to that disk fails, and md notices."""
        disk = next(each for each in self.disks if each.serial == serial)
        disk.failing, disk.errors = True, disk.errors + 23
        self.mirrors.throw_out(disk)
        self._sysfs.refresh()

    def _size(self, device: str) -> int | None:
        mirror = self.mirrors.find(device)
        if mirror is not None:
            return mirror.size * 1024
        place = self.disks.find(device)
        return place[1].size * SECTOR if place and place[1] else None


def _uuid(word: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{word}.kalimdor.tastycake.net"))


def _disks() -> list[Disk]:
    large, small = 250 * GB // SECTOR, 127 * GB // SECTOR
    disks = [
        Disk("sda", "PRACTICE-A", large, "WDC WD2500JB", table_id="7c51a0e1", boot_code=True),
        Disk("sdb", "PRACTICE-B", small, "Maxtor 6Y120P0", table_id="7c51a0e2", boot_code=True),
        Disk("sdc", "PRACTICE-C", large, "WDC WD2500JB", table_id="7c51a0e3", boot_code=True),
    ]
    for disk in disks:
        boot = disk.add(_BOOT_KIB, holds=MEMBER)
        boot.uuid, boot.beneath = _uuid("md6"), "ext4"
        disk.add(_MAIN_KIB, holds=MEMBER).uuid = _uuid("md7")
        if disk.sectors == large:
            disk.add(_REST_KIB, holds=MEMBER).uuid = _uuid("md0")
    return disks


def _spare() -> Disk:
    """A blank one, a little larger than the large ones."""
    return Disk("", "PRACTICE-D", 320 * GB // SECTOR, "ST3320620AS", table="")


def _mirrors(disks: Disks) -> list[Mirror]:
    def legs(number: int) -> list[Leg]:
        names = [f"{disk.name}{number}" for disk in disks if disk.partition(number)]
        return [Leg(name, slot) for slot, name in enumerate(names)]

    boot, main, rest = legs(1), legs(2), legs(3)
    return [
        Mirror("md0", _uuid("md0"), 121_708_544, "1.2", len(rest), rest, True,
               known_as="kalimdor:0"),
        Mirror("md6", _uuid("md6"), 487_360, "1.0", len(boot), boot, known_as="kalimdor:6",
               beneath="ext4"),
        Mirror("md7", _uuid("md7"), 121_966_592, "1.2", len(main), main, True,
               known_as="kalimdor:7"),
    ]  # fmt: skip


def forget(files: Files, storage: Storage, name: str) -> None:
    """Takes an array out of mdadm.conf, which then allows no other to be assembled."""
    kept = [mirror.definition for mirror in storage.mirrors if mirror.name != name]
    files.add("/etc/mdadm/mdadm.conf", "\n".join(["HOMEHOST <system>", "AUTO -all", *kept, ""]))


def _mdadm_conf(mirrors: Mirrors) -> str:
    lines = [mirror.definition for mirror in mirrors]
    return "\n".join(["HOMEHOST <system>", "MAILADDR root", *lines, ""])


def _physical(mirrors: Mirrors) -> list[Physical]:
    sizes = {mirror.name: mirror.size * 1024 for mirror in mirrors}
    return [Physical(f"/dev/{name}", sizes[name], "volume") for name in ("md7", "md0")]


def _volumes() -> list[Volume]:
    gib = (("root", 16), ("home", 120), ("var", 12), ("recover", 60))
    return [
        Volume(name, "volume", size * 1024 * MIB // EXTENT, number)
        for number, (name, size) in enumerate(gib)
    ]


def _filesystems(volumes: Volumes, mirrors: Mirrors) -> list[Filesystem]:
    used = {"root": 0.31, "home": 0.64, "var": 0.995, "recover": 0.82}
    found = [
        Filesystem(
            volume.path, "xfs", _uuid(volume.name), volume.size,
            int(volume.size * used[volume.name]), volume.name,
        )
        for volume in volumes.volumes
    ]  # fmt: skip
    boot = mirrors.find("md6")
    size = (boot.size if boot else 0) * 1024
    return [*found, Filesystem("/dev/md6", "ext4", _uuid("boot"), size, size // 4, "boot")]
