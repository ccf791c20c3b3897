"""What the actions that repair have in common: their guard, and what they leave behind."""

from __future__ import annotations

from typing import Any

from tastyops.domain.storage.checking import Repair
from tastyops.domain.storage.filesystem import Filesystem
from tastyops.errors import Refused

REGISTERED = {
    "device": "device",
    "errors": "count",
    "moved": "count",
    "changed": "flag",
    "messages": "private",
    "truncated": "flag",
}
"""The fields a repair registers, by kind."""

COUNTED = (
    "{{ 'at least ' if truncated else '' }}{{ errors }} error(s) corrected,"
    " {{ 'at least ' if truncated else '' }}{{ moved }} disconnected inode(s) moved to lost+found."
)
"""The end of the sentence of a repair."""


def need_unmounted(found: Filesystem) -> None:
    """Raises Refused for a filesystem that is mounted anywhere, whatever `force` says."""
    if found.is_root:
        raise Refused("this is the root filesystem; use `fs.repair_root`")
    if mount := found.writable:
        raise Refused(
            f"it is mounted read-write at {mount.target}: repairing it would destroy it."
            " Unmount it first"
        )
    if found.mounts:
        raise Refused(
            f"it is mounted at {found.mounts[0].target}: the kernel would go on with what it"
            " remembers of it. Unmount it first"
        )


def registered(found: Filesystem, done: Repair) -> dict[str, Any]:
    """What a repair leaves for later steps."""
    return {
        "device": found.device,
        "errors": done.errors,
        "moved": done.moved,
        "changed": done.changed,
        "messages": list(done.messages[:200]),
        "truncated": done.truncated,
    }
