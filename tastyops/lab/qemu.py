"""QEMU's command line for the lab machine, and for the machine that builds it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tastyops.lab import recipe

PROGRAM = "qemu-system-x86_64"

_PROCESSORS = {
    "kvm": ("-accel", "kvm", "-cpu", "host"),
    # Emulating AVX costs more than it gains; an older processor boots faster.
    # Its translations may otherwise take as much memory again as the guest.
    "tcg": ("-accel", "tcg,thread=multi,tb-size=512", "-cpu", "Nehalem"),
}


@dataclass(frozen=True, slots=True)
class Drive:
    """A disk in the machine or on the shelf: QEMU's name, serial, image file."""

    name: str
    serial: str
    path: Path
    sector: int = 512
    """Bytes of a logical and a physical sector: 512, or 4096 for a 4Kn disk."""
    attached: bool = True
    """Whether the disk is in the machine; a pulled disk keeps its file."""

    @property
    def node(self) -> dict[str, Any]:
        """The image as a block node, the argument of ``blockdev-add``."""
        return {
            "driver": "qcow2", "node-name": self.name, "discard": "unmap",
            "detect-zeroes": "unmap", "file": {"driver": "file", "filename": str(self.path)},
        }  # fmt: skip

    def device(self, bootindex: int) -> dict[str, Any]:
        """The disk, the argument of ``device_add``. Firmware boots by ``bootindex``."""
        plain = {
            "driver": "scsi-hd", "bus": "scsi0.0", "id": self.name, "drive": self.name,
            "serial": self.serial, "bootindex": bootindex,
        }  # fmt: skip
        sectors = {"logical_block_size": self.sector, "physical_block_size": self.sector}
        return plain | (sectors if self.sector != 512 else {})


def pristine(folder: Path) -> tuple[Drive, ...]:
    """The recipe's three disks, with their files in a folder."""
    return tuple(Drive(d.name, d.serial, folder / f"{d.name}.qcow2") for d in recipe.DISKS)


@dataclass(frozen=True, slots=True)
class Machine:
    """A lab machine: disks, run directory with files and sockets, ports."""

    accelerator: str
    drives: tuple[Drive, ...]
    folder: Path
    """Directory of sockets and pid file; a short path, as Unix sockets require."""
    ssh_port: int
    visitor_log: Path
    bmc_port: int | None = None

    @property
    def qmp(self) -> Path:
        """Socket of QEMU's machine protocol."""
        return self.folder / "qmp"

    @property
    def pid_file(self) -> Path:
        """File in which QEMU writes its process id."""
        return self.folder / "qemu.pid"

    @property
    def serial(self) -> Path:
        """The hub's socket, to which QEMU connects, retrying until it succeeds."""
        return self.folder / "serial"

    def arguments(self) -> list[str]:
        """Command line of a cold boot."""
        return [
            *common(self.accelerator), *drives(self.drives),
            "-pidfile", str(self.pid_file),
            "-qmp", f"unix:{escaped(self.qmp)},server=on,wait=off",
            # restrict=on: the guest reaches nothing outside; only ssh reaches the guest.
            "-netdev", f"user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:{self.ssh_port}-:22",
            "-device", "virtio-net-pci,netdev=net0,id=nic0,romfile=",
            "-chardev", f"socket,id=console,path={escaped(self.serial)},server=off,reconnect=1",
            "-serial", "chardev:console",
            "-chardev", f"file,id=visitor,path={escaped(self.visitor_log)},append=on",
            "-serial", "chardev:visitor",
            *self._bmc(),
        ]  # fmt: skip

    def _bmc(self) -> list[str]:
        if self.bmc_port is None:
            return []
        return [
            "-chardev", f"socket,id=ipmi0,host=127.0.0.1,port={self.bmc_port},reconnect=2",
            "-device", "ipmi-bmc-extern,chardev=ipmi0,id=bmc0", "-device", "isa-ipmi-kcs,bmc=bmc0",
        ]  # fmt: skip

    def script(self) -> str:
        """Start script: a cold boot, with the script's own arguments added."""
        return f"#!/bin/sh\nexec {shlex.join(self.arguments())} \"$@\"\n"


def common(accelerator: str) -> list[str]:
    """Options of every machine."""
    return [
        PROGRAM, "-no-user-config", "-nodefaults", "-display", "none",
        "-machine", "pc", *_PROCESSORS[accelerator],
        "-smp", "2", "-m", str(recipe.MEMORY_MB), "-rtc", "base=utc",
    ]  # fmt: skip


def drives(all_drives: Sequence[Drive]) -> list[str]:
    """Options for the disks on one SCSI bus, with serials and boot order."""
    words = ["-device", "virtio-scsi-pci,id=scsi0"]
    for number, drive in enumerate(all_drives, 1):
        if drive.attached:
            words += [
                "-blockdev",
                f"driver=qcow2,node-name={drive.name},discard=unmap,detect-zeroes=unmap,"
                f"file.driver=file,file.filename={escaped(drive.path)}",
                "-device",
                ",".join(
                    str(value) if name == "driver" else f"{name}={value}"
                    for name, value in drive.device(number).items()
                ),
            ]
    return words


def builder(
    accelerator: str, disks: Sequence[Drive], image: Path, kernel: Path, initrd: Path
) -> list[str]:
    """Command line of the machine that puts an image on three disks; console on stdout."""
    return [
        *common(accelerator), *drives(disks), "-no-reboot",
        "-kernel", str(kernel), "-initrd", str(initrd),
        "-append", "root=LABEL=builder rw init=/sbin/lab-install console=ttyS0,115200 "
        "net.ifnames=0 mitigations=off panic=-1",
        "-blockdev",
        f"driver=raw,node-name=builder,file.driver=file,file.filename={escaped(image)},"
        "file.cache.no-flush=on",
        "-device", "scsi-hd,bus=scsi0.0,drive=builder,serial=LAB-BUILDER",
        "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
    ]  # fmt: skip


def escaped(path: Path) -> str:
    """Quotes a path for QEMU's option lists, where commas are doubled."""
    return str(path).replace(",", ",,")
