"""``disk.partition``: one more partition in a disk's free space; what is there stays as it is."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tastyops.actions import action, param, require
from tastyops.domain.storage.disks import find_disk, partition_node
from tastyops.domain.storage.sizes import parse_size
from tastyops.errors import Failed, Refused
from tastyops.facts.disks import BLOCK_DEVICES, Device, Disks
from tastyops.facts.partition_tables import (
    DOS_PLACES,
    MIB,
    SETTLED,
    Partition,
    PartitionTable,
    hidden_signature,
    kernel_partition,
    partition_table,
)
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Command, Probe, Steps, Unknown

TYPES = {
    "raid": ("fd", "A19D880F-05FC-4D3B-A006-743F0F84911E"),
    "linux": ("83", "0FC63DAF-8483-4772-8E79-3D69D8477DE4"),
    "lvm": ("8e", "E6D6D379-F507-44C2-A23C-238F2A3DF928"),
    "swap": ("82", "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F"),
}
"""A type's code in a DOS table and its GUID in a GPT (fdisk(8), list of types)."""


@dataclass(frozen=True, kw_only=True)
class DiskPartition:
    """The parameters of ``disk.partition``."""

    disk: str = param("text", "The disk's serial number, WWN or name in /dev/disk/by-id")
    number: int = param("integer", "The new partition's number")
    size: str = param("text", "The partition's size, such as 500M or 20G, or `rest`", "rest")
    start: str = param("text", "Where the partition begins, such as 3700M; default: first fit", "")
    type: str = param("text", "What the partition is for", "raid", tuple(TYPES))


@action(
    "disk.partition",
    returns={"device": "device", "disk": "device", "size": "size", "changed": "flag"},
    sentence="Partition {{ device }} made in free space.",
    already="Partition {{ device }} is there.",
    guarded=True,
)
def disk_partition(params: DiskPartition, facts: Facts) -> Steps:
    """Add a partition in a disk's free space; no existing partition is changed or overlapped.

    The disk may be in use. Refused, with ``force:`` too, when the number is another partition's
    or the place is taken; refused unless forced when old data lies in that place.
    """
    disks: Disks = yield Probe(*BLOCK_DEVICES, sudo=True)
    disk = yield from find_disk(disks, params.disk)
    table: PartitionTable | None = yield Probe(*partition_table(disk.path), sudo=True)
    if table is None:
        raise Refused(f"{disk.path} has no partition table (disk.partition_like makes one)")
    present = next((p for p in table.partitions if p.number == params.number), None)
    if present is not None:
        return _already(params, table, disk, present)
    new = _placed(params, table, disk)
    yield from _no_old_data(disk, table, new, facts)
    node = f"/dev/{partition_node(disk, new.number)}"
    line = f"{node} : start={new.start}, size={new.size}, type={new.type}\n"
    known = Probe(*kernel_partition(partition_node(disk, new.number)))
    # --no-reread: the disk may be in use; sfdisk then tells the kernel of the new one alone.
    added = yield Change(
        ("sfdisk", "--quiet", "--append", "--no-reread", "--wipe-partitions=always", disk.path),
        line.encode(), sudo=True, settle=known,
    )  # fmt: skip
    require(added, "the partition could not be added")
    if not isinstance(added, Unknown):
        yield from _verified(disk, table, new)
    return {"device": node, "disk": disk.path, "size": new.size * table.sector, "changed": True}


def _already(
    params: DiskPartition, table: PartitionTable, disk: Device, present: Partition
) -> dict[str, Any]:
    """The partition is there: fine if it is the one wanted. Raises Refused for another."""
    step = MIB // table.sector
    fits = present.type.lower() == _type(params, table).lower()
    if params.size != "rest":
        fits = fits and present.size == _sectors(params.size, table)
    if params.start:
        fits = fits and present.start == _sectors(params.start, table)
    if not fits:
        raise Refused(
            f"partition {params.number} of {disk.path} exists and is another one"
            f" (type {present.type}, {present.size // step} MiB from {present.start // step} MiB)"
        )
    path = f"/dev/{partition_node(disk, present.number)}"
    size = present.size * table.sector
    return {"device": path, "disk": disk.path, "size": size, "changed": False}


def _placed(params: DiskPartition, table: PartitionTable, disk: Device) -> Partition:
    if not 1 <= params.number <= (DOS_PLACES if table.label == "dos" else 128):
        raise Refused(f"a {table.label} table has no place for a partition {params.number}")
    gaps = list(table.gaps(disk.size // table.sector))
    wanted = None if params.size == "rest" else _sectors(params.size, table)
    if params.start:
        start = _sectors(params.start, table)
        hit = table.overlapped(start, wanted or 1)
        if hit:
            raise Refused(f"the new partition would overlap partition {hit.number} of {disk.path}")
        gaps = [(start, at + size - start) for at, size in gaps if at <= start < at + size]
    fitting = [gap for gap in gaps if gap[1] >= (wanted or 1)]
    if not fitting:
        most = max((size for _, size in gaps), default=0) * table.sector // MIB
        raise Refused(f"{disk.path} has no such free space: at most {most} MiB in one piece there")
    start, room = fitting[0] if wanted else max(fitting, key=lambda gap: gap[1])
    return Partition(params.number, start, wanted or room, _type(params, table))


def _type(params: DiskPartition, table: PartitionTable) -> str:
    return TYPES[params.type][table.label == "gpt"]


def _sectors(text: str, table: PartitionTable) -> int:
    """A size in sectors, rounded up to a whole MiB."""
    return -(-parse_size(text) // MIB) * MIB // table.sector


def _no_old_data(
    disk: Device, table: PartitionTable, new: Partition, facts: Facts
) -> Generator[Command, Any, None]:
    """An old array's or filesystem's mark would come to life again with a partition around it."""
    start, size = new.start * table.sector, new.size * table.sector
    found = yield Probe(*hidden_signature(disk.path, start, size), sudo=True)
    if found and not facts.force:
        raise Refused(f"old data lies where the partition would be: {found}")


def _verified(
    disk: Device, before: PartitionTable, new: Partition
) -> Generator[Command, Any, None]:
    """The old partitions stand as they did, and the kernel has the new one where it belongs."""
    yield Probe(*SETTLED)
    after: PartitionTable | None = yield Probe(*partition_table(disk.path), sudo=True)
    if after is None or set(before.layout) - set(after.layout):
        raise Failed(
            "the partition table differs by more than the added partition; check it by hand"
        )
    known = Probe(*kernel_partition(partition_node(disk, new.number)))
    where = yield known
    if where is None:
        told = yield Change(("partx", "--add", f"--nr={new.number}", disk.path), sudo=True)
        require(told, "it is in the table, but the kernel did not take it: a reboot makes it known")
        where = yield known
    if where != tuple(count * before.sector // 512 for count in (new.start, new.size)):
        raise Failed("the kernel's partition differs from the table's; reboot first")
