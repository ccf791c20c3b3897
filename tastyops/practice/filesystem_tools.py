"""Programs that check, mend and grow the modelled filesystems, and say how large they are."""

from __future__ import annotations

from tastyops.practice.calls import Call, Commands
from tastyops.practice.files import NotModelled
from tastyops.practice.mounts import Filesystem, Mounts
from tastyops.practice.processes import Processes
from tastyops.practice.volumes import Volumes

_BLOCK = 4096
_CHECK_RATE = 400 * 1024 * 1024
"""Bytes of used space a check gets through in a second of practice time."""


class FsTools:
    """The programs."""

    def __init__(self, volumes: Volumes, mounts: Mounts, processes: Processes) -> None:
        self._volumes, self._mounts = volumes, mounts
        self._processes = processes

    def commands(self) -> Commands:
        """The programs."""
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
        """xfs_repair(8): 1 for damage found with -n, 2 for a log that only a mount replays."""
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
