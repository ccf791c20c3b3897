"""``fs.remount``: make a mounted filesystem read-only, or writable again."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param, require
from tastyops.domain.storage.filesystem import checked_path, describe_users, using
from tastyops.errors import Failed
from tastyops.facts.filesystems import MOUNTS, Mount
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Output, Probe, Steps, Unknown

READ_ONLY, READ_WRITE = "read-only", "read-write"


@dataclass(frozen=True, kw_only=True)
class FsRemount:
    """The parameters of ``fs.remount``."""

    filesystem: str = param("text", "Where it is mounted")
    mode: str = param("text", "How to mount it", choices=(READ_ONLY, READ_WRITE))


@action(
    "fs.remount",
    returns={"device": "device", "mode": "word", "changed": "flag"},
    sentence="{{ device }} remounted {{ mode }}.",
    already="{{ device }} is mounted {{ mode }}.",
)
def fs_remount(params: FsRemount, facts: Facts) -> Steps:
    """Remount a filesystem read-only or read-write."""
    target = checked_path(params.filesystem)
    looking = Probe(*MOUNTS)
    before = _at(target, (yield looking))
    wanted = params.mode == READ_ONLY
    registered = {"device": before.device, "mode": params.mode}
    if _read_only(before) == wanted:
        return {**registered, "changed": False}
    word = "ro" if wanted else "rw"
    done: Output | Unknown = yield Change(("mount", "-o", f"remount,{word}", target), sudo=True)
    if wanted and not isinstance(done, Unknown) and not done.ok:
        users = yield from using(target)
        who = (
            f": {describe_users(users)} use it" if users and not isinstance(users, Unknown) else ""
        )
        raise Failed(f"the filesystem cannot be remounted read-only{who}", {"status": done.status})
    require(done, f"it cannot be remounted {params.mode}")
    after = _at(target, (yield looking))
    if _read_only(after) != wanted:
        raise Failed(f"the filesystem is still not {params.mode}, although mount reported success")
    return {**registered, "changed": True}


def _at(target: str, mounts: tuple[Mount, ...]) -> Mount:
    here = [mount for mount in mounts if mount.target == target]
    if not here:
        raise Failed(f"nothing is mounted at {target}")
    return here[-1]


def _read_only(mount: Mount) -> bool:
    """A bind mount is read-only by its own options, the filesystem itself by its own."""
    return mount.read_only if mount.root != "/" else not mount.writable
