"""What xfs_repair and e2fsck say of a filesystem: their statuses, and what they found."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from tastyops.domain.storage.filesystem import Filesystem
from tastyops.errors import Failed
from tastyops.model.commands import Output

CLEAN, DAMAGED, DIRTY_LOG = "clean", "damaged", "dirty_log"

_XFS_PROGRESS = re.compile(
    r"Phase \d|\s*- |done$|No modify flag set|Repair of readonly mount complete|\s*$"
)
_XFS_DIRTY = re.compile(r"valuable metadata changes in a log which", re.MULTILINE)
_XFS_FATAL = re.compile(r"fatal error --|: cannot open |could(?: no|n'?)t (?:open|initialize)")
_XFS_CANNOT = {
    "the program is older than the filesystem, a newer xfs_repair is needed": re.compile(
        r"unknown compat/rocompat/incompat features|nsupported filesystem features"
        r"|more recent xfs_repair|newer XFS filesystem|features not understood by this program"
    ),
    "its log or realtime data is on another device, which has to be named": re.compile(
        r"has an external log|has a real-?time (?:sub)?(?:volume|section)"
        r"|[Ss]pecify (?:log|rt|realtime) device"
    ),
    "there is not enough memory for it": re.compile(
        r"[Oo]ut of memory|[Cc]annot allocate memory|(?:malloc|calloc|alloc\w*) failed"
        r"|couldn'?t (?:malloc|allocate)"
    ),
    "the device cannot be read": re.compile(r"Input/output error|read failed:"),
}
"""Reasons for which xfs_repair gives up, and what it says then. None is a finding."""

_EXT_TOO_OLD = re.compile(r"[Gg]et a newer version of e2fsck|has unsupported feature")

_XFS_MOVED = re.compile(
    r"^disconnected (?:dir )?inode \d+, (?:would move|moving) to ", re.MULTILINE
)
_EXT_ANSWER = re.compile(r"\? (?:yes|no|cancelled!)\s*$", re.MULTILINE)
_EXT_MOVED = re.compile(r"^Connect to /lost\+found\? ", re.MULTILINE)
_EXT_JOURNAL = re.compile(r"skipping journal recovery")

E2FSCK_CORRECTED, E2FSCK_REBOOT, E2FSCK_LEFT = 1, 2, 4
"""Bits of its status (e2fsck(8)); anything higher is an error of its own."""

XFS_REPAIRED = 4
"""The status of ``xfs_repair -e`` that repaired something (xfs_repair(8))."""
XFS_DIRTY_LOG = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """``state``: clean, damaged, or dirty_log for a log that has not been replayed.

    ``errors`` counts what was found wrong, ``disconnected`` inodes without a directory entry;
    ``messages`` are the program's own words, which are private. ``truncated``: more was printed
    than is read, so both numbers are the least there can be.
    """

    state: str
    errors: int
    disconnected: int
    messages: tuple[str, ...]
    truncated: bool = False


def check_command(device: str, fstype: str) -> tuple[str, ...]:
    """The command that checks and writes nothing."""
    if fstype == "xfs":
        return ("xfs_repair", "-n", device)
    return ("e2fsck", "-n", "-f", device)


def repair_command(found: Filesystem, *options: str) -> tuple[str, ...]:
    """The command that repairs. ``-e`` has xfs_repair say whether it repaired anything."""
    if found.fstype == "xfs":
        return ("xfs_repair", "-e", *options, found.device)
    return ("e2fsck", "-f", "-y", *options, found.device)


def judged(fstype: str, output: Output) -> Verdict:
    """What a check found. Raises Failed when the program could not do its work."""
    _need_finished(output)
    verdict = _xfs_judged(output) if fstype == "xfs" else _ext_judged(output)
    return replace(verdict, truncated=output.truncated)


def _xfs_judged(output: Output) -> Verdict:
    """``-n``: 1 where anything is wrong, and after its own errors; 0 where nothing is."""
    said = _messages(output)
    if output.status:
        for why, says in _XFS_CANNOT.items():
            if says.search(said):
                raise Failed(
                    f"xfs_repair cannot judge it: {why}. Nothing is known of its state",
                    {"status": output.status},
                )
    if output.status not in (0, 1) or _XFS_FATAL.search(said) or "Phase 1" not in said:
        raise Failed("xfs_repair could not check it", {"status": output.status})
    messages = xfs_messages(said)
    found = len(_XFS_MOVED.findall(said))
    if _XFS_DIRTY.search(said):
        return Verdict(DIRTY_LOG, len(messages), found, messages)
    state = DAMAGED if output.status else CLEAN
    return Verdict(state, max(len(messages), output.status), found, messages)


def _ext_judged(output: Output) -> Verdict:
    said = _messages(output)
    if output.status & ~(E2FSCK_CORRECTED | E2FSCK_REBOOT | E2FSCK_LEFT):
        if _EXT_TOO_OLD.search(said):
            raise Failed(
                "e2fsck cannot judge it: the program is older than the filesystem, a newer e2fsck"
                " is needed. Nothing is known of its state",
                {"status": output.status},
            )
        raise Failed("e2fsck could not check it", {"status": output.status})
    messages, found = ext_messages(said), len(_EXT_MOVED.findall(said))
    if _EXT_JOURNAL.search(said):
        return Verdict(DIRTY_LOG, len(messages), found, messages)
    if output.status & E2FSCK_LEFT:
        return Verdict(DAMAGED, max(1, len(messages)), found, messages)
    return Verdict(CLEAN, 0, 0, messages)


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair did: ``errors`` corrected, inodes ``moved`` to lost+found.

    ``truncated`` as in ``Verdict``.
    """

    changed: bool
    errors: int
    moved: int
    messages: tuple[str, ...]
    truncated: bool = False


