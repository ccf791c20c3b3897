"""``raid.status``: how the arrays are, from the kernel's own files."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.domain.raid.storage import Storage, read_storage
from tastyops.errors import Failed
from tastyops.facts.md import Array
from tastyops.model.action import Facts
from tastyops.model.commands import Report, Steps


@dataclass(frozen=True, kw_only=True)
class RaidStatus:
    """The parameters of ``raid.status``."""

    whole: bool = param("boolean", "Fail unless every array is idle and has all its members", False)


@action(
    "raid.status",
    returns={
        "count": "count",
        "healthy": "count",
        "arrays": "device",
        "degraded": "device",
        "syncing": "device",
        "faulty": "device",
        "other": "device",
        "details": "private",
    },
    sentence="{{ healthy }} of {{ count }} RAID arrays whole.",
)
def raid_status(params: RaidStatus, facts: Facts) -> Steps:
    """Read the state of all arrays: degraded, re-syncing, failed members."""
    storage = yield from read_storage()
    if storage is None:
        return None
    details = [described(storage, array) for array in storage.arrays]
    for line in details:
        yield Report(note=line)
    arrays = storage.arrays
    registered = {
        "count": len(arrays),
        "healthy": sum(array.whole for array in arrays),
        "arrays": [array.path for array in arrays],
        "degraded": [array.path for array in arrays if array.degraded],
        "syncing": [array.path for array in arrays if array.syncing],
        "faulty": [member.path for _, member in storage.members() if member.faulty],
        "other": [array.path for array in arrays if array.out_of_scope],
        "details": details,
    }
    if params.whole and not all(array.whole for array in arrays):
        bad = ", ".join(array.path for array in arrays if not array.whole)
        raise Failed(f"not whole: {bad}", registered)
    return registered


def described(storage: Storage, array: Array) -> str:
    """One line on an array: its level, how many of its members are in sync, each of them."""
    members = []
    for member in array.members:
        disk = storage.disk_of(member)
        where = (disk.serial if disk else "") or ("gone" if disk else "no one disk")
        words = "in sync" if member.in_sync else ", ".join(sorted(member.state)) or "unknown"
        members.append(f"{member.path} ({where}) {words}")
    if array.odd:
        return f"{array.path} cannot be read: {array.odd}: {'; '.join(members)}"
    state = f"{array.action}" if array.syncing else array.state
    count = f"{len(array.in_sync)} of {array.wanted} members in sync"
    return f"{array.path} {array.level or array.metadata} {state}, {count}: {'; '.join(members)}"
