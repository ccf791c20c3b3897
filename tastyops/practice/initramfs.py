"""Initial ramdisks of the modelled machine: made from its mdadm.conf, whole or cut short.

A ramdisk's first bytes are the mdadm.conf it was made with, so an older ramdisk, or a copy, still
has the configuration of its time. tastyops' script that reads a ramdisk is answered here.
"""

from __future__ import annotations

import posixpath

from tastyops.facts import initrd
from tastyops.practice.calls import Call, Commands
from tastyops.practice.files import FileProblem, Files, NotModelled
from tastyops.practice.processes import Processes

WHOLE = 1_000_000
"""Size in bytes below which an initial ramdisk is truncated."""

SIZE = 38_817_114
TRUNCATED = 262_144
_TAKES = 25.0
"""Seconds that update-initramfs takes for one kernel."""

_CONF = "/etc/mdadm/mdadm.conf"
_MODULES = ("sd_mod", "ahci", "raid1", "dm_mod", "xfs", "ext4")


def path_of(release: str) -> str:
    """Path of a kernel's initial ramdisk on Debian."""
    return f"/boot/initrd.img-{release}"


def make(files: Files, release: str, size: int = SIZE) -> None:
    """Makes a kernel's initial ramdisk from the present mdadm.conf."""
    files.add_opaque(path_of(release), size, files.text(_CONF).encode())


class Initramfs:
    """update-initramfs(8), and tastyops' script that reads an initial ramdisk."""

    def __init__(self, files: Files, processes: Processes) -> None:
        self._files = files
        self._processes = processes
        files.add("/usr/sbin/update-initramfs", "")

    def commands(self) -> Commands:
        """The program by name."""
        return {"update-initramfs": self._update}

    def scripts(self) -> Commands:
        """The script's text and what answers it."""
        return {initrd.SCRIPT: self._read}

    def _kernels(self) -> list[str]:
        names = self._files.names("/boot")
        return [n.removeprefix("vmlinuz-") for n in names if n.startswith("vmlinuz-")]

    def _update(self, call: Call) -> int:
        match call.argv[1:]:
            case ["-u", "-k", "all"]:
                chosen = self._kernels()
            case ["-u", "-k", release]:
                chosen = [release]
            case _:
                raise NotModelled(" ".join(call.argv))
        for release in chosen:
            if not self._files.exists(path_of(release)):
                call.complain(f"{path_of(release)} does not exist. Cannot update.")
                return 1
            call.say(f"update-initramfs: Generating {path_of(release)}")
            self._processes.sleep(call.process, _TAKES)
            make(self._files, release)
        return 0

    def conf(self, release: str) -> str:
        """mdadm.conf in a kernel's ramdisk; empty where the ramdisk is missing or truncated."""
        path = path_of(release)
        if not self._files.exists(path) or self._files.size(path) < WHOLE:
            return ""
        return bytes(self._files.file(path).data).decode("utf-8", "replace")

    def _read(self, call: Call) -> int:
        release = posixpath.basename(call.argv[-1])
        image, ramdisk = f"/boot/vmlinuz-{release}", path_of(release)
        if self._files.exists(image) and self._files.size(image):
            call.say("image")
        try:
            size = self._files.size(ramdisk)
        except FileProblem:
            size = 0
        if not size:
            return 0
        call.say(f"size {size}\nwritten 0")
        if size < WHOLE:
            call.say("unpacked 1\nlisted 2")
            return 0
        for module in _MODULES:
            call.say(f"module {module}")
        call.say("program mdadm\nprogram lvm\nunpacked 0\nlisted 0")
        for line in self.conf(release).splitlines():
            call.say(f"conf {line}")
        return 0
