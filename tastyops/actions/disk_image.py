"""``disk.image``: a filesystem, block for block, on another disk."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tastyops.actions import action, param, require
from tastyops.domain.storage.disks import find_disk, in_use, partition_node, underlying_devices
from tastyops.domain.storage.filesystem import Filesystem, locate
from tastyops.domain.storage.sizes import format_size, parse_size
from tastyops.domain.storage.volume import extents, need_room, volume_of
from tastyops.errors import ActionStopped, Failed, Refused
from tastyops.facts.boot_code import succeeds
from tastyops.facts.disks import BLOCK_DEVICES, Device, Disks
from tastyops.facts.partition_tables import MIB, Signature, signatures
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Command, Output, Probe, Report, Steps, Unknown
from tastyops.model.duration import format_duration
from tastyops.model.public_text import PublicText

PIECES = 100
SMALLEST = 64 * MIB
"""A piece is a hundredth of the whole, and at least so many bytes; a cancel waits for none."""

MILESTONES = (25, 50, 75)
_DURABLE = ("conv=notrunc,fsync", "status=none")


@dataclass(frozen=True, kw_only=True)
class DiskImage:
    """The parameters of ``disk.image``."""

    source: str = param("text", "The filesystem: its mount point or its device")
    disk: str = param("text", "The disk to copy to: serial number, WWN or by-id name")
    partition: int = param("integer", "The partition to copy to; 0 for the whole disk", 0)
    snapshot: str = param("text", "Size of the snapshot for a volume mounted read-write: 2G", "")
    verify: bool = param("boolean", "Compare source and copy afterwards", True)


@dataclass(frozen=True, slots=True)
class Copy:
    """From which device to which, how many bytes, in how large pieces."""

    source: str
    target: str
    size: int

    @property
    def piece(self) -> int:
        """Bytes of a piece: whole MiB, so that dd(1) counts in blocks."""
        return max(SMALLEST, -(-self.size // (PIECES * MIB)) * MIB)

    def pieces(self) -> list[tuple[int, int]]:
        """Where each begins and how long it is."""
        return [(at, min(self.piece, self.size - at)) for at in range(0, self.size, self.piece)]


@action(
    "disk.image",
    returns={"device": "device", "source": "device", "size": "size", "method": "word"},
    sentence="Filesystem image of {{ source }} taken to {{ device }}.",
    guarded=True,
)
def disk_image(params: DiskImage, facts: Facts) -> Steps:
    """Copy a filesystem to another disk, in pieces, with progress; a cancel takes effect at once.

    Never of a filesystem mounted for writing: a logical volume is copied from a snapshot, which
    is removed afterwards; anything else must be unmounted or read-only. The target is named by
    serial; refused while in use or too small, and (unless forced) when it holds data.
    """
    found = yield from locate(params.source)
    disks: Disks = yield Probe(*BLOCK_DEVICES, sudo=True)
    source = next((each for each in disks.devices if each.path == found.device), None)
    if source is None:
        raise Failed(f"lsblk does not list {found.device}")
    target = yield from _target(disks, params)
    yield from _fits(disks, source, target)
    yield from _no_data(disks, target, facts)
    if found.writable is None:
        method, snapshot = "direct", ""
    else:
        method, snapshot = "snapshot", (yield from _snapshot(found, params))
    copy = Copy(f"/dev/{snapshot}" if snapshot else source.path, target.path, source.size)
    try:
        yield from _copied(copy, params)
    except ActionStopped:
        if snapshot:
            yield from _removed(snapshot)
        raise
    if snapshot:
        yield from _removed(snapshot)
    size = source.size
    return {"device": target.path, "source": source.path, "size": size, "method": method}


def _target(disks: Disks, params: DiskImage) -> Generator[Command, Any, Device]:
    disk = yield from find_disk(disks, params.disk)
    if not params.partition:
        return disk
    part = disks.device(partition_node(disk, params.partition))
    if part is None:
        raise Refused(f"{disk.path} has no partition {params.partition}")
    return part


def _fits(disks: Disks, source: Device, target: Device) -> Generator[Command, Any, None]:
    """What no force overrules."""
    whole = disks.whole(target.kname)
    if whole is not None and whole.kname in underlying_devices(disks, source):
        raise Refused(f"{target.path} is on a disk that {source.path} itself lies on")
    used = yield from in_use(disks, target)
    if used:
        raise Refused(f"the target is in use: {'; '.join(used)}")
    if target.readonly:
        raise Refused(f"{target.path} is read-only")
    if target.size < source.size:
        have, need = format_size(target.size), format_size(source.size)
        raise Refused(f"{target.path} is too small: {have}, and {need} are needed")


def _no_data(disks: Disks, target: Device, facts: Facts) -> Generator[Command, Any, None]:
    parts = [each.path for each in disks.on(target.kname) if each.type == "part"]
    found: tuple[Signature, ...] = yield Probe(*signatures(target.path, *parts), sudo=True)
    if found and not facts.force:
        what = ", ".join(f"{each.type} on {each.device}" for each in found)
        raise Refused(f"the target holds data: {what}")


def _snapshot(found: Filesystem, params: DiskImage) -> Generator[Command, Any, str]:
    """Makes one and gives its name, as group/volume."""
    where = found.writable.target if found.writable else ""
    if not params.snapshot:
        raise Refused(
            f"the source is mounted read-write at {where}: give `snapshot` a size, or remount it"
            " read-only"
        )
    try:
        volume, group = yield from volume_of(found.device)
    except Failed as error:
        raise Refused(
            f"the source is mounted read-write at {where}, and no snapshot can be made: {error.why}"
        ) from error
    wanted = extents(parse_size(params.snapshot), group)
    need_room(wanted, group)
    name = f"{group.name}/{volume.name}.image"
    made = yield Change(
        ("lvcreate", "--snapshot", f"--extents={wanted}", f"--name={volume.name}.image",
         f"{group.name}/{volume.name}"),
        sudo=True, settle=Probe(*succeeds("test", "-e", f"/dev/{name}")),
    )  # fmt: skip
    require(made, "the snapshot could not be created")
    return name


def _removed(snapshot: str) -> Generator[Command, Any, None]:
    removed = yield Change(("lvremove", "--yes", snapshot), sudo=True)
    require(removed, f"the snapshot {snapshot} could not be removed: remove it by hand")


def _copied(copy: Copy, params: DiskImage) -> Generator[Command, Any, None]:
    if (yield from _written(copy)) and params.verify:
        # Out of the cache, so that it is the disk that is read and not what was sent to it.
        flushed = yield Change(("blockdev", "--flushbufs", copy.target), sudo=True)
        require(flushed, "the target's buffers could not be written out")
        for at, size in copy.pieces():
            same = yield Probe(*_same(copy, at, size), sudo=True)
            if not same:
                raise Failed(f"the copy differs from its source within {size} bytes from byte {at}")
            yield Report((at + size) / copy.size, note="comparing")


def _written(copy: Copy) -> Generator[Command, Any, bool]:
    """Whether it was really written: in a dry run the first piece stands for all."""
    began: float | None = None
    passed = 0
    for at, size in copy.pieces():
        where = (f"skip={at // MIB}", f"seek={at // MIB}", f"count={-(-size // MIB)}")
        dd = ("dd", f"if={copy.source}", f"of={copy.target}", "bs=1M", *where, *_DURABLE)
        # A piece that is there can be told; one half there is written again by a retry.
        done: Output | Unknown = yield Change(
            dd, sudo=True, settle=Probe(*_same(copy, at, size), sudo=True)
        )
        require(done, f"copying failed within {size} bytes from byte {at}")
        if isinstance(done, Unknown):
            return False
        began = done.at - done.seconds if began is None else began
        share = (at + size) / copy.size
        milestone = max((each for each in MILESTONES if each <= share * 100), default=0)
        entry = f"Image {milestone}% complete." if milestone > passed and share < 1 else ""
        passed = max(passed, milestone)
        yield Report(share, PublicText.fixed(entry) if entry else None, _left(began, done, share))
    return True


def _left(began: float, done: Output, share: float) -> str:
    left = round((done.at - began) / share * (1 - share))
    return f"{format_duration(left)} left" if left > 0 else ""


def _same(copy: Copy, at: int, size: int) -> tuple[tuple[str, ...], str]:
    bounds = (f"--ignore-initial={at}", f"--bytes={size}")
    return succeeds("cmp", "--quiet", *bounds, copy.source, copy.target)
