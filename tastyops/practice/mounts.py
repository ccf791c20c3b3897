"""Filesystems of the modelled machine, where they are mounted, and findmnt(8) over them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tastyops.practice.calls import Call, Commands
from tastyops.practice.files import Files, NotModelled

FSTAB = "/etc/fstab"


@dataclass
class Filesystem:
    """A filesystem on a device; sizes in bytes. ``damage`` is what a check would find."""

    device: str
    type: str
    uuid: str
    size: int
    used: int
    label: str = ""
    damage: list[str] = field(default_factory=list)
    lost: list[tuple[int, str, str]] = field(default_factory=list)
    """What a repair moved to lost+found: bytes, owner, name."""
    dirty: bool = False
    """Whether its log holds what only a mount replays."""


@dataclass
class Mount:
    """One mount. ``root`` is the directory of the filesystem that is seen, for a bind mount."""

    target: str
    filesystem: Filesystem
    read_only: bool = False
    root: str = "/"
    filesystem_read_only: bool = False


class Mounts:
    """What is mounted; ``booted`` mounts what fstab says."""

    def __init__(self, files: Files, filesystems: list[Filesystem]) -> None:
        self._files = files
        self.filesystems = filesystems
        self.busy: Callable[[str], bool] = lambda target: False
        """Whether anybody uses what is mounted there."""
        self.mounted: list[Mount] = []
        self.booted()

    def booted(self) -> None:
        """What a boot into normal operation mounts."""
        self.mounted = []
        for target, source, _, options in self.fstab():
            filesystem = self.filesystem(source)
            if filesystem is not None and target.startswith("/"):
                self.mounted.append(Mount(target, filesystem, "ro" in options.split(",")))

    def fstab(self) -> list[tuple[str, str, str, str]]:
        """Target, source, type and options of every line."""
        found = []
        for line in self._files.text(FSTAB).splitlines():
            words = line.split()
            if len(words) >= 4 and not line.lstrip().startswith("#"):
                found.append((words[1], words[0], words[2], words[3]))
        return found

    def filesystem(self, device: str) -> Filesystem | None:
        """The filesystem on a device."""
        device = device.replace("/dev/volume/", "/dev/mapper/volume-")
        return next((each for each in self.filesystems if each.device == device), None)

    def places(self, device: str) -> list[str]:
        """Where a device is mounted."""
        return [each.target for each in self.mounted if each.filesystem.device == device]

    def at(self, target: str) -> Mount | None:
        """What is mounted at exactly that place, the last one first."""
        target = target.rstrip("/") or "/"
        return next((each for each in reversed(self.mounted) if each.target == target), None)

    # -- programs ----------------------------------------------------------------------------

    def commands(self) -> Commands:
        """The programs."""
        return {"findmnt": self._findmnt, "mount": self._mount, "umount": self._umount}

    def _findmnt(self, call: Call) -> int:
        flags, columns, place = set[str](), "", ""
        words = list(call.argv[1:])
        while words:
            word = words.pop(0)
            if word in ("--output", "-o") and words:
                columns = words.pop(0)
            elif word in ("--mountpoint", "-M") and words:
                place = words.pop(0)
            elif word in ("--target", "-T") and words:
                place = self._around(words.pop(0))
            else:
                flags.add(word)
        if "--json" not in flags or not columns or flags - {
            "--json", "--list", "--fstab", "--evaluate", "--bytes"
        }:  # fmt: skip
            raise NotModelled(" ".join(call.argv))
        rows = self._table() if "--fstab" in flags else [_row(each) for each in self.mounted]
        if place:
            rows = [row for row in rows if row["target"] == place]
        wanted = columns.lower().split(",")
        unknown = sorted(set(wanted) - set(rows[0] if rows else wanted))
        if unknown:
            raise NotModelled(f"findmnt's columns {', '.join(unknown)}")
        if rows:
            told = [{name: row[name] for name in wanted} for row in rows]
            call.say(json.dumps({"filesystems": told}, indent=3))
        return 0 if rows else 1

    def _around(self, path: str) -> str:
        """Where the filesystem is mounted that a path is on."""
        above = [each.target for each in self.mounted if f"{path}/".startswith(f"{each.target}/")]
        return max(above, key=len, default="/")

    def _table(self) -> list[dict[str, Any]]:
        return [
            {"target": target, "source": source, "fstype": kind, "options": options}
            for target, source, kind, options in self.fstab()
        ]

    def _mount(self, call: Call) -> int:
        words, options = list(call.argv[1:]), set[str]()
        while words and words[0].startswith("-"):
            if words[0] == "--":
                words.pop(0)
                break
            if words[0] not in ("-o", "--options") or len(words) < 2:
                raise NotModelled(" ".join(call.argv))
            options |= set(words[1].split(","))
            words = words[2:]
        if "remount" in options and len(words) == 1:
            return self._remount(call, words[0], options)
        line = next((row for row in self.fstab() if words[-1:] == [row[0]]), None)
        if len(words) == 1 and line is not None:
            words, options = [line[1], line[0]], options | set(line[3].split(","))
        filesystem = self.filesystem(words[0]) if len(words) == 2 else None
        if filesystem is None or "bind" in options:
            raise NotModelled(" ".join(call.argv))
        if self.at(words[1]):
            call.complain(f"mount: {words[1]}: {words[0]} already mounted on {words[1]}.")
            return 32
        filesystem.dirty = False  # mounting replays the log
        self.mounted.append(Mount(words[1], filesystem, "ro" in options))
        return 0

    def _remount(self, call: Call, target: str, options: set[str]) -> int:
        mount = self.at(target)
        if mount is None:
            call.complain(f"mount: {target}: mount point not mounted or bad option.")
            return 32
        if {"ro", "rw"} & options:
            mount.read_only = "ro" in options
        return 0

    def _umount(self, call: Call) -> int:
        words = [word for word in call.argv[1:] if word != "--"]
        mount = self.at(words[0]) if len(words) == 1 and not words[0].startswith("-") else None
        if len(words) == 1 and mount is None:
            call.complain(f"umount: {words[0]}: not mounted.")
            return 32
        if mount is None:
            raise NotModelled(" ".join(call.argv))
        if self.busy(mount.target):
            call.complain(f"umount: {mount.target}: target is busy.")
            return 32
        self.mounted.remove(mount)
        return 0


def _row(mount: Mount) -> dict[str, Any]:
    fs = mount.filesystem
    return {
        "target": mount.target,
        "source": fs.device + (f"[{mount.root}]" if mount.root != "/" else ""),
        "fsroot": mount.root,
        "fstype": fs.type,
        "vfs-options": "ro,relatime" if mount.read_only else "rw,relatime",
        "fs-options": "ro" if mount.filesystem_read_only or mount.read_only else "rw",
        "options": "ro,relatime" if mount.read_only else "rw,relatime",
        "size": fs.size,
        "used": fs.used,
        "avail": fs.size - fs.used,
    }
