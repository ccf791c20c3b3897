"""Partition tables, and what on a disk looks like data: sfdisk(8), wipefs(8), blkid(8)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from tastyops.errors import ProbeFailed
from tastyops.facts.readings import Answer, Parsers, Reading, from_json, need_ok

MIB = 1024 * 1024

BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
EFI_SYSTEM = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
"""GPT's types of the partition GRUB keeps its core image in, and of the one UEFI starts from."""

EXTENDED = {"5", "f", "85"}
"""DOS types of the container that holds logical partitions."""

DOS_PLACES = 4
DOS_LIMIT = 2**32
"""A DOS table has four places, and counts sectors in 32 bits."""


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition; ``start`` and ``size`` in the disk's logical sectors."""

    number: int
    start: int
    size: int
    type: str
    """GPT: a GUID in capitals; DOS: hexadecimal digits, such as ``fd``."""
    bootable: bool = False
    name: str = ""
    attributes: str = ""

    @property
    def end(self) -> int:
        """The first sector after it."""
        return self.start + self.size


@dataclass(frozen=True, slots=True)
class PartitionTable:
    """A disk's table as it stands on the disk; the kernel may still have an older one."""

    label: Literal["gpt", "dos"]
    id: str
    sector: int
    """Bytes of a logical sector."""
    partitions: tuple[Partition, ...]
    first: int
    last: int | None
    """The usable sectors as a GPT has them; DOS leaves the end to the disk."""

    @property
    def layout(self) -> tuple[tuple[int, int, int, str], ...]:
        """What makes two disks partitioned alike: places, sizes and types."""
        return tuple((p.number, p.start, p.size, p.type) for p in self.partitions)

    @property
    def reach(self) -> int:
        """Sectors a disk must have to hold it; a GPT keeps a copy of itself at the end."""
        used = max((p.end for p in self.partitions), default=self.first)
        return used + (_gpt_tail(self.sector) if self.label == "gpt" else 0)

    def gaps(self, sectors: int) -> Iterator[tuple[int, int]]:
        """Free stretches on a disk of so many sectors, as first sector and number, aligned to MiB.

        A stretch begins on a whole MiB and has at least one.
        """
        step = MIB // self.sector
        end = sectors if self.last is None else min(sectors, self.last + 1)
        if self.label == "dos":
            end = min(end, DOS_LIMIT)
        at = max(self.first, step)
        for part in (*sorted(self.partitions, key=lambda p: p.start), None):
            start = -(-at // step) * step
            stop = part.start if part else end
            if stop - start >= step:
                yield start, (stop - start) // step * step
            at = max(at, part.end) if part else at

    def overlapped(self, start: int, size: int) -> Partition | None:
        """A partition that such a stretch would overlap."""
        return next((p for p in self.partitions if p.start < start + size and start < p.end), None)

    @property
    def free_number(self) -> int | None:
        """The number ``sfdisk --append`` would give next; None where a DOS table is full."""
        taken = {p.number for p in self.partitions}
        number = next(n for n in range(1, len(taken) + 2) if n not in taken)
        return None if self.label == "dos" and number > DOS_PLACES else number


@dataclass(frozen=True, slots=True)
class Signature:
    """Something that looks like data: where it was found, and of what: ``dos``, ``xfs``, …"""

    device: str
    type: str


def _gpt_tail(sector: int) -> int:
    """Sectors of a GPT's copy at the end: 128 entries of 128 bytes, and a header."""
    return 128 * 128 // sector + 1


SETTLED = Reading(("udevadm", "settle", "--timeout=60"), "output")
"""Waits until udev has seen to every device that came or went (udevadm(8))."""


def partition_table(device: str) -> Reading:
    """A disk's partition table; None where it has none that sfdisk knows."""
    return Reading(("sfdisk", "--json", device), "partition_table")


def signatures(*devices: str) -> Reading:
    """Signatures anywhere on the devices, those of a partition table included."""
    return Reading(("wipefs", "--no-act", "--json", *devices), "device_signatures")


def hidden_signature(device: str, offset: int, size: int) -> Reading:
    """The type of what lies in a stretch of a device (bytes) no partition covers yet, or ``""``."""
    where = (f"--offset={offset}", f"--size={size}")
    return Reading(
        ("blkid", "--probe", *where, "--output=value", "--match-tag=TYPE", device), "blkid_type"
    )


def kernel_partition(node: str) -> Reading:
    """Where the kernel has a partition: start and size in units of 512 bytes, or None.

    ``node`` is its kernel name, such as ``sda3``; sysfs counts in 512 bytes on every disk.
    """
    folder = f"/sys/class/block/{node}"
    return Reading(
        ("grep", "--no-messages", "--with-filename", "", f"{folder}/start", f"{folder}/size"),
        "kernel_partition",
    )


def _partition_table(answer: Answer) -> PartitionTable | None:
    if answer.status == 1 and "does not contain a recognized partition table" in answer.error_text:
        return None
    try:
        told = from_json(answer)["partitiontable"]
        label, device = str(told["label"]), str(told["device"])
        sector = int(told.get("sectorsize", 512))
        parts = tuple(_partition(each, device) for each in told.get("partitions", ()))
        last = told.get("lastlba")
        if label not in ("gpt", "dos") or told.get("unit") != "sectors" or sector < 512:
            raise ProbeFailed(f"a partition table of kind {label[:20]} is not understood")
        return PartitionTable(
            "gpt" if label == "gpt" else "dos", str(told.get("id", "")), sector, parts,
            int(told.get("firstlba", 1)), None if last is None else int(last),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProbeFailed("that is not a partition table as sfdisk gives it") from error


def _partition(told: dict[str, Any], device: str) -> Partition:
    number = re.fullmatch(re.escape(device) + r"p?([1-9][0-9]{0,2})", str(told["node"]))
    kind = str(told["type"])
    if number is None or not re.fullmatch(r"[0-9A-Fa-f-]{1,36}", kind):
        raise ProbeFailed("that is not a partition as sfdisk gives it")
    return Partition(
        int(number[1]), int(told["start"]), int(told["size"]), kind,
        bool(told.get("bootable")), str(told.get("name", "")), str(told.get("attrs", "")),
    )  # fmt: skip


def _signatures(answer: Answer) -> tuple[Signature, ...]:
    try:
        found = (from_json(answer) or {"signatures": []})["signatures"]
        return tuple(Signature(_device(str(each["device"])), _word(each["type"])) for each in found)
    except (KeyError, TypeError) as error:
        raise ProbeFailed("that is not wipefs' list of signatures") from error


def _device(name: str) -> str:
    return name if name.startswith("/") else f"/dev/{name}"


def _word(value: Any) -> str:
    word = str(value)
    if not re.fullmatch(r"[A-Za-z0-9_.+-]{1,40}", word):
        raise ProbeFailed("that is not the name of a signature")
    return word


def _blkid_type(answer: Answer) -> str:
    """blkid(8): status 2 where nothing was found; 8 where several were, an ambivalence."""
    if answer.status == 2:
        return ""
    if answer.status == 8:
        return "ambivalent"
    return _word(need_ok(answer).strip() or "unnamed")


def _kernel_partition(answer: Answer) -> tuple[int, int] | None:
    found = dict(re.findall(r"^\S+/(start|size):([0-9]{1,18})$", answer.text, re.MULTILINE))
    return (int(found["start"]), int(found["size"])) if len(found) == 2 else None


PARSERS: Parsers = {
    "partition_table": _partition_table,
    "device_signatures": _signatures,
    "blkid_type": _blkid_type,
    "kernel_partition": _kernel_partition,
}
