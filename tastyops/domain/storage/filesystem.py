"""One filesystem, found by its mount point or its device, with all places it is mounted at."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tastyops.errors import Failed, ProbeFailed
from tastyops.facts.disks import BLOCK_DEVICES, Device, Disks
from tastyops.facts.filesystems import FSTAB, MOUNTS, FstabEntry, Mount, Process, processes, users
from tastyops.facts.readings import as_path
from tastyops.model.commands import Command, Probe, Unknown

EXT = frozenset({"ext2", "ext3", "ext4"})
KNOWN = frozenset({"xfs"}) | EXT

PATH = re.compile(r"/(?:[A-Za-z0-9._:+@-]+(?:/[A-Za-z0-9._:+@-]+)*)?")
"""Paths taken here: none that a pattern, a shell or fstab would read as something else."""


@dataclass(frozen=True, slots=True)
class Filesystem:
    """A filesystem on a block device. ``target`` is where it is mounted, or fstab would mount it.

    ``mounts`` are all places it is mounted at, bind mounts included.
    """

    device: str
    fstype: str
    target: str
    mounts: tuple[Mount, ...]

    @property
    def writable(self) -> Mount | None:
        """A mount through which it may be written to."""
        return next((mount for mount in self.mounts if mount.writable), None)

    @property
    def is_root(self) -> bool:
        """Whether it is the root filesystem."""
        return any(mount.target == "/" for mount in self.mounts)


def checked_path(path: str) -> str:
    """The path as the kernel spells it. Raises Failed for a relative or an unusual one."""
    plain = path if ".." in path.split("/") else as_path(path)
    if not PATH.fullmatch(plain) or ".." in plain.split("/"):
        raise Failed("the filesystem is neither a mount point nor a device; give an absolute path")
    return plain


def locate(name: str) -> Generator[Command, Any, Filesystem]:
    """Finds a filesystem by mount point or device. Raises Failed for one that is not there."""
    path = checked_path(name)
    mounts: tuple[Mount, ...] = yield Probe(*MOUNTS)
    here = [mount for mount in mounts if mount.target == path]
    target = path
    if here:
        device = here[-1].device  # what is mounted last hides what was there
    elif path.startswith("/dev/"):
        device, target = path, ""
    else:
        entries: tuple[FstabEntry, ...] = yield Probe(*FSTAB)
        device = next((entry.source for entry in entries if entry.target == path), "")
        if not device:
            raise Failed(f"nothing is mounted at {path}, and fstab does not have it")
    if not PATH.fullmatch(device) or not device.startswith("/dev/"):
        raise Failed(f"what is mounted at {path} is not on a block device")
    return (yield from _described(device, target, mounts))


def block_device(path: str) -> Generator[Command, Any, Device]:
    """One block device, with the names of what lies on it. Raises Failed if it is not there."""
    try:
        disks: Disks = yield Probe((*BLOCK_DEVICES.argv, path), BLOCK_DEVICES.parser)
    except ProbeFailed as error:
        if error.why.endswith("status 32"):  # lsblk(8): it was not found
            raise Failed(f"there is no block device {path}") from error
        raise
    if not disks.devices:
        raise Failed(f"there is no block device {path}")
    return disks.devices[0]


def _described(
    name: str, target: str, mounts: tuple[Mount, ...]
) -> Generator[Command, Any, Filesystem]:
    device = yield from block_device(name)
    names = {device.path, name}
    found = tuple(m for m in mounts if m.device in names or m.target in device.mountpoints)
    whole = [mount.target for mount in found if mount.root == "/"]
    fstype = device.fstype or next((mount.fstype for mount in found), "")
    return Filesystem(device.path, fstype, target or next(iter(whole), ""), found)


def need_known(found: Filesystem) -> None:
    """Raises Failed for a kind of filesystem that is not looked after here."""
    if found.fstype not in KNOWN:
        kind = found.fstype or "nothing that is known"
        raise Failed(f"{found.device} holds {kind}; only XFS and ext2, ext3 and ext4 are handled")


def using(mountpoint: str) -> Generator[Command, Any, tuple[Process, ...] | Unknown]:
    """The processes that use what is mounted there; Unknown in a dry run that withheld a change."""
    numbers: tuple[int, ...] | Unknown = yield Probe(*users(mountpoint), sudo=True)
    if isinstance(numbers, Unknown):
        return numbers
    if not numbers:
        return ()
    found: tuple[Process, ...] = yield Probe(*processes(numbers), sudo=True)
    return found


def describe_users(users: tuple[Process, ...]) -> str:
    """Who they are, the first few by name."""
    named = ", ".join(map(str, users[:5]))
    more = len(users) - 5
    return f"{named} and {more} more" if more > 0 else named
