"""Storage of the modelled machine: kalimdor's disks, mirrors, volumes and filesystems.

Three disks, the second of them the old small one: md6 is /boot on all three, md7 holds most of
LVM's volumes on all three, md0 the rest on the two large ones, as after February 9th 2008.
In the cupboard lies a blank disk, PRACTICE-D. /sys and /proc follow every change.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping

from tastyops.practice.calls import Commands
from tastyops.practice.clock import PracticeClock
from tastyops.practice.disk_tools import Lsblk, Partitions, Signatures, Smart
from tastyops.practice.disks import SECTOR, Disk, Disks
from tastyops.practice.files import Files
from tastyops.practice.filesystems import Filesystem, FilesystemTools, Mounts, Snapshots
from tastyops.practice.grub import BootCode
from tastyops.practice.mirrors import MEMBER, RATE_KIB, Leg, Mdadm, Mirror, Mirrors
from tastyops.practice.processes import Processes
from tastyops.practice.volumes import EXTENT, Physical, Volume, Volumes

_OUT = re.compile(r"\b[Tt]ake (?:the )?disk (\S+) out\b")
_IN = re.compile(r"\bput (?:the )?disk (\S+) in\b")


class Hotplug:
    """Disks that come and go: deleted, scanned for, pulled, put in. ``changed`` follows each."""

    def __init__(self, disks: Disks, mirrors: Mirrors, changed: Callable[[], None]) -> None:
        self._disks, self._mirrors, self._changed = disks, mirrors, changed
        self.unseen: list[Disk] = []
        """Disks in a bay that the kernel does not know."""

    def delete_device(self, disk: Disk) -> None:
        """``echo 1 > device/delete``: the kernel forgets the disk, which stays in its bay."""
        self._remove(disk)
        self.unseen.append(disk)

    def scan_bays(self) -> None:
        """Has the kernel look for disks in every bay."""
        found, self.unseen = self.unseen, []
        for disk in found:
            self._disks.attach(disk)
        if found:
            self._changed()

    def _remove(self, disk: Disk) -> None:
        self._mirrors.throw_out(disk)
        self._disks.detach(disk)
        self._changed()

    def do_by_hand(self, text: str) -> bool:
        """Pulls and inserts the disks a manual step names; False for an unknown disk."""
        for serial in _OUT.findall(text):
            self._pull(serial.rstrip("."))
        put = [self._put(serial.rstrip(".")) for serial in _IN.findall(text)]
        return all(put)

    def _pull(self, serial: str) -> None:
        """Takes a disk out; one that is already out stays out."""
        for disk in [each for each in self._disks if each.serial == serial]:
            self._remove(disk)
        self.unseen = [disk for disk in self.unseen if disk.serial != serial]

    def _put(self, serial: str) -> bool:
        for disk in self._disks.spare:
            if disk.serial == serial:
                self._disks.spare.remove(disk)
                self.unseen.append(disk)
                return True
        return any(disk.serial == serial for disk in (*self._disks, *self.unseen))


_PERSONALITIES = "[raid1] [linear] [multipath] [raid0] [raid6] [raid5] [raid4] [raid10]"


class Sysfs:
    """Files of /sys and /proc about disks and mirrors; ``refresh`` follows a change of either."""

    def __init__(self, files: Files, disks: Disks, mirrors: Mirrors) -> None:
        self._files, self._disks, self._mirrors = files, disks, mirrors
        files.add("/proc/mdstat", lambda: self.mdstat().encode())
        self.hotplug = Hotplug(disks, mirrors, self.refresh)
        files.add_switch("/sys/class/scsi_host/host0/scan", lambda _: self.hotplug.scan_bays())
        self.refresh()

    def refresh(self) -> None:
        """Rebuilds the files of every disk and every member."""
        for directory in ("/sys/block", "/sys/class/block"):
            self._files.clear(directory)
            self._files.add_directory(directory)
        for disk in self._disks:
            self._disk(disk)
        for mirror in self._mirrors:
            self._publish(mirror)

    def _disk(self, disk: Disk) -> None:
        base = f"/sys/block/{disk.name}"
        self._files.add(f"{base}/size", f"{disk.sectors}\n")
        self._files.add(f"{base}/device/state", "running\n")
        self._files.add(f"{base}/device/ioerr_cnt", f"{disk.errors:#x}\n")
        self._files.add_switch(f"{base}/device/delete", lambda _: self.hotplug.delete_device(disk))
        for part in disk.partitions:
            base = f"/sys/class/block/{disk.name}{part.number}"
            self._files.add(f"{base}/start", f"{part.start}\n")
            self._files.add(f"{base}/size", f"{part.size}\n")

    def _publish(self, mirror: Mirror) -> None:
        base = f"/sys/block/{mirror.name}/md"
        for name, value in self._array(mirror).items():
            self._files.add(f"{base}/{name}", self._up_to_date(value))
        for leg in mirror.legs:
            for name, value in _member(leg).items():
                self._files.add(f"{base}/dev-{leg.device}/{name}", self._up_to_date(value))

    def _up_to_date(self, value: Callable[[], str]) -> Callable[[], bytes]:
        def make() -> bytes:
            self._mirrors.catch_up()
            return f"{value()}\n".encode()

        return make

    @staticmethod
    def _array(mirror: Mirror) -> Mapping[str, Callable[[], str]]:
        def completed() -> str:
            if mirror.copied is None:
                return "none"
            if mirror.delayed:
                return "delayed"
            return f"{round(mirror.copied * 2)} / {mirror.size * 2}"

        def moving() -> bool:
            return mirror.copied is not None and not mirror.delayed

        return {
            "level": lambda: "raid1",
            "metadata_version": lambda: mirror.metadata,
            "uuid": lambda: str(uuid.UUID(mirror.uuid)),
            "raid_disks": lambda: str(mirror.wanted),
            "degraded": lambda: str(mirror.degraded),
            "array_state": lambda: "active",
            "sync_action": lambda: "idle" if mirror.copied is None else "recover",
            "sync_completed": completed,
            "sync_speed": lambda: str(RATE_KIB) if moving() else "none",
            "resync_start": lambda: "none",
            "component_size": lambda: str(mirror.size),
            "bitmap/location": lambda: "+8" if mirror.bitmap else "none",
        }

    def mdstat(self) -> str:
        """Content of /proc/mdstat."""
        lines = [f"Personalities : {_PERSONALITIES}"]
        for mirror in sorted(self._mirrors, key=lambda each: each.name, reverse=True):
            lines += [*_stanza(mirror), ""]
        return "\n".join([*lines, "unused devices: <none>", ""])


def _member(leg: Leg) -> Mapping[str, Callable[[], str]]:
    return {
        "state": lambda: leg.state,
        "slot": lambda: "none" if leg.slot is None else str(leg.slot),
        "bad_blocks": lambda: "",
    }


def _stanza(mirror: Mirror) -> list[str]:
    flags = {"in_sync": "", "faulty": "(F)", "spare": ""}
    legs = " ".join(
        f"{leg.device}[{number if leg.slot is None else leg.slot}]"
        + ("(S)" if leg.state == "spare" and leg.slot is None else flags[leg.state])
        for number, leg in reversed(list(enumerate(mirror.legs)))
    )
    good = {leg.slot for leg in mirror.in_sync}
    shape = "".join("U" if slot in good else "_" for slot in range(mirror.wanted))
    lines = [
        f"{mirror.name} : active raid1 {legs}",
        f"      {mirror.size} blocks super {mirror.metadata}"
        f" [{mirror.wanted}/{len(mirror.in_sync)}] [{shape}]",
    ]
    if mirror.copied is not None:
        lines.append(_progress(mirror))
    if mirror.bitmap:
        lines.append("      bitmap: 0/1 pages [0KB], 65536KB chunk")
    return lines


def _progress(mirror: Mirror) -> str:
    if mirror.delayed:
        return "      \tresync=DELAYED"
    done = (mirror.copied or 0.0) / mirror.size
    left = (mirror.size - (mirror.copied or 0.0)) / RATE_KIB / 60
    bar = "=" * int(done * 20)
    return (
        f"      [{bar}>{'.' * (20 - len(bar))}]  recovery ={done * 100:5.1f}%"
        f" ({round(mirror.copied or 0)}/{mirror.size}) finish={left:.1f}min speed={RATE_KIB}K/sec"
    )


GB = 1_000_000_000
MIB = 1 << 20

_BOOT_KIB = 487_424
_MAIN_KIB = 121_968_640
_REST_KIB = 121_710_592
"""Partition sizes; each mirror is a little smaller than its members."""


class Storage:
    """Disks, mirrors, volumes and filesystems, with their programs."""

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
            FilesystemTools(self.volumes, self.mounts, processes),
            self._signatures,
            self._partitions,
            Smart(self.disks),
            self.boot_code,
        )

    def commands(self) -> Commands:
        """The programs by name."""
        return {name: run for part in self._parts for name, run in part.commands().items()}

    def scripts(self) -> Commands:
        """tastyops' scripts that read storage, and what answers each."""
        return {**self._signatures.scripts(), **self._partitions.scripts()}

    def assemble_for_boot(self, conf: str) -> bool:
        """Assembles the arrays an initial ramdisk with this mdadm.conf finds (mdadm.conf(5)).

        With ``AUTO -all`` only the arrays it names. Tells whether LVM has all the arrays it needs.
        """
        self.hotplug.scan_bays()
        named = "AUTO -all" in conf
        self.mirrors.reassemble(lambda mirror: not named or mirror.digits in conf)
        self._sysfs.refresh()
        return self.has_root()

    def has_root(self) -> bool:
        """Whether every array of the root's volume group is assembled."""
        return all(self._size(each.device) is not None for each in self.volumes.physicals)

    def finish_boot(self, mode: str = "") -> None:
        """Completes a boot: mounts fstab's filesystems; in emergency mode only the root."""
        self.mirrors.assemble(lambda _: True)
        self.mounts.mount_fstab()
        if mode == "emergency":
            self.mounts.mounted = [each for each in self.mounts.mounted if each.target == "/"]
            for mount in self.mounts.mounted:
                mount.read_only = True
        self._sysfs.refresh()

    def fail_disk(self, serial: str) -> None:
        """Makes every request to a disk fail from now on; md notices."""
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
    """A blank disk, a little larger than the large ones."""
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


def forget_array(files: Files, storage: Storage, name: str) -> None:
    """Removes an array from mdadm.conf, and forbids assembling any array not named there."""
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
