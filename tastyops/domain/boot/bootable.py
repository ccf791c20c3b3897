"""What a host can start from, judged from what was read: disks, initial ramdisks, fallback.

Pure functions over ``BootSide`` and ``Initrd``; the guards, ``boot.check`` and the preflight
share them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tastyops.facts.boot_source import Block, BootSide, Mount
from tastyops.facts.initrd import Initrd, uuid_digits

_LEVELS = ("raid0", "raid1", "raid10", "raid4", "raid5", "raid6", "linear")
_DRIVERS = {"ext2": "ext4", "ext3": "ext4", "raid4": "raid456", "raid5": "raid456",
            "raid6": "raid456", "lvm": "dm_mod", "dm": "dm_mod", "crypt": "dm_crypt"}  # fmt: skip
_PROGRAMS = {"lvm": "lvm", "crypt": "cryptsetup"}
_EARLY = ("/", "/usr")
"""What the initial ramdisk itself mounts (initramfs-tools(7))."""


@dataclass(frozen=True, slots=True)
class Disks:
    """The disks that matter to the firmware, by kernel name.

    ``good`` carry a boot loader and an in-sync part of /boot; ``flawed`` say what they lack.
    ``unjudged`` is why nothing can be said, empty where it can.
    """

    good: tuple[str, ...] = ()
    flawed: tuple[tuple[str, str], ...] = ()
    unjudged: str = ""

    def lacking(self) -> str:
        """``sda: no boot loader; sdb: …``."""
        return "; ".join(f"/dev/{disk} has {what}" for disk, what in self.flawed)


def bootable(side: BootSide) -> Disks:
    """Which disks the firmware can boot from."""
    if side.efi:
        return Disks(unjudged="it boots by UEFI, whose boot entries are not judged")
    under = side.under(side.boot.source)
    arrays = [block for block in under if block.type in _LEVELS]
    if any(block.type != "raid1" for block in arrays):
        return Disks(unjudged="/boot is on an array that is no mirror")
    if not any(block.type == "disk" for block in under):
        return Disks(unjudged="what disks /boot is on is not shown")
    lacks: dict[str, str] = {}
    for block in under:
        if block.type == "disk":
            lacks[block.kname] = _lacks_boot(side, block.kname, arrays)
    for disk, code in side.codes.items():
        if code.kind == "grub" and disk not in lacks:
            lacks[disk] = "a boot loader, but no part of /boot"
    if "other" in {side.codes[disk].kind for disk in lacks if disk in side.codes} and not any(
        side.codes[disk].kind == "grub" for disk in lacks if disk in side.codes
    ):
        return Disks(unjudged="its boot loader is not GRUB")
    good = tuple(disk for disk, what in lacks.items() if not what)
    return Disks(good, tuple((disk, what) for disk, what in lacks.items() if what))


def _lacks_boot(side: BootSide, disk: str, arrays: Sequence[Block]) -> str:
    code = side.codes.get(disk)
    if code is None or code.kind == "none":
        return "no boot loader"
    if code.kind != "grub":
        return "boot code that is not GRUB's"
    if not code.core:
        return "GRUB's first sector, but not the rest of it"
    for array in arrays:
        states = side.members.get(array.kname, {})
        here = [state for member, state in states.items() if disk in side.disks(member)]
        if not any("in_sync" in state.split(",") for state in here):
            return f"no in-sync member of {array.path}, which /boot is on"
    return ""


def wanting(side: BootSide, initrd: Initrd, release: str) -> str:
    """Why that kernel cannot be started, as far as its files show; empty if nothing is amiss."""
    if not initrd.image:
        return f"kernel {release} has no image in /boot"
    if not initrd.size:
        return f"kernel {release} has no initial ramdisk"
    if initrd.whole is False:
        return f"the initial ramdisk of kernel {release} is truncated or damaged"
    if initrd.whole is None:
        return ""
    lacks = _lacks(side, initrd)
    return f"the initial ramdisk of kernel {release} lacks {', '.join(lacks)}" if lacks else ""


def _lacks(side: BootSide, initrd: Initrd) -> list[str]:
    """What root, and what fstab needs of arrays, would not find in it."""
    early = [side.root, *(mount for mount in side.fstab if mount.target in _EARLY)]
    blocks = [block for mount in early for block in side.under(mount.source)]
    later = [mount for mount in side.fstab if mount.needed]
    lacks = [f"the driver {name}" for name in _drivers(side, early, blocks)
             if name not in initrd.modules | initrd.builtin]  # fmt: skip
    programs = [_PROGRAMS[block.type] for block in blocks if block.type in _PROGRAMS]
    programs += ["mdadm" for block in blocks if block.type in _LEVELS]
    lacks += [f"the program {name}" for name in dict.fromkeys(programs)
              if name not in initrd.programs]  # fmt: skip
    if initrd.arrays is not None:
        needed = [*blocks, *(block for mount in later for block in side.under(mount.source))]
        lacks += [f"the array {path}" for path, uuid in _arrays(side, needed).items()
                  if uuid and uuid not in initrd.arrays]  # fmt: skip
    return lacks


def _drivers(side: BootSide, mounts: Sequence[Mount], blocks: Sequence[Block]) -> list[str]:
    names = [mount.fstype for mount in mounts]
    names += [block.type for block in blocks if block.type in (*_LEVELS, "lvm", "dm", "crypt")]
    names = [_DRIVERS.get(name, name) for name in names]
    for block in blocks:
        names += side.drivers.get(block.kname, ())
    return list(dict.fromkeys(names))


def _arrays(side: BootSide, blocks: Sequence[Block]) -> dict[str, str]:
    """The arrays among these devices: path → UUID, which lsblk shows of their members."""
    found: dict[str, str] = {}
    for block in blocks:
        if block.type in _LEVELS:
            members = (side.blocks[name] for name in block.on if name in side.blocks)
            uuids = (member.uuid for member in members if member.fstype == "linux_raid_member")
            found[block.path] = uuid_digits(next(iter(uuids), ""))
    return found


def room(side: BootSide, size: int) -> str:
    """Whether /boot has room for one more initial ramdisk of ``size`` bytes; else what is amiss."""
    free = side.boot.available
    if free < 0 or free > size * 1.1:
        return ""
    return f"/boot has {free >> 20} MB left, and an initial ramdisk takes {size >> 20} MB"
