"""Filesystems: what is mounted, what fstab says, how full they are, and who uses them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tastyops.errors import ProbeFailed
from tastyops.facts.readings import Answer, Parsers, Reading, as_path, from_json, need_ok

MOUNTS = Reading(
    ("findmnt", "--json", "--list", "--output",
     "TARGET,SOURCE,FSROOT,FSTYPE,VFS-OPTIONS,FS-OPTIONS"),
    "mounts",
)  # fmt: skip
"""findmnt(8). No sizes: asking a dead network filesystem for its size hangs."""

FSTAB = Reading(
    ("findmnt", "--json", "--list", "--fstab", "--evaluate", "--output",
     "TARGET,SOURCE,FSTYPE,OPTIONS"),
    "fstab",
)  # fmt: skip
"""fstab(5), with LABEL= and UUID= resolved to devices."""

XFS_SIZE = re.compile(r"^data\s+=.*?\bbsize=(\d+)\s+blocks=(\d+),", re.MULTILINE)
_EXT_BLOCKS = re.compile(r"^Block count:\s+(\d+)$", re.MULTILINE)
_EXT_BLOCK = re.compile(r"^Block size:\s+(\d+)$", re.MULTILINE)
_PROCESS = re.compile(r"^/proc/(\d{1,9})/(?:cwd|root|exe|fd/)", re.MULTILINE)
_UNIT = re.compile(r"/([A-Za-z0-9:_.@\\-]+\.(?:service|scope|socket))(?:/|$)")


_USAGE = ("--json", "--bytes", "--output", "TARGET,SIZE,USED,AVAIL")


def usage(mountpoint: str) -> Reading:
    """Bytes of one mounted filesystem: in all, used, available to ordinary users."""
    return Reading(("findmnt", *_USAGE, "--mountpoint", mountpoint), "usage")


def usage_around(path: str) -> Reading:
    """The same of the filesystem that a file or directory is on."""
    return Reading(("findmnt", *_USAGE, "--target", path), "usage")


def xfs_size(mountpoint: str) -> Reading:
    """Bytes a mounted XFS spans. xfs_growfs(8): ``-n`` only prints the geometry."""
    return Reading(("xfs_growfs", "-n", mountpoint), "xfs_size")


def ext_size(device: str) -> Reading:
    """Bytes an ext2, 3 or 4 filesystem spans (dumpe2fs(8))."""
    return Reading(("dumpe2fs", "-h", device), "ext_size")


def users(mountpoint: str) -> Reading:
    """Numbers of processes with a directory, a program or an open file there (proc(5))."""
    places = [f"/proc/[0-9]*/{name}" for name in ("cwd", "root", "exe", "fd/*")]
    inside = [word for place in places for word in ("-o", "-path", place)][1:]
    return Reading(
        ("find", "/proc", "-maxdepth", "3", "(", *inside, ")",
         "(", "-lname", mountpoint, "-o", "-lname", f"{mountpoint}/*", ")", "-printf", r"%p\n"),
        "process_numbers",
    )  # fmt: skip


def processes(numbers: tuple[int, ...]) -> Reading:
    """The names of processes and the units they belong to (cgroups(7))."""
    files = [f"/proc/{number}/{name}" for number in numbers for name in ("comm", "cgroup")]
    return Reading(("grep", "-H", "-s", "", *files), "processes")


def directories(*paths: str) -> Reading:
    """Those of the paths that are directories (find(1))."""
    return Reading(("find", *paths, "-maxdepth", "0", "-type", "d"), "lines")


def lost_found(mountpoint: str) -> Reading:
    """Everything in lost+found: kind, bytes, owner and name, NUL after each (find(1))."""
    place = f"{mountpoint.rstrip('/')}/lost+found"
    return Reading(("find", place, "-mindepth", "1", "-printf", r"%y %s %u %P\0"), "lost_found")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted filesystem. ``root`` is the part of it that is seen there, for a bind mount.

    ``options`` are those of this mount, ``super_options`` those of the filesystem itself.
    """

    target: str
    source: str
    root: str
    fstype: str
    options: tuple[str, ...]
    super_options: tuple[str, ...]

    @property
    def device(self) -> str:
        """The source without the ``[/directory]`` of a bind mount."""
        return self.source.partition("[")[0]

    @property
    def writable(self) -> bool:
        """Whether the filesystem itself may be written to, perhaps through another mount."""
        return "ro" not in self.super_options

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written here."""
        return "ro" in self.options or "ro" in self.super_options


@dataclass(frozen=True, slots=True)
class FstabEntry:
    """One line of /etc/fstab."""

    target: str
    source: str
    fstype: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes of a filesystem."""

    size: int
    used: int
    available: int


