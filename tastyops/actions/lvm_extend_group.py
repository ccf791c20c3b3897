"""``lvm.extend_group``: give a volume group another device."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tastyops.actions import action, param, require
from tastyops.domain.storage.disks import need_free
from tastyops.domain.storage.filesystem import block_device, checked_path
from tastyops.domain.storage.sizes import format_size
from tastyops.errors import CannotKnow, Failed, Refused
from tastyops.facts.disks import Device
from tastyops.facts.lvm import GROUPS, PHYSICAL, PhysicalVolume, VolumeGroup
from tastyops.facts.signatures import signatures
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Command, Probe, Steps, Unknown, unknown_step


@dataclass(frozen=True, kw_only=True)
class LvmExtendGroup:
    """The parameters of ``lvm.extend_group``."""

    group: str = param("text", "The volume group")
    device: str = param("text", "The device to add, such as /dev/md2; it must be blank")


@action(
    "lvm.extend_group",
    returns={
        "group": "word",
        "device": "device",
        "size": "word",
        "bytes": "size",
        "changed": "flag",
    },
    sentence="Volume group {{ group }} extended by {{ device }}; its size is now {{ size }}.",
    already="{{ device }} belongs to volume group {{ group }}, whose size is {{ size }}.",
)
def lvm_extend_group(params: LvmExtendGroup, facts: Facts) -> Steps:
    """Initialise a device as an LVM physical volume and add it to a volume group."""
    path = checked_path(params.device)
    before = yield from _group(params.group)
    physical: tuple[PhysicalVolume, ...] = yield Probe(*PHYSICAL, sudo=True)
    device = yield from block_device(path)
    known = next((each for each in physical if each.device in (path, device.path)), None)
    if known is not None and known.group == params.group:
        return _registered(before, device.path, changed=False)
    if known is not None and known.group:
        raise Refused(f"{path} belongs to the volume group {known.group}")
    yield from _need_blank(device, initialised=known is not None)
    if known is None:
        made = yield Change(("pvcreate", device.path), sudo=True)
        require(made, "the device could not be initialised")
    added = yield Change(("vgextend", params.group, device.path), sudo=True)
    require(added, "the device is initialised, but it could not be added to the group")
    if isinstance(added, Unknown):
        raise CannotKnow(unknown_step(added))
    after = yield from _group(params.group)
    if after.extents <= before.extents:
        raise Failed("the volume group has not grown, although vgextend reported success")
    return _registered(after, device.path, changed=True)


def _group(name: str) -> Generator[Command, Any, VolumeGroup]:
    groups: tuple[VolumeGroup, ...] = yield Probe(*GROUPS, sudo=True)
    found = next((group for group in groups if group.name == name), None)
    if found is None:
        names = ", ".join(group.name for group in groups) or "none"
        raise Failed(f"there is no volume group of that name; there is: {names}")
    return found


def _need_blank(device: Device, *, initialised: bool) -> Generator[Command, Any, None]:
    """Raises Refused for a device that is in use, or holds something."""
    if device.readonly:
        raise Refused(f"{device.path} is read-only")
    if device.mountpoints:
        raise Refused(f"{device.path} is in use: {', '.join(device.mountpoints[:3])}")
    if device.children:
        raise Refused(f"{device.path} is in use: {', '.join(device.children[:3])} is on it")
    yield from need_free(device.path)
    kinds: tuple[str, ...] = yield Probe(*signatures(device.path), sudo=True)
    others = [kind for kind in kinds if not (initialised and kind == "LVM2_member")]
    if others:
        raise Refused(
            f"{device.path} is not blank: it has the signature of {', '.join(others[:3])}."
            " If nothing on it is wanted, clear it with wipefs first"
        )


def _registered(group: VolumeGroup, device: str, *, changed: bool) -> dict[str, Any]:
    return {
        "group": group.name,
        "device": device,
        "size": format_size(group.size),
        "bytes": group.size,
        "changed": changed,
    }
