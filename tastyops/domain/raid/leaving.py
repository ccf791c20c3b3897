"""Members leave their arrays: failed first, then removed, then forgotten."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Literal

from tastyops.domain.raid.guards import in_no_array, may_drop
from tastyops.domain.raid.storage import Storage, read_storage
from tastyops.errors import Failed, ProbeFailed
from tastyops.facts.disks import Device
from tastyops.facts.md import Array, Member
from tastyops.facts.signatures import RAID_MEMBER, signatures
from tastyops.model.commands import Change, Command, Output, Probe, Sleep, Unknown

RELEASE_PATIENCE = 60
"""Seconds the kernel may take to let go of a failed member: requests under way must end."""


def drop_members(disk: Device, first: Storage, force: str) -> Generator[Command, Any, None]:
    """Fails all members on a disk, then removes them; everything is judged before each change."""
    for array, member in first.on(disk):
        if not member.faulty:
            yield from _judged(disk, force)
            failed = yield Change(
                ("mdadm", "--manage", array.path, "--fail", member.device),
                sudo=True,
                settle=Probe(_failed(array, member), "holds"),
            )
            yield from _left(failed, array, member, f"{member.path} could not be failed")
    for array, member in first.on(disk):
        yield from _released(array, member)
        removed = yield Change(
            ("mdadm", "--manage", array.path, "--remove", member.device),
            sudo=True,
            settle=Probe(("test", "!", "-e", member_directory(array.name, member.device)), "holds"),
        )
        yield from _left(removed, array, member, f"{member.path} could not be removed")


def _judged(disk: Device, force: str) -> Generator[Command, Any, None]:
    storage: Storage | None = yield from read_storage()
    if storage is not None:
        may_drop(storage, disk, force)


def member_directory(array: str, member: str) -> str:
    """The directory sysfs has for a member while it is one; kernel names."""
    return f"/sys/block/{array}/md/dev-{member}"


def _failed(array: Array, member: Member) -> tuple[str, ...]:
    there = member_directory(array.name, member.device)
    return ("sh", "-c", f"test ! -e {there} || grep -q faulty {there}/state")


def _left(
    output: Output | Unknown, array: Array, member: Member, why: str
) -> Generator[Command, Any, None]:
    """A command that did not end well is forgiven if the member is gone all the same.

    udev removes the members of a disk that vanishes, too (mdadm --incremental --fail).
    """
    if isinstance(output, Unknown) or output.ok:
        return
    gone = yield Probe(("test", "!", "-e", member_directory(array.name, member.device)), "holds")
    if not gone:
        raise Failed(f"{why} from {array.path}", {"status": output.status})


def _released(array: Array, member: Member) -> Generator[Command, Any, None]:
    """Waits until md has let go of a failed member: until then removing it says busy."""
    for _ in range(RELEASE_PATIENCE):
        storage = yield from read_storage()
        now = storage.array(array.name) if storage else None
        left = now.member(member.device) if now else None
        if left is None or (left.faulty and left.slot is None):
            return
        yield Sleep(1, f"{array.path} to let go of {member.path}")


Fate = Literal["cleared", "clear", "stays"]
"""What became of an old copy: cleared, not there in the first place, or still there."""


def forget(device: Device) -> Generator[Command, Any, Fate]:
    """Makes what is on a device in no running array unrecognisable, if it can be read and written.

    The superblock alone would not do: with metadata 1.0 the member without it is a filesystem of
    the same UUID, which a boot loader or fstab would take for the mirror's.
    """
    storage: Storage | None = yield from read_storage()
    if storage is not None:
        in_no_array(storage, device)
    try:
        seen = yield from _seen(device)
        if seen == ():
            return "clear"
        if seen is None or RAID_MEMBER in seen:
            cleared = yield Change(
                ("mdadm", "--zero-superblock", device.path),
                sudo=True,
                settle=Probe(_without(device.path, RAID_MEMBER), "holds", sudo=True),
            )
            if _failed_on(cleared):
                return "stays"
        wiped = yield Change(
            ("wipefs", "--all", "--quiet", device.path),
            sudo=True,
            settle=Probe(_without(device.path, "."), "holds", sudo=True),
        )
        return "stays" if _failed_on(wiped) or (yield from _seen(device)) else "cleared"
    except ProbeFailed:
        return "stays"


def _seen(device: Device) -> Generator[Command, Any, tuple[str, ...] | None]:
    """The signatures on a device; None in a dry run after a withheld change."""
    seen: tuple[str, ...] | Unknown = yield Probe(*signatures(device.path), sudo=True)
    return None if isinstance(seen, Unknown) else seen


def _failed_on(output: Output | Unknown) -> bool:
    return not isinstance(output, Unknown) and not output.ok


def stays(paths: Sequence[str]) -> str:
    """What to tell of old copies that could not be cleared, and why it matters."""
    return (
        f"old copies on {', '.join(paths)} could not be cleared: take the disk out before the next"
        " boot, or the firmware, the boot loader or md may take them for good ones"
    )


def _without(path: str, type: str) -> tuple[str, ...]:
    script = 's=$(wipefs --noheadings --output TYPE "$1") || exit 2; ! echo "$s" | grep -q "$2"'
    return ("sh", "-c", script, "sh", path, type)
