"""``raid.resize_members``: how many members a mirror should have."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param, require
from tastyops.domain.raid import guards
from tastyops.domain.raid.storage import read_storage
from tastyops.errors import Failed, Refused
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Probe, Steps


@dataclass(frozen=True, kw_only=True)
class RaidResizeMembers:
    """The parameters of ``raid.resize_members``."""

    array: str = param("text", "The array: md0, /dev/md0, or its UUID")
    members: int = param("integer", "How many members the mirror has")


@action(
    "raid.resize_members",
    returns={"array": "device", "members": "count", "previous": "count", "changed": "flag"},
    sentence="RAID mirror {{ array }} now has {{ members }} members.",
    already="RAID mirror {{ array }} has {{ members }} members.",
    guarded=True,
)
def raid_resize_members(params: RaidResizeMembers, facts: Facts) -> Steps:
    """Set how many members a RAID1 mirror has, so that a spare becomes one of them."""
    storage = yield from read_storage()
    if storage is None:
        return None
    array = storage.array(params.array)
    if array is None:
        raise Refused(f"there is no array {params.array}")
    guards.in_scope(array)
    registered = {"array": array.path, "members": params.members, "previous": array.wanted}
    if array.wanted == params.members:
        return registered | {"changed": False}
    there = sum(not member.faulty for member in array.members)
    if params.members < 2:
        raise Refused("a mirror has two members at least")
    if array.syncing:
        raise Refused(f"{array.path} re-syncs")
    if params.members < len(array.members):
        raise Refused(f"{array.path} has {len(array.members)} members: drop one first")
    if params.members > there and not facts.force:
        raise Refused(
            f"{array.path} has {there} members, so with {params.members} it would be degraded:"
            " raid.add with `spare: true` first"
        )
    count = f"{params.members}"
    grown = yield Change(
        ("mdadm", "--grow", array.path, f"--raid-devices={count}"),
        sudo=True,
        settle=Probe(
            ("grep", "-q", f"^{count}\\b", f"/sys/block/{array.name}/md/raid_disks"), "holds"
        ),
    )
    require(grown, f"{array.path} does not take that number of members")
    after = yield from read_storage()
    now = after.array(array.name) if after else None
    if after and (now is None or now.wanted != params.members):
        raise Failed(f"{array.path} does not have {count} members, although mdadm reported success")
    return registered | {"changed": True}
