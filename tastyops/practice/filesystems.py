"""Filesystems of the modelled machine: where they are mounted, who uses them, checks and growth.

The programs are findmnt, mount and umount, the checkers, snapshots of a volume, and find.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from tastyops.practice.calls import Call, Commands
from tastyops.practice.files import Files, NotModelled
from tastyops.practice.processes import Processes
from tastyops.practice.systemd import Systemd
from tastyops.practice.users import Users
from tastyops.practice.volumes import Volume, Volumes

FSTAB = "/etc/fstab"


@dataclass
class Filesystem:
    """A filesystem on a device; sizes in bytes. ``damage`` lists what a check finds."""

    device: str
    type: str
    uuid: str
    size: int
    used: int
    label: str = ""
    damage: list[str] = field(default_factory=list)
    lost: list[tuple[int, str, str]] = field(default_factory=list)
    """Files a repair moved to lost+found: bytes, owner, name."""
    dirty: bool = False
    """Whether the log holds changes that only a mount replays."""


@dataclass
class Mount:
    """A mount. For a bind mount ``root`` is the directory of the filesystem it shows."""

    target: str
    filesystem: Filesystem
    read_only: bool = False
    root: str = "/"
    filesystem_read_only: bool = False


class Mounts:
    """The mounted filesystems; ``mount_fstab`` mounts those of /etc/fstab."""

    def __init__(self, files: Files, filesystems: list[Filesystem]) -> None:
        self._files = files
        self.filesystems = filesystems
        self.busy: Callable[[str], bool] = lambda target: False
        """Whether a process uses the filesystem mounted at a directory."""
        self.mounted: list[Mount] = []
        self.mount_fstab()

    def mount_fstab(self) -> None:
        """Mounts the filesystems of /etc/fstab, as a normal boot does."""
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
        """Directories a device is mounted on."""
        return [each.target for each in self.mounted if each.filesystem.device == device]

    def at(self, target: str) -> Mount | None:
        """The mount at exactly that directory; the last one where there are several."""
        target = target.rstrip("/") or "/"
        return next((each for each in reversed(self.mounted) if each.target == target), None)

    # -- programs ----------------------------------------------------------------------------

    def commands(self) -> Commands:
        """The programs by name."""
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
        """The mount of the filesystem a path is on."""
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


_BLOCK = 4096
_CHECK_RATE = 400 * 1024 * 1024
"""Bytes of used space that a check reads in a second of practice time."""


class FilesystemTools:
    """Programs that check, repair and grow filesystems."""

    def __init__(self, volumes: Volumes, mounts: Mounts, processes: Processes) -> None:
        self._volumes, self._mounts = volumes, mounts
        self._processes = processes

    def commands(self) -> Commands:
        """The programs by name."""
        return {
            "xfs_repair": self._xfs_repair,
            "e2fsck": self._e2fsck,
            "xfs_growfs": self._xfs_growfs,
            "resize2fs": self._resize2fs,
            "dumpe2fs": self._dumpe2fs,
        }

    def _on(self, device: str, kind: str, call: Call) -> Filesystem:
        volume = self._volumes.find(device)
        found = self._mounts.filesystem(volume.path if volume else device)
        if found is None or not found.type.startswith(kind):
            raise NotModelled(" ".join(call.argv))
        return found

    def _takes_time(self, call: Call, filesystem: Filesystem) -> None:
        self._processes.sleep(call.process, 5 + filesystem.used / _CHECK_RATE)

    def _xfs_repair(self, call: Call) -> int:
        """xfs_repair(8): 1 for damage found with -n, 2 for a log that a mount must replay."""
        options = {word for word in call.argv[1:] if word.startswith("-")}
        words = [word for word in call.argv[1:] if not word.startswith("-")]
        if options - {"-n", "-e", "-L"} or len(words) != 1:
            raise NotModelled(" ".join(call.argv))
        filesystem = self._on(words[0], "xfs", call)
        if self._mounts.places(filesystem.device):
            call.complain(f"xfs_repair: {words[0]} contains a mounted filesystem")
            call.complain("\nfatal error -- couldn't initialize XFS library")
            return 1
        call.complain("Phase 1 - find and verify superblock...")
        call.complain("Phase 2 - using internal log\n        - zero log...")
        if filesystem.dirty and not options & {"-n", "-L"}:
            call.complain("ERROR: The filesystem has valuable metadata changes in a log ...")
            return 2
        if filesystem.dirty and "-n" in options:
            call.complain("ALERT: The filesystem has valuable metadata changes in a log which is")
        self._takes_time(call, filesystem)
        for what in filesystem.damage:
            call.complain(what)
        if "-n" in options:
            call.complain("No modify flag set, skipping filesystem flush and exiting.")
            return 1 if filesystem.damage or filesystem.dirty else 0
        repaired, filesystem.damage, filesystem.dirty = bool(filesystem.damage), [], False
        call.complain("done")
        return 4 if repaired and "-e" in options else 0

    def _e2fsck(self, call: Call) -> int:
        """e2fsck(8): 0 clean, 1 errors corrected, 4 errors left."""
        options = "".join(word[1:] for word in call.argv[1:] if word.startswith("-"))
        words = [word for word in call.argv[1:] if not word.startswith("-")]
        if set(options) - set("nfpyv") or len(words) != 1:
            raise NotModelled(" ".join(call.argv))
        filesystem = self._on(words[0], "ext", call)
        self._takes_time(call, filesystem)
        for what in filesystem.damage:
            call.say(what)
        name = filesystem.label or words[0]
        call.say(f"{name}: 358/122160 files, {filesystem.used // 1024}/{filesystem.size // 1024}")
        if not filesystem.damage:
            return 0
        if "n" in options:
            return 4
        filesystem.damage = []
        return 1

    def _xfs_growfs(self, call: Call) -> int:
        options = {word for word in call.argv[1:] if word.startswith("-")}
        words = [word for word in call.argv[1:] if not word.startswith("-")]
        mount = self._mounts.at(words[0]) if len(words) == 1 else None
        if options - {"-n", "-d"} or mount is None or mount.filesystem.type != "xfs":
            raise NotModelled(" ".join(call.argv))
        filesystem = mount.filesystem
        call.say(f"meta-data={filesystem.device} isize=512    agcount=4, agsize=1 blks")
        call.say(
            f"data     =                       bsize={_BLOCK}   blocks={filesystem.size // _BLOCK},"
            " imaxpct=25"
        )
        if "-n" not in options:
            self._fill(filesystem)
            call.say(f"data blocks changed to {filesystem.size // _BLOCK}")
        return 0

    def _resize2fs(self, call: Call) -> int:
        if len(call.argv) != 2:
            raise NotModelled(" ".join(call.argv))
        filesystem = self._on(call.argv[1], "ext", call)
        self._fill(filesystem)
        blocks = filesystem.size // _BLOCK
        call.say(f"The filesystem on {call.argv[1]} is now {blocks} (4k) blocks long.")
        return 0

    def _fill(self, filesystem: Filesystem) -> None:
        volume = self._volumes.find(filesystem.device)
        if volume is not None:
            filesystem.size = volume.size

    def _dumpe2fs(self, call: Call) -> int:
        if call.argv[1:-1] != ("-h",):
            raise NotModelled(" ".join(call.argv))
        filesystem = self._on(call.argv[-1], "ext", call)
        call.say(f"Block count:              {filesystem.size // _BLOCK}")
        call.say(f"Block size:               {_BLOCK}")
        return 0


class Snapshots:
    """lvcreate(8) and lvremove(8), as far as a check of a filesystem needs them."""

    def __init__(self, volumes: Volumes, mounts: Mounts) -> None:
        self._volumes, self._mounts = volumes, mounts

    def commands(self) -> Commands:
        """The programs by name."""
        return {"lvcreate": self._lvcreate, "lvremove": self._lvremove}

    def _lvcreate(self, call: Call) -> int:
        match call.argv[1:]:
            case ("--snapshot", "--extents", extents, "--name", name, origin):
                of = self._volumes.find(origin)
            case _:
                raise NotModelled(" ".join(call.argv))
        filesystem = self._mounts.filesystem(of.path) if of else None
        if of is None or filesystem is None or not extents.isdigit():
            raise NotModelled(" ".join(call.argv))
        if int(extents) > self._volumes.free(of.group):
            call.complain(f'  Volume group "{of.group}" has insufficient free space')
            return 5
        number = 1 + max(volume.number for volume in self._volumes.volumes)
        made = Volume(name, of.group, int(extents), number, of.name)
        self._volumes.volumes.append(made)
        self._mounts.filesystems.append(replace(filesystem, device=made.path, dirty=True))
        call.say(f'  Logical volume "{name}" created.')
        return 0

    def _lvremove(self, call: Call) -> int:
        volume = self._volumes.find(call.argv[-1])
        if call.argv[1:-1] != ("--yes",) or volume is None or not volume.origin:
            raise NotModelled(" ".join(call.argv))
        if self._mounts.places(volume.path):
            name = f"{volume.group}/{volume.name}"
            call.complain(f"  Logical volume {name} contains a filesystem in use.")
            return 5
        self._volumes.volumes.remove(volume)
        kept = [each for each in self._mounts.filesystems if each.device != volume.path]
        self._mounts.filesystems[:] = kept
        call.say(f'  Logical volume "{volume.name}" successfully removed.')
        return 0


_ALWAYS = {
    "/": ((1, "systemd", "init.scope"),),
    "/var": (
        (318, "systemd-journal", "system.slice/systemd-journald.service"),
        (402, "rsyslogd", "system.slice/rsyslog.service"),
    ),
}
"""Processes that always use a directory: number, name, cgroup."""

_FIRST_SHELL = 2001


class UsageTools:
    """find(1), and which processes use which filesystem; a logged-in user uses /home."""

    def __init__(
        self, files: Files, mounts: Mounts, users: Users, systemd: Systemd,
        links: Callable[[], Iterable[tuple[str, str]]],
    ) -> None:  # fmt: skip
        self._files, self._mounts, self._users = files, mounts, users
        self._systemd, self._links = systemd, links
        mounts.busy = lambda target: bool(self._using(target))
        shells = [
            (_FIRST_SHELL + n, "bash", f"user.slice/user-{1001 + n}.slice/session-{n + 1}.scope")
            for n in range(len(users.terminals))
        ]
        for number, name, group in [each for some in _ALWAYS.values() for each in some] + shells:
            files.add(f"/proc/{number}/comm", f"{name}\n")
            files.add(f"/proc/{number}/cgroup", f"0::/{group}\n")

    def commands(self) -> Commands:
        """The programs by name."""
        return {"find": self._find}

    def _using(self, target: str) -> list[int]:
        if target == "/home":
            terminals = list(self._users.terminals.values())
            here = self._users.logged_in()
            return [_FIRST_SHELL + n for n, each in enumerate(terminals) if each in here]
        idle = set[str]()
        if not self._systemd.units.runs("rsyslog"):
            idle.add("rsyslogd")
        if not self._systemd.journal_in_var:
            idle.add("systemd-journal")
        return [number for number, name, _ in _ALWAYS.get(target, ()) if name not in idle]

    def _find(self, call: Call) -> int:
        words = list(call.argv[1:])
        if words[:1] == ["/proc"] and "-lname" in words:
            target = words[words.index("-lname") + 1]
            for number in self._using(target):
                call.say(f"/proc/{number}/cwd")
            return 0
        if words[-4:] == ["-maxdepth", "0", "-type", "d"]:
            for path in words[:-4]:
                if self._files.is_directory(path) or self._mounts.at(path):
                    call.say(path)
            return 0
        if len(words) == 5 and words[0].endswith("/lost+found") and words[3] == "-printf":
            return self._lost(call, words[0])
        match words:
            case ["/dev/disk/by-id", "-type", "l", "-printf", "%f %l\\n"]:
                found = [f"{name} {target}" for name, target in self._links()]
            case [place, "-maxdepth", "1", "-name", shape, "-type", "f", "-printf", "%f\\n"]:
                names = fnmatch.filter(self._files.names(place), shape)
                found = [name for name in names if self._files.is_file(f"{place}/{name}")]
            case _:
                raise NotModelled(" ".join(call.argv))
        call.say("".join(f"{line}\n" for line in found), end="")
        return 0

    def _lost(self, call: Call, place: str) -> int:
        mount = self._mounts.at(place.removesuffix("/lost+found"))
        if mount is None or not mount.filesystem.lost:
            call.complain(f"find: '{place}': No such file or directory")
            return 1
        for size, owner, name in mount.filesystem.lost:
            call.say(f"f {size} {owner} {name}", end="\0")
        return 0
