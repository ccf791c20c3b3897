"""Arrays of the kernel's md driver, read from /sys/block/md*/md: never mdadm's word for it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tastyops.errors import ProbeFailed
from tastyops.facts.readings import Answer, Parsers, Reading, need_ok

_ARRAY_FILES = (
    "level", "metadata_version", "uuid", "raid_disks", "degraded", "array_state", "sync_action",
    "sync_completed", "sync_speed", "resync_start", "component_size", "bitmap/location",
)  # fmt: skip
_MEMBER_FILES = ("state", "slot", "bad_blocks")
_GLOBS = (
    *(f"md*/md/{name}" for name in _ARRAY_FILES),
    *(f"md*/md/dev-*/{name}" for name in _MEMBER_FILES),
)

ARRAYS = Reading(
    ("sh", "-c", f'cd /sys/block || exit 1; grep -sH "" {" ".join(_GLOBS)}; exit 0'), "arrays"
)
"""Every file at once, as ``file:content``; Linux' Documentation/admin-guide/md.rst tells what each
means. A file that is not there (no array, an inactive one, an older kernel) is left out."""

_LINE = re.compile(
    r"(?P<array>md[A-Za-z0-9_.+-]*)/md/(?:dev-(?P<member>[A-Za-z0-9_.:!+-]+)/)?"
    r"(?P<file>[a-z_/]+):(?P<value>.*)"
)
_COMPLETED = re.compile(r"([0-9]{1,18}) / ([0-9]{1,18})")
_WORD = re.compile(r"[a-z0-9_-]{0,32}")
_METADATA = re.compile(r"none|[0-9]\.[0-9]{1,2}|external:[A-Za-z0-9/_-]{1,64}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Member:
    """One device of an array; ``device`` is the kernel's name, such as ``sda1``.

    ``state`` has the kernel's words: ``in_sync faulty spare write_error want_replacement
    replacement write_mostly blocked journal …``. ``slot`` is None for a spare and for one that
    was thrown out. Which disk it is on: ``Disks.whole``.
    """

    device: str
    state: frozenset[str]
    slot: int | None
    bad_blocks: bool = False
    """Whether the member's own list of unreadable blocks has entries."""

    @property
    def in_sync(self) -> bool:
        """Whether all of the array's content can be read from it, as far as the kernel knows."""
        return "in_sync" in self.state and "faulty" not in self.state and self.slot is not None

    @property
    def faulty(self) -> bool:
        """Whether md has thrown it out. It still has to be removed before it can be added."""
        return "faulty" in self.state

    @property
    def path(self) -> str:
        """Its device node."""
        return f"/dev/{self.device.replace('!', '/')}"


@dataclass(frozen=True, slots=True)
class Array:
    """An array as the kernel has it. ``wanted`` is how many members it should have.

    ``state`` is md.rst's array_state (clean, active, read-auto, inactive, broken, …), ``action``
    its sync_action (idle, resync, recover, check, repair, reshape, frozen). ``done`` and ``total``
    are sectors of 512 bytes, 0 while nothing moves; ``speed`` is KiB a second; ``size`` is KiB of
    each member.
    """

    name: str
    level: str
    wanted: int
    degraded: int
    state: str
    action: str = "idle"
    done: int = 0
    total: int = 0
    speed: int = 0
    delayed: bool = False
    """Whether a sync waits for another array's on the same disk (mdstat: DELAYED)."""
    unsynced: bool = False
    """Whether its members were never made equal, or not since a crash (resync_start)."""
    size: int = 0
    metadata: str = ""
    uuid: str = ""
    bitmap: bool = False
    odd: str = ""
    """What of it could not be understood; then its other fields, but the members', tell nothing."""
    members: tuple[Member, ...] = ()

    @property
    def path(self) -> str:
        """Its device node by the kernel's name."""
        return f"/dev/{self.name}"

    @property
    def syncing(self) -> bool:
        """Whether members are being made equal or compared, or wait for their turn to be."""
        return self.action not in ("idle", "frozen") or self.delayed or self.pending

    @property
    def pending(self) -> bool:
        """Whether a re-sync is due and has not begun (mdstat: PENDING; array_state read-auto)."""
        return self.unsynced and self.action in ("idle", "frozen")

    @property
    def waiting(self) -> bool:
        """Whether a sync is due and cannot go on yet, which is no stall."""
        return self.delayed or self.pending

    @property
    def whole(self) -> bool:
        """Whether it runs, is idle, and every member it should have is in sync: all of it."""
        idle = not self.syncing and self.action == "idle"
        return idle and self.degraded == 0 and self.runs

    @property
    def runs(self) -> bool:
        """Whether its content can be used, as far as the kernel says."""
        return not self.odd and self.state not in ("inactive", "broken", "clear")

    @property
    def in_sync(self) -> tuple[Member, ...]:
        """The members all of its content can be read from."""
        return tuple(member for member in self.members if member.in_sync)

    def member(self, device: str) -> Member | None:
        """The member of that kernel name, if it has one."""
        return next((member for member in self.members if member.device == device), None)

    @property
    def out_of_scope(self) -> str:
        """Why tastyops leaves it alone; empty for a RAID1 of md's own metadata."""
        if self.odd:
            return f"{self.path} cannot be read: {self.odd}"
        if self.metadata.startswith("external"):
            return f"{self.path} belongs to a container ({self.metadata}), not to md alone"
        if self.state == "inactive":
            return f"{self.path} is inactive"
        if self.level != "raid1":
            return f"{self.path} is {self.level or 'of no level'}, not raid1"
        return ""


