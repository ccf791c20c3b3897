"""What /sys and /proc show of the modelled mirrors and disks."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping

from tastyops.practice.disks import Disk, Disks
from tastyops.practice.files import Files
from tastyops.practice.hotplug import Hotplug
from tastyops.practice.mirrors import RATE_KIB, Leg, Mirror, Mirrors

_PERSONALITIES = "[raid1] [linear] [multipath] [raid0] [raid6] [raid5] [raid4] [raid10]"


class Sysfs:
    """Keeps the files in step with disks and mirrors; ``refresh`` after either has changed."""

    def __init__(self, files: Files, disks: Disks, mirrors: Mirrors) -> None:
        self._files, self._disks, self._mirrors = files, disks, mirrors
        files.add("/proc/mdstat", lambda: self.mdstat().encode())
        self.hotplug = Hotplug(disks, mirrors, self.refresh)
        files.add_switch("/sys/class/scsi_host/host0/scan", lambda _: self.hotplug.scan())
        self.refresh()

    def refresh(self) -> None:
        """Makes the files anew that exist because a disk or a member does."""
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
        self._files.add_switch(f"{base}/device/delete", lambda _: self.hotplug.let_go(disk))
        for part in disk.partitions:
            base = f"/sys/class/block/{disk.name}{part.number}"
            self._files.add(f"{base}/start", f"{part.start}\n")
            self._files.add(f"{base}/size", f"{part.size}\n")

    def _publish(self, mirror: Mirror) -> None:
        base = f"/sys/block/{mirror.name}/md"
        for name, value in self._array(mirror).items():
            self._files.add(f"{base}/{name}", self._looked(value))
        for leg in mirror.legs:
            for name, value in _member(leg).items():
                self._files.add(f"{base}/dev-{leg.device}/{name}", self._looked(value))

    def _looked(self, value: Callable[[], str]) -> Callable[[], bytes]:
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
        """/proc/mdstat."""
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
