"""``raid.create``: a new mirror on partitions that hold nothing."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tastyops.actions import action, param, require
from tastyops.domain.raid import guards, joining
from tastyops.domain.raid.storage import Storage, read_storage
from tastyops.domain.storage.disks import find_disk, need_free
from tastyops.errors import Failed, Refused
from tastyops.facts.disks import Device
from tastyops.facts.signatures import signatures
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Command, Probe, Steps, Unknown

_ALIKE = 0.99
"""mdadm(8) asks where sizes differ by more than 1 %: what is too much would be lost."""


@dataclass(frozen=True, kw_only=True)
class RaidCreate:
    """The parameters of ``raid.create``."""

    array: str = param("text", "The new array, such as md2")
    disks: list[str] = param("list", "The disks' serial numbers")
    partition: int = param("integer", "The partition's number, the same on each disk")
    members: int = param(
        "integer", "How many members the mirror has, if more than there are disks now", 0
    )
    boot: bool = param(
        "boolean",
        "The mirror holds /boot: metadata 1.0, so that a boot loader can read one member",
        False,
    )


@action(
    "raid.create",
    returns={"array": "device", "members": "device", "wanted": "count", "changed": "flag"},
    sentence="RAID mirror created: {{ array }}.",
    already="RAID mirror {{ array }} is there, of these members.",
)
def raid_create(params: RaidCreate, facts: Facts) -> Steps:
    """Create a RAID1 mirror on unused partitions, and synchronise its members."""
    if not re.fullmatch(r"(/dev/)?md[0-9]{1,3}", params.array):
        raise Refused("an array's name is md and a number, such as md2")
    name = params.array.removeprefix("/dev/")
    storage = yield from read_storage()
    if storage is None:
        return None
    devices = yield from _devices(params, storage)
    wanted = params.members or len(devices)
    paths = [device.path for device in devices]
    registered = {"array": f"/dev/{name}", "members": paths, "wanted": wanted}
    if wanted < max(2, len(devices)):
        raise Refused(f"a mirror of {len(devices)} disks cannot have {wanted} members")
    array = storage.array(name)
    if array is not None:
        if {member.device for member in array.members} == {each.kname for each in devices}:
            return registered | {"changed": False}
        raise Refused(f"/dev/{name} exists already, with other members")
    for device in devices:
        guards.unused(storage, device)
        yield from need_free(device.path)
        seen = yield Probe(*signatures(device.path), sudo=True)
        if not isinstance(seen, Unknown) and seen:
            raise Refused(f"{device.path} holds something: {', '.join(sorted(set(seen)))}")
    created = yield Change(
        _command(name, devices, wanted, boot=params.boot),
        sudo=True,
        settle=Probe(("test", "-e", f"/sys/block/{name}/md/raid_disks"), "holds"),
    )
    require(created, f"/dev/{name} could not be created")
    after = yield from read_storage()
    if after and not after.array(name):
        raise Failed(f"there is no /dev/{name}, although mdadm reported success")
    return registered | {"changed": True}


def _devices(params: RaidCreate, storage: Storage) -> Generator[Command, Any, list[Device]]:
    found = []
    for serial in params.disks:
        found.append((yield from find_disk(storage.disks, serial)))
    if len(set(found)) != len(found) or not found:
        raise Refused("a mirror needs different disks; a disk is named twice")
    devices = [joining.partition(storage, disk, params.partition) for disk in found]
    sizes = [device.size for device in devices]
    if min(sizes) < max(sizes) * _ALIKE:
        raise Refused("the partitions differ in size by more than 1 %")
    return devices


def _command(name: str, devices: list[Device], wanted: int, *, boot: bool) -> tuple[str, ...]:
    """--run answers mdadm's questions, all of which the guards have put already."""
    kind = ("--metadata=1.0",) if boot else ("--metadata=1.2", "--bitmap=internal")
    return (
        *("mdadm", "--create", f"/dev/{name}", "--run", "--level=1", *kind),
        f"--raid-devices={wanted}",
        *(device.path for device in devices),
        *("missing" for _ in range(wanted - len(devices))),
    )
