"""GRUB on a BIOS disk: boot code in the first sector, its core image, what debconf remembers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tastyops.facts.readings import Answer, Parsers, Reading, need_ok

SECTOR = 512
_KERNEL_SECTOR = 0x5C
"""Where boot.img keeps the number of the core image's first sector (GRUB's boot.S)."""

_BLOCK_LIST = SECTOR - 12
"""Where diskboot.img, the core image's first sector, says what follows: start, length, segment."""

UEFI = Reading(("test", "-d", "/sys/firmware/efi"), "succeeded")
"""Whether firmware started this kernel by way of UEFI."""

BY_ID = Reading(("find", "/dev/disk/by-id", "-type", "l", "-printf", "%f %l\\n"), "by_id")
"""udev's names made from serial numbers, and the kernel name each leads to."""

GRUB_ANSWERS = Reading(
    ("sh", "-c", "command -v debconf-show >/dev/null || exit 0; debconf-show grub-pc"), "debconf"
)
"""What debconf knows of grub-pc: which disks an upgrade of the package installs GRUB on."""


@dataclass(frozen=True, slots=True)
class BootCode:
    """What stands in a disk's first sector; ``core`` is where GRUB's core image begins."""

    grub: bool
    core: int


def succeeds(*argv: str) -> Reading:
    """Whether a command that only looks ends with 0."""
    return Reading(argv, "succeeded")


def boot_code(device: str) -> Reading:
    """The first sector, as ``BootCode``."""
    return Reading(_dumped(device, 0), "boot_code")


def core_image(device: str, sector: int) -> Reading:
    """Whether GRUB's core image begins in that sector (of 512 bytes)."""
    return Reading(_dumped(device, sector), "core_image")


def _dumped(device: str, sector: int) -> tuple[str, ...]:
    skip = f"--skip-bytes={sector * SECTOR}"
    bounds = (skip, f"--read-bytes={SECTOR}")
    return ("od", "--address-radix=n", "--format=x1", "--output-duplicates", *bounds, device)


def _bytes(answer: Answer) -> bytes:
    """A sector as od dumps it. Raises ValueError for anything else."""
    data = bytes.fromhex("".join(need_ok(answer).split()))
    if len(data) != SECTOR:
        raise ValueError(f"a sector has {SECTOR} bytes, not {len(data)}")
    return data


def _boot_code(answer: Answer) -> BootCode:
    data = _bytes(answer)
    grub = b"GRUB " in data and data[-2:] == b"\x55\xaa"
    core = int.from_bytes(data[_KERNEL_SECTOR : _KERNEL_SECTOR + 8], "little")
    return BootCode(grub, core if grub and core < 2**40 else 0)


def _core_image(answer: Answer) -> bool:
    data = _bytes(answer)
    length = int.from_bytes(data[_BLOCK_LIST + 8 : _BLOCK_LIST + 10], "little")
    return b"loading" in data and b"Geom" in data and length > 0


def _by_id(answer: Answer) -> dict[str, str]:
    found = re.findall(r"^(\S+) (?:\.\./)*([A-Za-z0-9_.:!+-]{1,64})$", answer.text, re.MULTILINE)
    return dict(found)


def _debconf(answer: Answer) -> dict[str, str]:
    """debconf-show(1): ``* package/question: answer``, the asterisk where it was asked."""
    lines = re.findall(r"^[* ] (\S+/\S+):[ ]?(.*)$", need_ok(answer), re.MULTILINE)
    return {question: value.strip() for question, value in lines}


PARSERS: Parsers = {
    "succeeded": lambda answer: answer.status == 0,
    "boot_code": _boot_code,
    "core_image": _core_image,
    "by_id": _by_id,
    "debconf": _debconf,
}
