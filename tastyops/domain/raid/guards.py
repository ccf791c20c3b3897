"""What is refused on mirrors, with the reason."""

from __future__ import annotations

from tastyops.domain.raid.storage import Storage
from tastyops.errors import Refused
from tastyops.facts.disks import Device
from tastyops.facts.md import Array, Member


def in_scope(array: Array) -> None:
    """Only RAID1 of md itself: RAID10/5/6 and containers are refused, whatever ``force:`` says."""
    reason = array.out_of_scope
    if reason:
        raise Refused(f"{reason}; tastyops works on RAID1 mirrors of md only")


def may_drop(storage: Storage, disk: Device, force: str = "") -> None:
    """Whether a disk's members may leave all their mirrors. Raises Refused, naming the mirror.

    The last member in sync is never dropped, whatever ``force`` says: md would keep it and, in
    newer kernels, mark the array broken. Every mirror is judged, so that none has lost its
    member when another one refuses.
    """
    mine = storage.on(disk)
    for array, _ in mine:
        in_scope(array)
    for array, member in mine:
        left = [other for other in array.in_sync if _stays(storage, other, disk)]
        if member.in_sync and not left:
            raise Refused(f"{member.path} is the last member of {array.path} that is in sync")
        if force:
            continue
        if array.syncing:
            raise Refused(f"{array.path} is in the middle of a {_sync(array)}")
        if member.in_sync and all(other.bad_blocks for other in left):
            names = ", ".join(other.path for other in left)
            raise Refused(f"{array.path} would be left with unreadable blocks on {names}")


def _stays(storage: Storage, member: Member, disk: Device) -> bool:
    return storage.present(member) and storage.disk_of(member) != disk


def _sync(array: Array) -> str:
    words = {"resync": "re-sync", "recover": "re-sync", "idle": "re-sync that has yet to begin"}
    return words.get(array.action, array.action)


def in_no_array(storage: Storage, device: Device) -> None:
    """Whether a device is in no running array, so that its superblock may be cleared."""
    for array, member in storage.members():
        if device.kname == member.device:
            raise Refused(f"{device.path} is a member of {array.path}")
    for other in storage.disks.on(device.kname):
        raise Refused(f"{other.path} lies on {device.path}")


def unused(storage: Storage, device: Device) -> None:
    """Whether nothing at all uses a device. Raises Refused with what does."""
    in_no_array(storage, device)
    if device.mountpoints:
        what = "swap in use" if "[SWAP]" in device.mountpoints else "mounted"
        raise Refused(f"{device.path} is {what}")
    if device.readonly:
        raise Refused(f"{device.path} is read-only")
