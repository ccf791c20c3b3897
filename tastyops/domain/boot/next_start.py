"""What the next boot would start and what there is to fall back on: looked at, and guarded."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tastyops.errors import ProbeFailed, Refused
from tastyops.facts.boot_source import BOOT_SIDE, Block, BootSide, Mount
from tastyops.facts.grub import (
    BOOT_CUSTOM,
    BOOT_ENVIRONMENT,
    BOOT_MENU,
    BootEnvironment,
    BootMenu,
    Chosen,
)
from tastyops.facts.initrd import Initrd, initrd, uuid_digits
from tastyops.model.action import Facts
from tastyops.model.commands import Ask, Command, Probe, Report, Unknown

State = Literal["ok", "failed", "not known"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a check: what was looked at, how it is, and what there is to say."""

    subject: str
    state: State
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.subject}: {self.state}{f' ({self.detail})' if self.detail else ''}"


@dataclass(frozen=True)
class Starting:
    """``target`` is the kernel the next boot starts, ``fallback`` the other one to start by hand.

    Both are empty where there is none; ``side`` and ``menu`` are None where they cannot be read.
    """

    side: BootSide | None
    menu: BootMenu | None
    running: str
    chosen: Chosen = field(default_factory=Chosen)
    """What the boot menu starts if nobody picks an entry."""
    target: str = ""
    fallback: str = ""
    initrds: Mapping[str, Initrd] = field(default_factory=dict)

    @property
    def disks(self) -> Disks:
        """The disks the firmware can boot from."""
        return bootable(self.side) if self.side else Disks(unjudged="they cannot be read")

    def start_obstacle(self, release: str) -> str:
        """What keeps that kernel from starting; empty where nothing is seen."""
        found = self.initrds.get(release)
        return wanting(self.side, found, release) if self.side and found else ""

    @property
    def proven(self) -> bool:
        """Whether the fallback has been seen running."""
        seen = self.side.booted if self.side else {}
        return bool(self.fallback) and (self.fallback == self.running or self.fallback in seen)


def starting(
    running: str, kernel: str | Unknown | None = None
) -> Generator[Command, Any, Starting]:
    """Reads it. ``kernel`` is what will be started if that is not the boot menu's default.

    In a dry run it may be one that is not installed yet; then the running one is the fallback.
    """
    side: BootSide | None = yield from _read(Probe(*BOOT_SIDE, sudo=True))
    menu: BootMenu | None = yield from boot_menu()
    if menu is None:
        return Starting(side, menu, running)
    chosen = menu.chosen((yield from boot_environment()))
    if side is None:
        return Starting(side, menu, running, chosen)
    target = "" if isinstance(kernel, Unknown) else kernel or chosen.release
    fallback = running if target != running else _other(menu, side, running)
    initrds = {}
    for release in dict.fromkeys((target, fallback)):
        if release:
            found: Initrd | None = yield from _read(Probe(*initrd(release), sudo=True))
            if found is not None:
                initrds[release] = found
    return Starting(side, menu, running, chosen, target, fallback, initrds)


def boot_menu() -> Generator[Command, Any, BootMenu | None]:
    """GRUB's menu with the administrator's custom.cfg; None where it cannot be understood."""
    menu: BootMenu | None = yield from _read(Probe(*BOOT_MENU, sudo=True))
    if menu is None or not menu.asks_custom:
        return menu
    try:
        return menu.with_custom((yield Probe(*BOOT_CUSTOM, sudo=True)))
    except ProbeFailed:
        return menu


def _read(probe: Probe) -> Generator[Command, Any, Any]:
    """What a probe finds; None where the host has no such thing or says it otherwise."""
    try:
        return (yield probe)
    except ProbeFailed:
        return None


def boot_environment() -> Generator[Command, Any, BootEnvironment | None]:
    """GRUB's environment block; None where it cannot be read."""
    found: BootEnvironment | None = yield from _read(Probe(*BOOT_ENVIRONMENT, sudo=True))
    return found


def _other(menu: BootMenu, side: BootSide, running: str) -> str:
    """Another kernel of the menu, one that has been seen running if there is one."""
    others = [release for release in menu.releases() if release != running]
    return max(others, key=lambda release: release in side.booted, default="")


def findings(found: Starting) -> list[Finding]:
    """One line for each thing a boot depends on."""
    return [_disks(found), _target(found), _fallback(found), *_space(found)]


def menu_line(found: Starting) -> Finding:
    """Whether a kernel can be picked at the boot menu, on the console."""
    if found.menu is None:
        return Finding("boot menu", "not known", "it cannot be read")
    problem = found.menu.unpickable(found.menu.starting(found.fallback))
    return Finding("boot menu", "failed" if problem else "ok", problem)


def _disks(found: Starting) -> Finding:
    disks = found.disks
    if disks.unjudged:
        return Finding("boot disks", "not known", disks.unjudged)
    good = ", ".join(f"/dev/{disk}" for disk in disks.good)
    detail = "; ".join(filter(None, (good, disks.lacking())))
    return Finding("boot disks", "ok" if disks.good else "failed", detail)


def _kernel(found: Starting, subject: str, release: str) -> Finding:
    problem = found.start_obstacle(release)
    if problem:
        return Finding(subject, "failed", problem)
    read = found.initrds.get(release)
    if read is None or read.whole is None:
        why = f"its initial ramdisk cannot be read ({read.unreadable})" if read else "not readable"
        return Finding(subject, "not known", f"{release}: {why}")
    return Finding(subject, "ok", release)


