"""``fs.grow``: make a volume and the filesystem on it larger, while it is in use."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tastyops.actions import action, param, require
from tastyops.domain.storage.filesystem import EXT, Filesystem, locate, need_known
from tastyops.domain.storage.sizes import format_size, parse_size
from tastyops.domain.storage.volume import extents, need_room, volume_of
from tastyops.errors import Failed, Refused
from tastyops.facts.filesystems import Usage, ext_size, usage, xfs_size
from tastyops.facts.lvm import Volume, VolumeGroup
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Command, Probe, Steps

_OVERHEAD = 0.1
"""More than XFS and ext4 take of their room for themselves: ext4 keeps a twentieth for root."""


@dataclass(frozen=True, kw_only=True)
class FsGrow:
    """The parameters of ``fs.grow``: one of ``free``, ``to`` and ``by`` is required."""

    filesystem: str = param("text", "The filesystem: its mount point or its device")
    free: str | None = param(
        "text", "Free space to reach, such as 200M; the filesystem grows by what is missing", None
    )
    to: str | None = param("text", "The size to grow to, such as 900M or 2G", None)
    by: str | None = param("text", "How much to add, or `all` that is free in the group", None)


@action(
    "fs.grow",
    returns={
        "device": "device",
        "size": "word",
        "bytes": "size",
        "previous": "word",
        "free": "percentage",
        "changed": "flag",
    },
    sentence="Filesystem {{ device }} grown online from {{ previous }} to {{ size }},"
    " {{ free }}% of it free.",
    already="Filesystem {{ device }} has {{ size }}, {{ free }}% of it free.",
)
def fs_grow(params: FsGrow, facts: Facts) -> Steps:
    """Grow a logical volume and the XFS or ext4 on it online; it is never shrunk."""
    if sum(map(bool, (params.free, params.to, params.by))) != 1:
        raise Failed("give exactly one of `free:`, `to:` and `by:`")
    found = yield from locate(params.filesystem)
    need_known(found)
    target = _need_writable(found)
    volume, group = yield from volume_of(found.device)
    lacking = (yield from _lacking(params.free, target)) if params.free else 0
    wanted = _wanted(params, volume, group, lacking)
    size = ext_size(found.device) if found.fstype in EXT else xfs_size(target)
    spans: int = yield Probe(*size, sudo=True)
    full = wanted == extents(volume.size, group) and volume.size - spans < group.extent
    if not full:
        yield from _grown(found, target, volume, wanted, group)
    after: Usage = yield Probe(*usage(target))
    return {
        "device": found.device,
        "size": format_size(wanted * group.extent),
        "bytes": wanted * group.extent,
        "previous": format_size(volume.size),
        "free": round(after.available / after.size * 100) if after.size else 0,
        "changed": not full,
    }


def _need_writable(found: Filesystem) -> str:
    """Where it is mounted read-write: growing online is what is done here."""
    here = [mount.target for mount in found.mounts if mount.root == "/" and not mount.read_only]
    if here:
        return found.target if found.target in here else here[0]
    if found.mounts:
        raise Refused("the filesystem is mounted read-only; remount it read-write to grow it")
    raise Refused("the filesystem is not mounted; mount it to grow it")


def _lacking(free: str, target: str) -> Generator[Command, Any, int]:
    """How many bytes more are wanted so that so much is free; 0 where nearly that much is.

    A filesystem keeps a part of what it is given for its own tables. It is given a tenth more, and
    a tenth less than was asked for is enough: a second run then finds it so.
    """
    before: Usage = yield Probe(*usage(target))
    wanted = parse_size(free)
    if before.available >= wanted * (1 - _OVERHEAD):
        return 0
    return round((wanted - before.available) * (1 + _OVERHEAD))


def _wanted(params: FsGrow, volume: Volume, group: VolumeGroup, lacking: int) -> int:
    """The extents the volume is to have. Raises Refused for fewer than it has, or too many."""
    now = extents(volume.size, group)
    if params.by == "all":
        return now + group.free
    if params.free:
        wanted = now + extents(lacking, group)
    elif params.by:
        wanted = now + extents(parse_size(params.by), group)
    else:
        wanted = extents(parse_size(params.to or ""), group)
    if wanted < now:
        raise Refused(
            f"the volume already has {format_size(volume.size)}, and a filesystem is never shrunk"
        )
    need_room(wanted - now, group)
    return wanted


def _grown(
    found: Filesystem, target: str, volume: Volume, wanted: int, group: VolumeGroup
) -> Generator[Command, Any, None]:
    """The volume first, unless an earlier attempt came so far, then the filesystem on it."""
    if wanted != extents(volume.size, group):
        larger = yield Change(("lvextend", "--extents", str(wanted), volume.path), sudo=True)
        require(larger, "the volume could not be extended")
    if found.fstype in EXT:
        done = yield Change(("resize2fs", found.device), sudo=True)
    else:
        done = yield Change(("xfs_growfs", "-d", target), sudo=True)
    require(done, "the volume is larger now, but the filesystem on it could not be grown")