def repaired(fstype: str, output: Output) -> Repair | None:
    """What a repair did; None when an XFS log must be replayed first. Raises Failed."""
    _need_finished(output)
    said = _messages(output)
    if fstype != "xfs":
        return _ext_repaired(output, said)
    if output.status == XFS_DIRTY_LOG:
        return None
    messages = xfs_messages(said)
    if output.status not in (0, XFS_REPAIRED):
        raise Failed("xfs_repair did not finish", {"status": output.status})
    changed, moved = output.status == XFS_REPAIRED, len(_XFS_MOVED.findall(said))
    return Repair(changed, len(messages), moved, messages, output.truncated)


def _ext_repaired(output: Output, said: str) -> Repair:
    messages = ext_messages(said)
    if output.status & ~(E2FSCK_CORRECTED | E2FSCK_REBOOT):
        raise Failed(
            "e2fsck left errors uncorrected, or did not finish",
            {"status": output.status, "errors": len(messages)},
        )
    moved = len(_EXT_MOVED.findall(said))
    return Repair(output.status != 0, len(messages), moved, messages, output.truncated)


def xfs_messages(said: str) -> tuple[str, ...]:
    """The lines of xfs_repair that are neither progress nor its words on the log."""
    lines = re.sub(r"^(?:ALERT|ERROR): The filesystem has.*?(?=^\s+- |^Phase|\Z)", "", said,
                   flags=re.MULTILINE | re.DOTALL).splitlines()  # fmt: skip
    return tuple(line for line in lines if not _XFS_PROGRESS.match(line))


def ext_messages(said: str) -> tuple[str, ...]:
    """The lines of e2fsck that ask, each with the answer it was given."""
    return tuple(line for line in said.splitlines() if _EXT_ANSWER.search(line))


def _messages(output: Output) -> str:
    """Both streams. Both programs name a dirty log at the beginning and a fatal error at the end,
    which an excerpt has.
    """
    return f"{output.excerpt}\n{output.error_excerpt}"


def _need_finished(output: Output) -> None:
    if output.stopped:
        raise Failed("it was stopped")
    if output.timed_out:
        raise Failed("the command ran into its timeout and was stopped")
