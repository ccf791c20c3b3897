"""``fs.bind_readonly``: show a directory at a second place, where nobody can write."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tastyops.actions import action, param, require
from tastyops.domain.storage.filesystem import checked_path
from tastyops.errors import CannotKnow, Failed, Refused
from tastyops.facts.filesystems import FSTAB, MOUNTS, FstabEntry, Mount, directories
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Command, Output, Probe, Steps, Unknown, unknown_step

FSTAB_FILE = "/etc/fstab"
WRITE_TEST = ".tastyops-write-test"


@dataclass(frozen=True, kw_only=True)
class FsBindReadonly:
    """The parameters of ``fs.bind_readonly``."""

    source: str = param("text", "The directory to mount")
    target: str = param("text", "Where to mount the directory read-only")


@action(
    "fs.bind_readonly",
    returns={"changed": "flag", "source": "private", "target": "private"},
    sentence="Read-only bind mount set up, and verified by a write that was refused.",
    already="Read-only bind mount is there; a write to it was refused.",
)
def fs_bind_readonly(params: FsBindReadonly, facts: Facts) -> Steps:
    """Mount a directory read-only at a second place, permanently; undone if a write succeeds."""
    source, target = checked_path(params.source), checked_path(params.target)
    registered = {"source": source, "target": target}
    mounts: tuple[Mount, ...] = yield Probe(*MOUNTS)
    entries: tuple[FstabEntry, ...] = yield Probe(*FSTAB)
    mounted, recorded = _guarded(source, target, mounts, entries)
    if mounted and recorded:
        return {**registered, "changed": False}
    yield from _need_directories(source, target)
    if not recorded:
        yield from _record(_line(source, target))
    done = None
    if not mounted:
        done = yield Change(("mount", target), sudo=True)
    if isinstance(done, Output) and not done.ok:
        yield from _undone(source, target, mounted=False, recorded=not recorded)
        raise Failed("the bind mount failed; fstab is unchanged", {"status": done.status})
    yield from _verified(source, target, ours=not mounted, recorded=not recorded)
    return {**registered, "changed": True}


def _guarded(
    source: str, target: str, mounts: tuple[Mount, ...], entries: tuple[FstabEntry, ...]
) -> tuple[bool, bool]:
    """Whether it is mounted so already, and in fstab. Raises Refused for anything else there."""
    if target in ("/", source) or source.startswith(f"{target}/"):
        raise Refused("the target would hide the source, or the whole system")
    here = [mount for mount in mounts if mount.target == target]
    mounted = bool(here) and here[-1].read_only and _shows(here[-1], source, mounts)
    if here and not mounted:
        raise Refused(f"something else is mounted at {target} already")
    wanted = [entry for entry in entries if entry.target == target]
    recorded = bool(wanted) and wanted[0].source == source and {"bind", "ro"} <= {
        *wanted[0].options
    }
    if wanted and not recorded:
        raise Refused(f"fstab has another entry for {target} already")
    return mounted, recorded


def _shows(mount: Mount, source: str, mounts: tuple[Mount, ...]) -> bool:
    """Whether a bind mount shows that directory: the same device, and the same part of it."""
    under = [m for m in mounts if m.target == "/" or f"{source}/".startswith(f"{m.target}/")]
    if not under:
        return False
    home = max(under, key=lambda m: len(m.target))
    inside = source.removeprefix(home.target.rstrip("/"))
    return mount.device == home.device and mount.root == (home.root.rstrip("/") + inside or "/")


def _need_directories(*paths: str) -> Generator[Command, Any, None]:
    found: tuple[str, ...] = yield Probe(*directories(*paths), sudo=True)
    missing = [path for path in paths if path not in found]
    if missing:
        raise Refused(f"{missing[0]} is not a directory")


def _line(source: str, target: str) -> str:
    return f"{source} {target} none bind,ro 0 0"


def _record(line: str) -> Generator[Command, Any, None]:
    """Appends a line to fstab; after a last line without its newline too."""
    text = f"\n{line}\n".encode()
    written = yield Change(("tee", "--append", FSTAB_FILE), stdin=text, sudo=True)
    require(written, "fstab could not be written")
    read = yield Change(("systemctl", "daemon-reload"), sudo=True)
    require(read, "systemd could not be told of the new fstab")


def _verified(
    source: str, target: str, *, ours: bool, recorded: bool
) -> Generator[Command, Any, None]:
    """By what findmnt says and by a write that must be refused. Raises Failed, all undone."""
    test = f"{target}/{WRITE_TEST}"
    tried: Output | Unknown = yield Change(("mkdir", test), sudo=True)
    if isinstance(tried, Unknown):
        raise CannotKnow(unknown_step(tried))
    mounts: tuple[Mount, ...] = yield Probe(*MOUNTS)
    here = [mount for mount in mounts if mount.target == target]
    shown = bool(here) and here[-1].read_only and _shows(here[-1], source, mounts)
    refused = not tried.ok and "Read-only file system" in tried.error_excerpt
    if shown and refused:
        return
    if tried.ok:
        yield Change(("rmdir", test), sudo=True)
    yield from _undone(source, target, mounted=ours and bool(here), recorded=recorded)
    why = "a write there was not refused" if not refused else "findmnt does not show it so"
    raise Failed(f"{why}; what was set up is undone, and nothing is mounted there by this step")


def _undone(
    source: str, target: str, *, mounted: bool, recorded: bool
) -> Generator[Command, Any, None]:
    """Takes back what this step did, and nothing else."""
    if mounted:
        gone = yield Change(("umount", target), sudo=True)
        require(gone, "it is not read-only, and it could not be unmounted again")
    if recorded:
        pattern = _line(source, target).replace(".", r"\.")
        # sed writes a new file and renames it (sed(1), --in-place).
        erased = yield Change(("sed", "--in-place", rf"\|^{pattern}$|d", FSTAB_FILE), sudo=True)
        require(erased, "it is not read-only, and its line could not be taken out of fstab")
        yield Change(("systemctl", "daemon-reload"), sudo=True)