@dataclass(frozen=True, slots=True)
class Process:
    """A process that uses something; ``unit`` is empty where systemd knows none."""

    number: int
    name: str
    unit: str

    def __str__(self) -> str:
        belongs = f" of {self.unit}" if self.unit else ""
        return f"{self.name} ({self.number}){belongs}"


@dataclass(frozen=True, slots=True)
class LostFile:
    """Something in lost+found. ``kind`` is find's letter: ``f``, ``d``, …; ``size`` bytes."""

    kind: str
    size: int
    owner: str
    name: str


def _rows(answer: Answer, what: str) -> list[dict[str, Any]]:
    data = from_json(answer)
    rows = data.get("filesystems") if isinstance(data, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ProbeFailed(f"that is not {what}")
    return rows


def _options(row: dict[str, Any], column: str) -> tuple[str, ...]:
    return tuple(str(row.get(column) or "").split(","))


def _mounts(answer: Answer) -> tuple[Mount, ...]:
    return tuple(
        Mount(
            target=as_path(str(row.get("target") or "")),
            source=str(row.get("source") or ""),
            root=str(row.get("fsroot") or "/"),
            fstype=str(row.get("fstype") or ""),
            options=_options(row, "vfs-options"),
            super_options=_options(row, "fs-options"),
        )
        for row in _rows(answer, "a list of mounts")
    )


def _fstab(answer: Answer) -> tuple[FstabEntry, ...]:
    if answer.status == 1 and not answer.text.strip():  # an fstab without a line
        return ()
    return tuple(
        FstabEntry(
            target=as_path(str(row.get("target") or "")),
            source=str(row.get("source") or ""),
            fstype=str(row.get("fstype") or ""),
            options=_options(row, "options"),
        )
        for row in _rows(answer, "an fstab")
    )


def _usage(answer: Answer) -> Usage:
    rows = _rows(answer, "the size of a filesystem")
    try:
        row = rows[-1]
        return Usage(int(row["size"]), int(row["used"]), int(row["avail"]))
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise ProbeFailed("that is not the size of a filesystem") from error


def _xfs_size(answer: Answer) -> int:
    found = XFS_SIZE.search(need_ok(answer))
    if not found:
        raise ProbeFailed("that is not the geometry of an XFS filesystem")
    return int(found[1]) * int(found[2])


def _ext_size(answer: Answer) -> int:
    text = need_ok(answer)
    count, size = _EXT_BLOCKS.search(text), _EXT_BLOCK.search(text)
    if not count or not size:
        raise ProbeFailed("that is not the superblock of an ext2, 3 or 4 filesystem")
    return int(count[1]) * int(size[1])


def _process_numbers(answer: Answer) -> tuple[int, ...]:
    # Processes end while they are looked at, and kernel threads have no program: the status tells
    # nothing.
    return tuple(sorted({int(found) for found in _PROCESS.findall(answer.text)}))


def _processes(answer: Answer) -> tuple[Process, ...]:
    names: dict[int, str] = {}
    units: dict[int, str] = {}
    for found in re.finditer(r"^/proc/(\d{1,9})/(comm|cgroup):(.*)$", answer.text, re.MULTILINE):
        number, kind, said = int(found[1]), found[2], found[3]
        if kind == "comm":
            names[number] = said
        elif unit := _UNIT.findall(said):
            units[number] = unit[-1]
    return tuple(Process(number, name, units.get(number, "")) for number, name in names.items())


def _lost_found(answer: Answer) -> tuple[LostFile, ...]:
    if answer.status == 1 and "No such file or directory" in answer.error_text:
        return ()  # XFS has none until a repair needs it
    found = []
    for record in need_ok(answer).split("\0")[:-1]:
        kind, _, rest = record.partition(" ")
        size, _, rest = rest.partition(" ")
        owner, _, name = rest.partition(" ")
        if not size.isdigit():
            raise ProbeFailed("that is not a list of files")
        found.append(LostFile(kind, int(size), owner, name))
    return tuple(found)


PARSERS: Parsers = {
    "lost_found": _lost_found,
    "mounts": _mounts,
    "fstab": _fstab,
    "usage": _usage,
    "xfs_size": _xfs_size,
    "ext_size": _ext_size,
    "process_numbers": _process_numbers,
    "processes": _processes,
}