def _target(found: Starting) -> Finding:
    subject = "kernel to start"
    if not found.target:
        return Finding(subject, "not known", _why_unknown(found))
    if found.chosen.single and found.target == found.chosen.release:
        return Finding(subject, "failed", found.chosen.single)
    about = _kernel(found, subject, found.target)
    if about.state == "failed" or found.chosen.release in (found.target, ""):
        return about
    other = f"{about.detail}; the boot menu's default is {found.chosen.release}"
    return Finding(subject, about.state, other)


def _why_unknown(found: Starting) -> str:
    if found.menu is None:
        return "the boot menu cannot be read, or is not GRUB's"
    return found.chosen.unknown or "the disks cannot be read"


def _fallback(found: Starting) -> Finding:
    subject = "fallback kernel"
    if found.menu is None or found.side is None:
        return Finding(subject, "not known", "the disks or the boot menu cannot be read")
    if not found.fallback:
        return Finding(subject, "failed", "the boot menu has no other kernel")
    if found.menu.starting(found.fallback) is None:
        return Finding(subject, "failed", f"the boot menu has no entry for {found.fallback}")
    about = _kernel(found, subject, found.fallback)
    if about.state == "ok" and not found.proven:
        return Finding(subject, "not known", f"{found.fallback} has never been seen running")
    return about


def _space(found: Starting) -> list[Finding]:
    largest = max((read.size for read in found.initrds.values()), default=0)
    if found.side is None or not largest:
        return [Finding("room in /boot", "not known")]
    problem = missing_room(found.side, largest)
    arrays = [f"/dev/{name} lacks {n} of its members" for name, n in found.side.degraded.items()
              if n]  # fmt: skip
    return [
        Finding("room in /boot", "failed" if problem else "ok", problem),
        Finding("arrays", "failed" if arrays else "ok", "; ".join(arrays)),
    ]


def guard_start(
    running: str,
    facts: Facts,
    *,
    kernel: str | Unknown | None,
    fallback: bool,
    chosen: bool = False,
    words: bool = False,
) -> Generator[Command, Any, tuple[str, list[Finding]]]:
    """Refuses a reboot after which the host would not start; ``force:`` overrules it, and what
    is to be fallen back on is known then, too.

    ``fallback`` asks for another kernel that has been seen running and can be picked at the menu;
    without it a doubtful one is only spoken of. ``chosen`` says that ``kernel`` will be picked
    there, so that the menu's default does not matter, ``words`` that its entry will be edited.
    Gives the kernel to fall back on, empty where none is good, and what was found of all else but
    the arrays: one that is merely degraded is a warning.
    """
    if facts.force and not fallback:
        return "", []
    found = yield from starting(running, kernel)
    if facts.force:
        return found.fallback, []
    default = found.chosen.release
    if chosen and (kernel is not None or words):  # in whichever mode the default would start
        found = replace(found, chosen=Chosen())
    disks, target, other, *more = findings(found)
    if disks.state == "failed":
        raise Refused(
            "no disk the firmware can boot from has both a boot loader and an in-sync member"
            f" of /boot: {disks.detail}"
        )
    if target.state == "failed":
        raise Refused(target.detail)
    known = None if isinstance(kernel, Unknown) else kernel
    if not chosen and known:
        yield from _need_default(found, known)
    if chosen and found.menu is not None:
        _need_pickable(found.menu, known or default, words=words)
    if fallback and found.menu is not None and found.fallback:
        _need_pickable(found.menu, found.fallback)
    if fallback and other.state != "ok":
        raise Refused(f"there is no kernel to fall back on: {other.detail}")
    if found.disks.flawed:
        yield Report(note=f"degraded: {found.disks.lacking()}")
    for finding in (disks, target, other, *more):
        if finding.state != "ok":
            yield Report(note=str(finding))
    return found.fallback if other.state != "failed" else "", [disks, target, *more[:1]]


def _need_default(found: Starting, kernel: str) -> Generator[Command, Any, None]:
    """That GRUB starts this kernel by itself. Raises Refused; asks where it cannot be known."""
    if found.chosen.release == kernel:
        return
    if found.chosen.release:
        raise Refused(
            f"the boot menu starts kernel {found.chosen.release}, not {kernel}"
            " (make it the default with `kernel.install`, or grub-set-default on the host)"
        )
    if found.chosen.entry is not None:
        raise Refused(f"{found.chosen.unknown}, not kernel {kernel}")
    yield Ask(
        "manual",
        f"Whether the next boot starts kernel {kernel} is not known: {_why_unknown(found)}."
        " Say done to reboot all the same.",
    )


def _need_pickable(menu: BootMenu, release: str, *, words: bool = False) -> None:
    problem = menu.unpickable(menu.starting(release), words=words)
    if problem:
        raise Refused(f"no kernel can be picked on the console: {problem}")


# -- which disks the machine can boot from -------------------------------------------------------

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
    under = side.underlying_devices(side.boot.source)
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
    blocks = [block for mount in early for block in side.underlying_devices(mount.source)]
    later = [mount for mount in side.fstab if mount.needed]
    lacks = [f"the driver {name}" for name in _drivers(side, early, blocks)
             if name not in initrd.modules | initrd.builtin]  # fmt: skip
    programs = [_PROGRAMS[block.type] for block in blocks if block.type in _PROGRAMS]
    programs += ["mdadm" for block in blocks if block.type in _LEVELS]
    lacks += [f"the program {name}" for name in dict.fromkeys(programs)
              if name not in initrd.programs]  # fmt: skip
    if initrd.arrays is not None:
        needed = [
            *blocks,
            *(block for mount in later for block in side.underlying_devices(mount.source)),
        ]
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


def missing_room(side: BootSide, size: int) -> str:
    """Whether /boot has room for one more initial ramdisk of ``size`` bytes; else what is amiss."""
    free = side.boot.available
    if free < 0 or free > size * 1.1:
        return ""
    return f"/boot has {free >> 20} MB left, and an initial ramdisk takes {size >> 20} MB"