def _arrays(answer: Answer) -> tuple[Array, ...]:
    arrays: dict[str, dict[str, str]] = {}
    members: dict[str, dict[str, dict[str, str]]] = {}
    for line in need_ok(answer).splitlines():
        found = _LINE.fullmatch(line)
        if not found:
            raise ProbeFailed("that is not what sysfs says of arrays")
        name, member = found["array"], found["member"]
        files = arrays.setdefault(name, {})
        if member:
            files = members.setdefault(name, {}).setdefault(member, {})
        files.setdefault(found["file"], found["value"])
    read = tuple(
        _read(name, files, members.get(name, {}))
        for name, files in sorted(arrays.items())
        if files.get("array_state") != "clear"
    )
    if read and all(array.odd for array in read):
        raise ProbeFailed(read[0].odd)
    return read


def _read(name: str, files: dict[str, str], members: dict[str, dict[str, str]]) -> Array:
    """One array. What cannot be understood of it is said of it alone: the others are read."""
    try:
        return _array(name, files, members)
    except ProbeFailed as error:
        known = tuple(Member(device, frozenset(), None) for device in sorted(members))
        return Array(name, "", 0, 0, "unknown", odd=error.why, members=known)


def _array(name: str, files: dict[str, str], members: dict[str, dict[str, str]]) -> Array:
    """Raises ProbeFailed. Only a personality that runs counts what is missing (``degraded``)."""
    runs = files.get("array_state") not in (None, "inactive")
    if "array_state" not in files or (
        runs and files.get("level") == "raid1" and "degraded" not in files
    ):
        raise ProbeFailed(f"the state of {name} is not there")
    completed = files.get("sync_completed", "none")
    moving = _COMPLETED.fullmatch(completed)
    if not moving and completed not in ("none", "delayed"):
        raise ProbeFailed(f"how far {name} is cannot be understood")
    uuid, metadata = files.get("uuid", ""), files.get("metadata_version", "")
    return Array(
        name=name,
        level=_word(files.get("level", "")),
        wanted=_number(files.get("raid_disks", "0")),
        degraded=_number(files.get("degraded", "0")),
        state=_word(files["array_state"]),
        action=_word(files.get("sync_action", "idle")),
        done=int(moving[1]) if moving else 0,
        total=int(moving[2]) if moving else 0,
        speed=0 if files.get("sync_speed") in (None, "none") else _number(files["sync_speed"]),
        delayed=completed == "delayed",
        unsynced=files.get("resync_start", "none") != "none",
        size=_number(files.get("component_size", "0")),
        metadata=metadata if _METADATA.fullmatch(metadata) else "",
        uuid=uuid if _UUID.fullmatch(uuid) else "",
        bitmap=files.get("bitmap/location", "none") != "none",
        members=tuple(_member(device, told) for device, told in sorted(members.items())),
    )


def _member(device: str, files: dict[str, str]) -> Member:
    """One that vanished while it was read has no state, and so is not taken to be in sync."""
    slot = files.get("slot", "none")
    return Member(
        device=device,
        state=frozenset(_word(word) for word in files.get("state", "").split(",") if word),
        slot=None if slot in ("none", "journal") else _number(slot),
        bad_blocks=bool(files.get("bad_blocks", "").strip()),
    )


def _word(text: str) -> str:
    if not _WORD.fullmatch(text):
        raise ProbeFailed("that is no word of md's")
    return text


def _number(text: str) -> int:
    """A number of sysfs; raid_disks and layout have the old one behind it during a reshape."""
    found = re.match(r"([0-9]{1,18})(?: |$)", text)
    if not found:
        raise ProbeFailed("that is not a number of md's")
    return int(found[1])


PARSERS: Parsers = {
    "arrays": _arrays,
}
