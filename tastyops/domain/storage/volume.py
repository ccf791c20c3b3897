"""Logical volumes and the room in their group."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from tastyops.domain.storage.sizes import format_size
from tastyops.errors import Failed, Refused
from tastyops.facts.lvm import GROUPS, VOLUMES, Volume, VolumeGroup
from tastyops.model.commands import Command, Probe


def volume_of(device: str) -> Generator[Command, Any, tuple[Volume, VolumeGroup]]:
    """The plain logical volume a device is, and its group. Raises Failed for anything else."""
    volumes: tuple[Volume, ...] = yield Probe(*VOLUMES, sudo=True)
    volume = next((each for each in volumes if device in (each.path, each.mapped)), None)
    if volume is None:
        raise Failed(f"{device} is not a logical volume")
    if not volume.linear:
        raise Failed(
            f"{device} is not a plain volume ({volume.layout}); snapshots, thin, cached and"
            " LVM's RAID volumes are not handled"
        )
    groups: tuple[VolumeGroup, ...] = yield Probe(*GROUPS, sudo=True)
    group = next((each for each in groups if each.name == volume.group), None)
    if group is None:
        raise Failed(f"LVM does not list the volume group {volume.group}")
    return volume, group


def extents(size: int, group: VolumeGroup) -> int:
    """The extents that ``size`` bytes take, the last one whole."""
    return -(-size // group.extent)


def need_room(wanted: int, group: VolumeGroup) -> None:
    """Raises Refused when the group has not that many free extents."""
    if wanted > group.free:
        raise Refused(
            f"{format_size(wanted * group.extent)} more is needed ({wanted} extents), and"
            f" {group.name} has {format_size(group.free * group.extent)} free"
            f" ({group.free} extents)"
        )
