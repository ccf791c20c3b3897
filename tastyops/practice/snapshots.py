"""Snapshots of the modelled volumes: lvcreate(8) and lvremove(8) for what a check needs."""

from __future__ import annotations

from dataclasses import replace

from tastyops.practice.calls import Call, Commands
from tastyops.practice.files import NotModelled
from tastyops.practice.mounts import Mounts
from tastyops.practice.volumes import Volume, Volumes


class Snapshots:
    """The programs."""

    def __init__(self, volumes: Volumes, mounts: Mounts) -> None:
        self._volumes, self._mounts = volumes, mounts

    def commands(self) -> Commands:
        """The programs."""
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
            call.complain(f"  Volume group \"{of.group}\" has insufficient free space")
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
