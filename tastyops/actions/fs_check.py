"""``fs.check``: is a filesystem sound? Nothing is written."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tastyops.actions import action, param
from tastyops.domain.storage.checking import CLEAN, DIRTY_LOG, Verdict, check_command, judged
from tastyops.domain.storage.filesystem import Filesystem, locate, need_known
from tastyops.domain.storage.replaying import replay, replayed
from tastyops.domain.storage.sizes import parse_size
from tastyops.domain.storage.volume import extents, need_room, volume_of
from tastyops.errors import CannotKnow, Failed, Refused, Stopped
from tastyops.facts.lvm import VOLUMES, Volume
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Command, Output, Probe, Steps, Unknown, unknown_step


@dataclass(frozen=True, kw_only=True)
class FsCheck:
    """The parameters of ``fs.check``."""

    filesystem: str = param("text", "The filesystem: its mount point or its device")
    clean: bool = param("boolean", "Fail the step unless the filesystem is clean", False)
    replay: bool = param("boolean", "Mount and unmount it first if its log must be replayed", False)
    snapshot: str | None = param(
        "text", "Check a snapshot of this size, such as 200M, of a filesystem in use", None
    )


@action(
    "fs.check",
    scalar="filesystem",
    returns={
        "device": "device",
        "state": "word",
        "errors": "count",
        "disconnected": "count",
        "messages": "private",
        "truncated": "flag",
    },
    sentence="{{ device }} checked: {{ 'no errors' if state == 'clean' else"
    " 'its log was not replayed' if state == 'dirty_log' else 'errors found' }}.",
)
def fs_check(params: FsCheck, facts: Facts) -> Steps:
    """Check a filesystem without writing to it (xfs_repair -n, e2fsck -n -f)."""
    found = yield from locate(params.filesystem)
    need_known(found)
    if params.snapshot:
        verdict = yield from _on_snapshot(found, params.snapshot)
    else:
        if mount := found.writable:
            raise Refused(
                f"it is mounted read-write at {mount.target}: a check of a filesystem"
                " in use means nothing. Unmount it, remount it read-only, or give `snapshot:`"
            )
        verdict = yield from _checked(found.device, found.fstype)
        if verdict.state == DIRTY_LOG and params.replay and not found.mounts:
            yield from replayed(found.device)
            verdict = yield from _checked(found.device, found.fstype)
    registered = {
        "device": found.device,
        "state": verdict.state,
        "errors": verdict.errors,
        "disconnected": verdict.disconnected,
        "messages": list(verdict.messages[:200]),
        "truncated": verdict.truncated,
    }
    if params.clean and verdict.state != CLEAN:
        raise Failed(_not_clean(verdict), registered)
    return registered


def _not_clean(verdict: Verdict) -> str:
    if verdict.state == DIRTY_LOG:
        return (
            "its log has not been replayed, so a check can only guess; `replay: true` mounts and"
            " unmounts it first"
        )
    least = "at least " if verdict.truncated else ""
    return f"it is damaged: {least}{verdict.errors} error(s) found"


def _checked(device: str, fstype: str) -> Generator[Command, Any, Verdict]:
    """A change, though it writes nothing: it may take hours, and its fate is kept on the host."""
    output: Output | Unknown = yield Change(check_command(device, fstype), sudo=True)
    if isinstance(output, Unknown):
        raise CannotKnow(unknown_step(output))
    return judged(fstype, output)


def _on_snapshot(found: Filesystem, size: str) -> Generator[Command, Any, Verdict]:
    volume, group = yield from volume_of(found.device)
    wanted = extents(parse_size(size), group)
    need_room(wanted, group)
    name = f"{volume.name}_tastyops_check"
    others: tuple[Volume, ...] = yield Probe(*VOLUMES, sudo=True)
    if any((other.group, other.name) == (volume.group, name) for other in others):
        raise Refused(f"there is a volume {name} already; look at it, then remove it")
    made: Output | Unknown = yield Change(
        ("lvcreate", "--snapshot", "--extents", str(wanted), "--name", name, volume.path),
        sudo=True,
    )
    if not isinstance(made, Unknown) and not made.ok:
        raise Failed("the snapshot could not be created", {"status": made.status})
    path = f"/dev/{volume.group}/{name}"
    remove = Change(("lvremove", "--yes", path), sudo=True)
    try:
        verdict = yield from _of_snapshot(path, found.fstype)
    except (Failed, Stopped):
        yield remove
        raise
    gone: Output | Unknown = yield remove
    if not isinstance(gone, Unknown) and not gone.ok:
        raise Failed(f"the snapshot {path} could not be removed: it is still there")
    if isinstance(verdict, Unknown):
        raise CannotKnow(unknown_step(verdict))
    return verdict


def _of_snapshot(path: str, fstype: str) -> Generator[Command, Any, Verdict | Unknown]:
    """A snapshot of a filesystem in use has its log to be replayed first, in the snapshot."""
    ended = yield from replay(path, *(["nouuid"] if fstype == "xfs" else []))
    if not isinstance(ended, Unknown) and not ended.ok:
        raise Failed("the snapshot does not mount, so its log cannot be replayed")
    output: Output | Unknown = yield Change(check_command(path, fstype), sudo=True)
    if isinstance(output, Unknown):
        return output
    volumes: tuple[Volume, ...] = yield Probe(*VOLUMES, sudo=True)
    if any(volume.path == path and volume.invalid for volume in volumes):
        raise Failed(
            "the snapshot ran out of room; give `snapshot` a larger size, or check when less is"
            " written"
        )
    return judged(fstype, output)
