"""``bootloader.install``: GRUB on a disk, so that the machine starts from that one alone."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tastyops.actions import PACKAGE_ENVIRONMENT, action, param, require
from tastyops.domain.storage.disks import find_disk, public_serial, underlying_devices
from tastyops.errors import Failed, Refused
from tastyops.facts.boot_code import BY_ID, GRUB_ANSWERS, UEFI, BootCode, boot_code, core_image
from tastyops.facts.disks import BLOCK_DEVICES, Device, Disks
from tastyops.facts.partition_tables import BIOS_BOOT, MIB, PartitionTable, partition_table
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Command, Probe, Steps, Unknown

DEVICES = "grub-pc/install_devices"
"""debconf's list of the disks on which an upgrade of grub-pc installs GRUB again."""

BY_ID_FOLDER = "/dev/disk/by-id/"


@dataclass(frozen=True, kw_only=True)
class BootloaderInstall:
    """The parameters of ``bootloader.install``."""

    disk: str = param("text", "The disk's serial number, WWN or name in /dev/disk/by-id")


@action(
    "bootloader.install",
    scalar="disk",
    returns={"device": "device", "serial": "word", "remembered": "count"},
    sentence="GRUB boot loader installed on disk {{ serial }}.",
    guarded=True,
)
def bootloader_install(params: BootloaderInstall, facts: Facts) -> Steps:
    """Install GRUB on a disk of a machine that starts by BIOS, and have package upgrades do so too.

    Afterwards its boot code and the beginning of its core image are read back from the disk.
    Refused where firmware starts the machine by UEFI, where the disk has no room for the core
    image, and (unless forced) on a disk that holds no part of /boot.
    """
    disks: Disks = yield Probe(*BLOCK_DEVICES, sudo=True)
    disk = yield from find_disk(disks, params.disk)
    if (yield Probe(*UEFI)):
        raise Refused(
            "this machine starts by UEFI: GRUB belongs in an EFI partition there, which this"
            " action does not set up"
        )
    table: PartitionTable | None = yield Probe(*partition_table(disk.path), sudo=True)
    _room(disk, table)
    if not facts.force and disk.kname not in _below_boot(disks):
        raise Refused(f"{disk.path} holds no part of /boot: it could not start the machine alone")
    answers: Mapping[str, str] = yield Probe(*GRUB_ANSWERS, sudo=True)
    links: Mapping[str, str] = yield Probe(*BY_ID)
    installed = yield Change(("grub-install", "--target=i386-pc", disk.path), sudo=True)
    require(installed, "GRUB could not be installed")
    if not isinstance(installed, Unknown):
        yield from _verified(disk)
    remembered = yield from _remember(disk, _start_from(disks), answers, links)
    return {"device": disk.path, "serial": public_serial(disk.serial), "remembered": remembered}


def _room(disk: Device, table: PartitionTable | None) -> None:
    """GRUB's core image lies before the first partition, or in a BIOS boot partition of a GPT."""
    if table is None:
        raise Refused(f"{disk.path} has no partition table")
    if table.label == "gpt":
        if all(part.type.upper() != BIOS_BOOT for part in table.partitions):
            raise Refused(f"{disk.path} has a GPT without a BIOS boot partition")
    elif min((part.start * table.sector for part in table.partitions), default=MIB) < MIB:
        raise Refused(f"{disk.path} has less than 1 MiB before its first partition")


def _below_boot(disks: Disks) -> frozenset[str]:
    """What holds /boot, or the root where /boot is no filesystem of its own."""
    for place in ("/boot", "/"):
        found = [
            underlying_devices(disks, each) for each in disks.devices if place in each.mountpoints
        ]
        if found:
            return frozenset().union(*found)
    return frozenset()


def _start_from(disks: Disks) -> list[Device]:
    """The disks that carry /boot."""
    below = _below_boot(disks)
    return [disk for disk in disks.disks if disk.kname in below]


def _verified(disk: Device) -> Generator[Command, Any, None]:
    code: BootCode = yield Probe(*boot_code(disk.path), sudo=True)
    if not code.grub or not code.core:
        raise Failed(f"the first sector of {disk.path} has no boot code of GRUB's")
    if not (yield Probe(*core_image(disk.path, code.core), sudo=True)):
        raise Failed(f"GRUB's core image is not where the boot code of {disk.path} looks for it")


def _remember(
    disk: Device, others: Sequence[Device], answers: Mapping[str, str], links: Mapping[str, str]
) -> Generator[Command, Any, int]:
    """Puts the disk on debconf's list, by-id names only; a disk that is gone is taken off it.

    Otherwise the next upgrade of grub-pc would renew GRUB on other disks alone, or ask. A list
    that names no disk becomes that of all disks which carry /boot: with the new disk alone on it,
    an upgrade would leave the others with an old GRUB.
    """
    if not answers:
        return 0
    before = [name.strip() for name in answers.get(DEVICES, "").split(",") if name.strip()]
    kept = [name for name in (_by_id(old, links) for old in before) if name]
    ours = _name_of(disk.kname, links)
    if ours is None:
        raise Failed(f"GRUB is installed, but udev has no by-id name for {disk.path}")
    if not kept:
        named = (_name_of(other.kname, links) for other in others if other != disk)
        kept = [name for name in named if name]
    if all(links[name.removeprefix(BY_ID_FOLDER)] != disk.kname for name in kept):
        kept.append(ours)
    if kept != before:
        lines = (f"grub-pc {DEVICES} multiselect {', '.join(kept)}",
                 f"grub-pc {DEVICES}_empty boolean false", "")  # fmt: skip
        told = yield Change(
            (*PACKAGE_ENVIRONMENT, "debconf-set-selections"), "\n".join(lines).encode(), sudo=True
        )
        require(told, "GRUB is installed, but debconf did not take the list of disks")
    return len(kept)


def _by_id(old: str, links: Mapping[str, str]) -> str | None:
    """A name on debconf's list as a by-id name; None where its disk is gone."""
    name = old.removeprefix(BY_ID_FOLDER)
    if name in links:
        return old
    return _name_of(name.removeprefix("/dev/"), links)


def _name_of(kname: str, links: Mapping[str, str]) -> str | None:
    """The by-id name Debian's own grub-pc offers: the first in order."""
    names = sorted(name for name, target in links.items() if target == kname)
    return BY_ID_FOLDER + names[0] if names else None
