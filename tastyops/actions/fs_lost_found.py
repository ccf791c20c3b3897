"""``fs.lost_found``: what a repair found without a name."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.domain.storage.filesystem import locate
from tastyops.domain.storage.sizes import format_size
from tastyops.errors import Failed
from tastyops.facts.filesystems import LostFile, lost_found
from tastyops.model.action import Facts
from tastyops.model.commands import Probe, Steps

MOST_NAMES = 1000


@dataclass(frozen=True, kw_only=True)
class FsLostFound:
    """The parameters of ``fs.lost_found``."""

    filesystem: str = param("text", "Where it is mounted")


@action(
    "fs.lost_found",
    scalar="filesystem",
    returns={
        "device": "device",
        "count": "count",
        "directories": "count",
        "bytes": "size",
        "size": "word",
        "owners": "private",
        "names": "private",
    },
    sentence="{{ count }} disconnected file(s) in lost+found of {{ device }}, {{ size }} in all.",
)
def fs_lost_found(params: FsLostFound, facts: Facts) -> Steps:
    """List lost+found; the log may have the number and size of files, never owners and names."""
    found = yield from locate(params.filesystem)
    here = [mount for mount in found.mounts if mount.root == "/"]
    if not here:
        raise Failed(
            "the filesystem is not mounted, so its lost+found cannot be read; mount it first"
        )
    target = found.target if found.target in {mount.target for mount in here} else here[0].target
    lost: tuple[LostFile, ...] = yield Probe(*lost_found(target), sudo=True)
    files = [each for each in lost if each.kind != "d"]
    size = sum(each.size for each in files)
    owners = sorted({each.owner for each in lost})
    return {
        "device": found.device,
        "count": len(files),
        "directories": len(lost) - len(files),
        "bytes": size,
        "size": format_size(size),
        "owners": owners,
        "names": [each.name for each in lost[:MOST_NAMES]],
    }
