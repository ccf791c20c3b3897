"""``disk.partition_like``: a blank disk gets another disk's partitions, under ids of its own."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tastyops.actions import action, param, require
from tastyops.domain.storage.disks import find_disk, in_use, partition_node, public_serial
from tastyops.errors import Failed, Refused
from tastyops.facts.disks import BLOCK_DEVICES, Device, Disks
from tastyops.facts.partition_tables import (
    BIOS_BOOT,
    EFI_SYSTEM,
    EXTENDED,
    MIB,
    SETTLED,
    Partition,
    PartitionTable,
    Signature,
    hidden_signature,
    kernel_partition,
    partition_table,
    signatures,
)
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Command, Output, Probe, Steps, Unknown

COPY = 'dd if="$1" of="$2" bs=1M conv=fsync status=none'
COPY_MOUNTED = f"""\
mount -o remount,ro "$3" || exit 1
{COPY}; copied=$?
mount -o remount,rw "$3" || exit 2
exit $copied"""
"""A mounted EFI partition holds still while it is copied."""


@dataclass(frozen=True, kw_only=True)
class DiskPartitionLike:
    """The parameters of ``disk.partition_like``."""

    disk: str = param("text", "The blank disk: its serial number, WWN or name in /dev/disk/by-id")
    like: str = param("text", "The disk to take the partitions from, named the same way")
    copy_boot: bool = param("boolean", "Copy the content of BIOS-boot and EFI partitions", True)


@action(
    "disk.partition_like",
    returns={
        "device": "device",
        "serial": "word",
        "like": "word",
        "partitions": "count",
        "changed": "flag",
    },
    sentence="Disk {{ serial }} partitioned to match {{ like }}.",
    already="Disk {{ serial }} has the partitions of {{ like }}.",
    guarded=True,
)
def disk_partition_like(params: DiskPartitionLike, facts: Facts) -> Steps:
    """Partition a blank disk like another one, with a new disk id and new GUIDs (DOS and GPT).

    Refused, with ``force:`` too: a disk in use, read-only, too small or with another sector size,
    and the disk itself. Refused unless forced: a disk on which anything looks like data, also
    where only the new partitions would bring it to light; forced, those signatures are wiped.
    """
    disks: Disks = yield Probe(*BLOCK_DEVICES, sudo=True)
    target = yield from find_disk(disks, params.disk)
    source = yield from find_disk(disks, params.like)
    if target.kname == source.kname:
        raise Refused("a disk cannot be partitioned like itself")
    table = yield from _table_to_copy(source)
    present: PartitionTable | None = yield Probe(*partition_table(target.path), sudo=True)
    registered = {
        "device": target.path,
        "serial": public_serial(target.serial),
        "like": public_serial(source.serial),
        "partitions": len(table.partitions),
    }
    if present is not None and (present.label, present.layout) == (table.label, table.layout):
        return {**registered, "changed": False}
    yield from _fits(disks, target, source, table)
    yield from _no_data(disks, target, table, facts)
    written = yield Change(
        ("sfdisk", "--quiet", "--wipe=always", "--wipe-partitions=always", target.path),
        script(table, target).encode(),
        sudo=True,
        settle=None if present else Probe(*partition_table(target.path), sudo=True),
    )
    require(written, "the partition table could not be written")
    if not isinstance(written, Unknown):
        yield from _verified(target, table)
    if params.copy_boot:
        yield from _copy_boot(disks, target, source, table)
    return {**registered, "changed": True}


def _table_to_copy(source: Device) -> Generator[Command, Any, PartitionTable]:
    table: PartitionTable | None = yield Probe(*partition_table(source.path), sudo=True)
    if table is None or not table.partitions:
        raise Refused(f"{source.path} has no partitions to copy")
    if table.label == "dos" and any(p.type in EXTENDED for p in table.partitions):
        raise Refused(f"{source.path} has an extended partition, which is not copied")
    return table


def _fits(
    disks: Disks, target: Device, source: Device, table: PartitionTable
) -> Generator[Command, Any, None]:
    """What no force overrules: it would destroy something in use, or cannot work."""
    used = yield from in_use(disks, target)
    if used:
        raise Refused(f"the disk is in use: {'; '.join(used)}")
    if target.readonly:
        raise Refused(f"{target.path} is read-only")
    if target.sector != source.sector:
        raise Refused(
            f"{target.path} has sectors of {target.sector} bytes, {source.path} of {source.sector}"
        )
    if target.size < table.reach * table.sector:
        have, need = target.size // MIB, -(-table.reach * table.sector // MIB)
        raise Refused(f"{target.path} is too small: {have} MiB, and {need} are needed")


def _no_data(
    disks: Disks, target: Device, table: PartitionTable, facts: Facts
) -> Generator[Command, Any, None]:
    parts = [disk.path for disk in disks.on(target.kname) if disk.type == "part"]
    found: tuple[Signature, ...] = yield Probe(*signatures(target.path, *parts), sudo=True)
    if found and not facts.force:
        what = ", ".join(f"{each.type} on {each.device}" for each in found)
        raise Refused(f"the disk is not blank: {what}")
    for part in table.partitions:
        start, size = part.start * table.sector, part.size * table.sector
        hidden = yield Probe(*hidden_signature(target.path, start, size), sudo=True)
        if hidden and not facts.force:
            raise Refused(f"old data lies where partition {part.number} would be: {hidden}")


def script(table: PartitionTable, target: Device) -> str:
    """The table for sfdisk(8), without the ids: leaving them out makes it choose new ones."""
    head = [f"label: {table.label}", "unit: sectors"]
    if table.label == "gpt":
        head.append(f"first-lba: {table.first}")
    return "\n".join([*head, "", *(_line(part, target) for part in table.partitions), ""])


def _line(part: Partition, target: Device) -> str:
    fields = [f"start={part.start}", f"size={part.size}", f"type={part.type}"]
    for name, value in (("name", part.name), ("attrs", part.attributes)):
        if not re.fullmatch(r"[\w .,:()+-]{0,200}", value):
            raise Refused(f"the {name} of partition {part.number} has signs sfdisk may not take")
        if value:
            fields.append(f'{name}="{value}"')
    if part.bootable:
        fields.append("bootable")
    return f"/dev/{partition_node(target, part.number)} : {', '.join(fields)}"


def _verified(target: Device, table: PartitionTable) -> Generator[Command, Any, None]:
    yield Probe(*SETTLED)
    after: PartitionTable | None = yield Probe(*partition_table(target.path), sudo=True)
    if after is None or after.layout != table.layout:
        raise Failed("the table on the disk differs from the one that was written")
    for part in table.partitions:
        where = yield Probe(*kernel_partition(partition_node(target, part.number)))
        if where != tuple(count * table.sector // 512 for count in (part.start, part.size)):
            raise Failed(f"the kernel does not have partition {part.number} as the table has it")


def _copy_boot(
    disks: Disks, target: Device, source: Device, table: PartitionTable
) -> Generator[Command, Any, None]:
    for part in table.partitions:
        if part.type.upper() not in (BIOS_BOOT, EFI_SYSTEM):
            continue
        old, new = (f"/dev/{partition_node(disk, part.number)}" for disk in (source, target))
        device = disks.device(partition_node(source, part.number))
        mounted = device.mountpoints if device else ()
        recipe = COPY_MOUNTED if mounted else COPY
        copied: Output | Unknown = yield Change(
            ("sh", "-c", recipe, "copy", old, new, *mounted[:1]), sudo=True
        )
        require(copied, f"partition {part.number} could not be copied")
        if part.type.upper() == EFI_SYSTEM:
            named = yield Change(("fatlabel", "--reset", "--volume-id", new), sudo=True)
            require(named, f"partition {part.number} could not be given a volume id of its own")
