"""GRUB on the modelled machine's disks: grub-install, the first sectors, what debconf remembers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tastyops.practice.calls import Call, Commands
from tastyops.practice.disks import SECTOR, Disk, Disks
from tastyops.practice.files import NotModelled
from tastyops.practice.processes import Processes

_QUESTION = "grub-pc/install_devices"
_TAKES = 6.0
_DUMP = re.compile(r"--(skip|read)-bytes=(\d+)")
_PLAIN = {"--address-radix=n", "--format=x1", "--output-duplicates"}
_CORE_AT = 1
"""The sector GRUB's core image begins in: the one after the first."""


class BootCode:
    """The programs."""

    def __init__(self, disks: Disks, processes: Processes) -> None:
        self._disks, self._processes = disks, processes
        names = ", ".join(f"/dev/disk/by-id/{disk.by_id}" for disk in disks)
        self._answers = {_QUESTION: names, f"{_QUESTION}_empty": "false"}

    def commands(self) -> Commands:
        """The programs."""
        return {
            "grub-install": self._install,
            "od": self._od,
            "debconf-show": self._debconf_show,
            "debconf-set-selections": self._debconf_set,
        }

    def links(self) -> Iterator[tuple[str, str]]:
        """udev's names in /dev/disk/by-id, and where each leads."""
        for disk in self._disks:
            for link in disk.links:
                yield link, f"../../{disk.name}"
                for part in disk.partitions:
                    yield f"{link}-part{part.number}", f"../../{disk.name}{part.number}"

    def _whole(self, device: str, call: Call) -> Disk:
        place = self._disks.find(device)
        if place is None or place[1] is not None:
            raise NotModelled(" ".join(call.argv))
        return place[0]

    def _install(self, call: Call) -> int:
        options, device = call.argv[1:-1], call.argv[-1]
        disk = self._whole(device, call)
        if set(options) - {"--target=i386-pc"} or not disk.table:
            raise NotModelled(" ".join(call.argv))
        call.complain("Installing for i386-pc platform.")
        self._processes.sleep(call.process, _TAKES)
        if disk.failing:
            call.complain(f"grub-install: error: failure reading sector 0x0 from `{device}'.")
            return 1
        disk.boot_code = True
        call.complain("Installation finished. No error reported.")
        return 0

    def _od(self, call: Call) -> int:
        """od(1) of one of a disk's first sectors."""
        *options, device = call.argv[1:]
        bounds = {m[1]: int(m[2]) for word in options if (m := _DUMP.fullmatch(word))}
        sector = bounds.get("skip", -1) // SECTOR
        plain = {word for word in options if not _DUMP.fullmatch(word)}
        known = bounds == {"skip": sector * SECTOR, "read": SECTOR} and plain == _PLAIN
        if not known or sector not in (0, _CORE_AT):
            raise NotModelled(" ".join(call.argv))
        data = _sector(self._whole(device, call), sector)
        for at in range(0, SECTOR, 16):
            call.say("".join(f" {byte:02x}" for byte in data[at : at + 16]))
        return 0

    def _debconf_show(self, call: Call) -> int:
        if call.argv[1:] != ("grub-pc",):
            raise NotModelled(" ".join(call.argv))
        for question, answer in self._answers.items():
            call.say(f"* {question}: {answer}")
        return 0

    def _debconf_set(self, call: Call) -> int:
        if len(call.argv) > 1:
            raise NotModelled(" ".join(call.argv))
        for line in call.stdin.rest().decode("utf-8", "replace").splitlines():
            package, question, _kind, answer = line.split(maxsplit=3)
            if package != "grub-pc" or question not in self._answers:
                raise NotModelled(f"debconf's question {question}")
            self._answers[question] = answer
        return 0


def _sector(disk: Disk, number: int) -> bytes:
    data = bytearray(SECTOR)
    if number == 0 and disk.boot_code:
        data[0x5C:0x64] = _CORE_AT.to_bytes(8, "little")
        data[0x180:0x18E] = b"GRUB \0Geom\0Har"
    if number == 0 and disk.table:
        data[-2:] = b"\x55\xaa"
    if number == _CORE_AT and disk.boot_code:
        data[0x20:0x2C] = b"loading\0Geom"
        data[-12:] = (2).to_bytes(8, "little") + (62).to_bytes(2, "little") + b"\x20\x08"
    return bytes(data)
