"""What a host starts from: its disks' boot code, the mirror of /boot, and what root stands on.

One reading for all of it, so that a reboot's guards cost one command. Only BIOS boot code is
understood; on UEFI ``efi`` says so and nothing is claimed of the disks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tastyops.errors import ProbeFailed
from tastyops.facts.initrd import module_name
from tastyops.facts.readings import Answer, Parsers, Reading, as_path, need_ok
from tastyops.model.public_text import is_fact

SCRIPT = r"""
mount() { findmnt --json --bytes --output TARGET,SOURCE,FSTYPE,OPTIONS,AVAIL --target "$1"; }
echo '== root'; mount /
echo '== boot'; mount /boot
echo '== fstab'; findmnt --fstab --evaluate --json --output TARGET,SOURCE,FSTYPE,OPTIONS
echo '== blocks'; lsblk --json --output NAME,KNAME,PATH,TYPE,FSTYPE,UUID
echo '== system'
test -d /sys/firmware/efi && echo efi
for block in /sys/block/*; do
  disk=${block##*/}
  test -e "$block/device" || continue
  test "$(cat "$block/size")" -gt 0 && test "$(cat "$block/removable")" = 0 || continue
  at=$(readlink -f "$block")
  while test -n "$at"; do
    module=$(readlink -e "$at/driver/module") && echo "driver $disk ${module##*/}"
    at=${at%/*}
  done
  code=none core=none
  test "$(od -An -tx1 -j510 -N2 "/dev/$disk" | tr -d ' ')" = 55aa && code=other
  dd if="/dev/$disk" bs=440 count=1 2>/dev/null | grep -qa 'GRUB .*Geom' && code=grub
  if test $code = grub; then
    core=missing first=$(od -An -tu8 -j92 -N8 "/dev/$disk" | tr -d ' ')
    dd if="/dev/$disk" bs=512 skip="$first" count=1 2>/dev/null | grep -qa loading && core=there
  fi
  dd if="/dev/$disk" bs=440 count=1 2>/dev/null | tr -d '\000' | grep -qa . || code=none
  echo "code $disk $code $core"
done
for state in /sys/block/md*/md/dev-*/state; do
  test -e "$state" || continue
  array=${state#/sys/block/} member=${state%/state}
  echo "member ${array%%/*} ${member##*/dev-} $(cat "$state")"
done
for array in /sys/block/md*/md; do
  test -e "$array/degraded" || continue
  name=${array#/sys/block/}
  echo "degraded ${name%/md} $(cat "$array/degraded")"
done
echo '== booted'
journalctl --quiet --no-pager --output=short-unix _TRANSPORT=kernel --grep='^Linux version ' \
  2>/dev/null | sed -n 's/^\([0-9]*\)\.[0-9]* .* kernel: Linux version \([^ ]*\) .*/\1 \2/p'
last -x -w reboot 2>/dev/null | sed -n 's/^reboot  *system boot  *\([0-9][^ ]*\) .*/0 \1/p'
exit 0
"""
"""``od -j92``: GRUB's boot.img keeps there where its core image begins (grub/i386/pc/boot.h).

systemd writes a reboot record with the kernel's release once userspace runs
(systemd-update-utmp.service(8)), and the journal of that boot begins with the kernel's version:
either proves that the kernel once got that far.
"""

BOOT_SIDE = Reading(("sh", "-c", SCRIPT, "boot-side"), "boot_side")


@dataclass(frozen=True, slots=True)
class Mount:
    """A filesystem: where, from what, of which type; ``available`` in bytes, -1 if not said."""

    target: str
    source: str
    fstype: str
    options: str = ""
    available: int = -1

    @property
    def needed(self) -> bool:
        """Whether a boot that does not find it ends in the emergency mode (systemd.mount(5))."""
        return not {"noauto", "nofail"} & set(self.options.split(","))


@dataclass(frozen=True, slots=True)
class Block:
    """A block device and what it directly stands on, by kernel name."""

    kname: str
    path: str
    type: str
    fstype: str
    uuid: str
    on: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """A disk's boot code: ``grub``, ``other`` or ``none``; ``core``: whether GRUB's is there."""

    kind: str
    core: bool


@dataclass(frozen=True, slots=True)
class BootSide:
    """All of it. ``members`` maps an array to its members' state words as md(4) writes them.

    ``drivers`` maps a disk to the modules on its way; ``booted`` maps a kernel that has been
    seen running to when it last was, in seconds since the epoch (0: not known).
    """

    root: Mount
    boot: Mount
    fstab: tuple[Mount, ...]
    blocks: Mapping[str, Block]
    drivers: Mapping[str, tuple[str, ...]]
    codes: Mapping[str, Code]
    members: Mapping[str, Mapping[str, str]]
    degraded: Mapping[str, int]
    """How many members each redundant array lacks."""
    booted: Mapping[str, int]
    efi: bool = False

    def underlying_devices(self, source: str) -> tuple[Block, ...]:
        """The device a filesystem is on and everything beneath it, down to the disks."""
        start = [b.kname for b in self.blocks.values() if source in (b.path, f"/dev/{b.kname}")]
        return tuple(self._beneath(start, set()))

    def _beneath(self, names: list[str], seen: set[str]) -> Iterator[Block]:
        for name in names:
            block = self.blocks.get(name)
            if block and name not in seen:
                seen.add(name)
                yield block
                yield from self._beneath(list(block.on), seen)

    def disks(self, kname: str) -> tuple[str, ...]:
        """The disks a device is on."""
        return tuple(b.kname for b in self._beneath([kname], set()) if b.type == "disk")


def _sections(text: str) -> dict[str, str]:
    parts = re.split(r"^== ([a-z]+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _json(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise ProbeFailed("findmnt or lsblk did not answer in JSON") from error
    if not isinstance(data, dict):
        raise ProbeFailed("findmnt or lsblk did not answer as expected")
    return data


def _mounts(text: str) -> tuple[Mount, ...]:
    rows = _json(text).get("filesystems") or []
    return tuple(
        Mount(
            as_path(str(row.get("target", ""))),
            re.sub(r"\[.*\]$", "", str(row.get("source", ""))),
            str(row.get("fstype", "")),
            str(row.get("options", "")),
            int(row.get("avail") or -1) if str(row.get("avail") or "").isdigit() else -1,
        )
        for row in rows
        if isinstance(row, dict)
    )


def _blocks(text: str) -> dict[str, Block]:
    found: dict[str, Block] = {}

    def add(row: Any, on: tuple[str, ...], depth: int) -> None:
        if not isinstance(row, dict) or depth > 20:
            raise ProbeFailed("lsblk did not answer as expected")
        kname = str(row.get("kname", ""))
        before = found[kname].on if kname in found else ()
        path, kind, fstype, uuid = (
            str(row.get(key) or "") for key in ("path", "type", "fstype", "uuid")
        )
        under = tuple(dict.fromkeys((*before, *on)))
        found[kname] = Block(kname, path, kind, fstype, uuid, under)
        for child in row.get("children") or ():
            add(child, (kname,), depth + 1)

    for row in _json(text).get("blockdevices") or ():
        add(row, (), 0)
    return found


def _boot_side(answer: Answer) -> BootSide:
    parts = _sections(need_ok(answer))
    root, boot = (_mounts(parts.get(name, "")) for name in ("root", "boot"))
    if not root or not boot:
        raise ProbeFailed("findmnt did not say what / and /boot are on")
    drivers: dict[str, tuple[str, ...]] = {}
    codes: dict[str, Code] = {}
    members: dict[str, dict[str, str]] = {}
    degraded: dict[str, int] = {}
    lines = parts.get("system", "").splitlines()
    for line in lines:
        match line.split():
            case ["driver", disk, module]:
                drivers[disk] = (*drivers.get(disk, ()), module_name(module))
            case ["code", disk, kind, core]:
                codes[disk] = Code(kind, core == "there")
            case ["member", array, member, *state]:
                members.setdefault(array, {})[member] = " ".join(state)
            case ["degraded", array, count] if count.isdigit():
                degraded[array] = int(count)
    booted: dict[str, int] = {}
    for line in parts.get("booted", "").splitlines():
        when, _, release = line.partition(" ")
        if is_fact("version", release) and when.isdigit():
            booted[release] = max(booted.get(release, 0), int(when))
    return BootSide(
        root[0], boot[0], _mounts(parts.get("fstab", "")), _blocks(parts.get("blocks", "")),
        drivers, codes, members, degraded, booted, efi="efi" in lines,
    )  # fmt: skip


PARSERS: Parsers = {"boot_side": _boot_side}

