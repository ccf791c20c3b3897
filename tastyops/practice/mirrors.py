"""Mirrors (md RAID 1) of the modelled machine, and mdadm(8).

A re-sync runs on the practice clock, one at a time for each disk, as the kernel does: the others
of the same disks wait (DELAYED).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tastyops.practice.calls import Call, Commands
from tastyops.practice.clock import PracticeClock
from tastyops.practice.disks import Disk, Disks, Partition
from tastyops.practice.files import Files, NotModelled

RATE_KIB = 18 * 1024
"""KiB a second that a re-sync copies, as kalimdor's disks did on February 9th 2008."""


@dataclass
class Leg:
    """A member of a mirror. ``slot`` is None for a spare and for a faulty member."""

    device: str
    slot: int | None
    state: str = "in_sync"
    """in_sync, spare (waiting or being rebuilt) or faulty."""


@dataclass
class Mirror:
    """A RAID 1 array. ``size`` in KiB; ``copied`` is the progress of a re-sync in KiB."""

    name: str
    uuid: str
    size: int
    metadata: str
    wanted: int
    legs: list[Leg]
    bitmap: bool = False
    copied: float | None = None
    since: float = 0.0
    delayed: bool = False
    known_as: str = ""
    """Name in the superblock, such as ``kalimdor:7``."""
    beneath: str = ""
    """The filesystem that begins where a member does: metadata 1.0 stands at the end."""
    events: int = field(default=4711)

    @property
    def path(self) -> str:
        """Device node."""
        return f"/dev/{self.name}"

    @property
    def definition(self) -> str:
        """Its line for mdadm.conf, as ``mdadm --detail --scan`` writes it."""
        start = f"ARRAY {self.path} metadata={self.metadata} name={self.known_as}"
        return f"{start} UUID={self.digits}"

    @property
    def digits(self) -> str:
        """Its UUID as mdadm writes it."""
        digits = self.uuid.replace("-", "")
        return ":".join(digits[at : at + 8] for at in range(0, 32, 8))

    @property
    def in_sync(self) -> list[Leg]:
        """Members with all of the data."""
        return [leg for leg in self.legs if leg.state == "in_sync" and leg.slot is not None]

    @property
    def degraded(self) -> int:
        """Number of members that are missing."""
        return self.wanted - len(self.in_sync)

    def leg(self, device: str) -> Leg | None:
        """The member on a partition such as ``sda1``."""
        return next((leg for leg in self.legs if leg.device == device), None)

    def free_slots(self) -> list[int]:
        """Slots without a member."""
        taken = {leg.slot for leg in self.legs if leg.state != "faulty"}
        return [slot for slot in range(self.wanted) if slot not in taken]


class Mirrors:
    """The assembled arrays; ``catch_up`` advances re-syncs to the present time."""

    def __init__(self, clock: PracticeClock, disks: Disks, mirrors: list[Mirror]) -> None:
        self._clock = clock
        self._disks = disks
        self.all = mirrors
        self.stopped: list[Mirror] = []
        """Arrays on the disks that are not assembled."""

    def __iter__(self) -> Iterator[Mirror]:
        self.catch_up()
        return iter(self.all)

    def find(self, word: str) -> Mirror | None:
        """An array by device node or name."""
        self.catch_up()
        return next((m for m in self.all if word in (m.path, m.name, f"/dev/md/{m.name}")), None)

    def holding(self, device: str) -> Mirror | None:
        """The array a partition is a member of."""
        return next((mirror for mirror in self.all if mirror.leg(device)), None)

    def catch_up(self) -> None:
        """Advances every re-sync to the present time, and starts those that waited."""
        now = self._clock.time()
        for mirror in self.all:
            if mirror.copied is not None and not mirror.delayed:
                mirror.copied += (now - mirror.since) * RATE_KIB
                if mirror.copied >= mirror.size:
                    self._synced(mirror)
            mirror.since = now
        self.begin()

    def _synced(self, mirror: Mirror) -> None:
        mirror.copied, mirror.delayed = None, False
        for leg in mirror.legs:
            if leg.slot is not None and leg.state == "spare":
                leg.state = "in_sync"

    def begin(self) -> None:
        """Gives free slots to spares, and runs one re-sync for each disk."""
        busy: set[str] = set()
        for mirror in self.all:
            for leg in mirror.legs:
                slots = mirror.free_slots()
                if leg.state == "spare" and leg.slot is None and slots and mirror.in_sync:
                    leg.slot = slots[0]
                    mirror.copied = 0.0 if mirror.copied is None else mirror.copied
            if mirror.copied is not None and not self._rebuilding(mirror):
                mirror.copied = None
            if mirror.copied is not None:
                disks = self._disks_of(mirror)
                mirror.delayed = bool(busy & disks)
                busy |= disks

    @staticmethod
    def _rebuilding(mirror: Mirror) -> list[Leg]:
        return [leg for leg in mirror.legs if leg.state == "spare" and leg.slot is not None]

    def _disks_of(self, mirror: Mirror) -> set[str]:
        return {leg.device.rstrip("0123456789") for leg in mirror.legs if leg.slot is not None}

    def throw_out(self, disk: Disk) -> None:
        """Marks a failed disk's members faulty; md keeps the last member of a mirror."""
        for mirror in self:
            for leg in mirror.legs:
                if leg.device.startswith(disk.name) and mirror.in_sync != [leg]:
                    leg.state, leg.slot = "faulty", None

    def assemble(self, wanted: Callable[[Mirror], bool]) -> list[Mirror]:
        """Assembles the stopped arrays that ``wanted`` accepts, and gives them."""
        found = [mirror for mirror in self.stopped if wanted(mirror)]
        self.stopped = [mirror for mirror in self.stopped if mirror not in found]
        self.all = sorted([*self.all, *found], key=lambda mirror: mirror.name)
        return found

    def reassemble(self, known: Callable[[Mirror], bool] = lambda _: True) -> None:
        """Reassembles the arrays from their superblocks, as a boot does; faulty members stay out.

        Arrays that are not ``known`` stay stopped.
        """
        self.assemble(lambda _: True)
        self.stopped = [mirror for mirror in self.all if not known(mirror)]
        self.all = [mirror for mirror in self.all if known(mirror)]
        for mirror in self.all:
            mirror.legs = [
                leg
                for leg in mirror.legs
                if leg.state != "faulty" and self._disks.find(leg.device) is not None
            ]
        self.catch_up()


MEMBER = "linux_raid_member"

_SHORT = {"-f": "--fail", "-r": "--remove", "-a": "--add", "-G": "--grow", "-S": "--stop"}


class Mdadm:
    """mdadm(8); ``changed`` is called after every command that changes an array."""

    def __init__(
        self, files: Files, disks: Disks, mirrors: Mirrors, changed: Callable[[], None]
    ) -> None:
        self._files = files
        self._disks, self._mirrors, self._changed = disks, mirrors, changed

    def commands(self) -> Commands:
        """The program by name."""
        return {"mdadm": self._mdadm}

    def _mdadm(self, call: Call) -> int:
        words = [_SHORT.get(word, word) for word in call.argv[1:]]
        words = [word for word in words if word not in ("--quiet", "-q", "--run", "--manage")]
        match words:
            case ["--detail", "--scan"]:
                return self._scan(call, [])
            case ["--examine", "--scan"]:
                return self._scan(call, self._mirrors.stopped)
            case ["--assemble", "--scan", option] if option.startswith("--config="):
                return self._assemble(call, option.partition("=")[2])
            case ["--zero-superblock", device]:
                return self._zero(call, device)
            case ["--grow", array, "--raid-devices", count]:
                return self._grow(call, array, count)
            case ["--grow", array, word] if word.startswith("--raid-devices="):
                return self._grow(call, array, word.partition("=")[2])
            case ["--create", *rest]:
                return self._create(call, rest)
            case [array, verb, device] if verb in _MANAGED:
                return self._manage(call, array, verb, device)
            case _:
                raise NotModelled(" ".join(call.argv))

    def _scan(self, call: Call, more: list[Mirror]) -> int:
        for mirror in sorted([*self._mirrors, *more], key=lambda each: each.name):
            call.say(mirror.definition)
        return 0

    def _assemble(self, call: Call, config: str) -> int:
        text = self._files.text(call.path(config))
        found = self._mirrors.assemble(lambda mirror: mirror.digits in text)
        self._changed()
        for mirror in found:
            count = f"{len(mirror.in_sync)} drive{'s' if len(mirror.in_sync) != 1 else ''}"
            call.complain(f"mdadm: {mirror.path} has been started with {count}.")
        if not found:
            call.complain("mdadm: No arrays found in config file or automatically")
        return 0 if found else 1

    # -- members -----------------------------------------------------------------------------

    def _manage(self, call: Call, array: str, verb: str, device: str) -> int:
        mirror = self._mirrors.find(array)
        if mirror is None:
            call.complain(f"mdadm: error opening {array}: No such file or directory")
            return 1
        why = getattr(self, _MANAGED[verb])(mirror, device)
        if why:
            call.complain(f"mdadm: {why}")
            return 1
        self._mirrors.begin()
        self._changed()
        return 0

    def _fail(self, mirror: Mirror, device: str) -> str:
        leg = mirror.leg(device.removeprefix("/dev/"))
        if leg is None:
            return f"set device faulty failed for {device}:  No such device"
        if mirror.in_sync == [leg]:  # md itself keeps the last one, whatever it is told
            return f"Cannot remove {device} from {mirror.path}, array will be failed."
        leg.state, leg.slot = "faulty", None
        return ""

    def _remove(self, mirror: Mirror, device: str) -> str:
        if device in ("failed", "faulty", "detached"):
            gone = [
                leg
                for leg in mirror.legs
                if leg.state == "faulty"
                and (device != "detached" or self._disks.find(leg.device) is None)
            ]
        else:
            found = mirror.leg(device.removeprefix("/dev/"))
            if found is None:
                return f"hot remove failed for {device}: No such device or address"
            if found.state == "in_sync":
                return f"hot remove failed for {device}: Device or resource busy"
            gone = [found]
        mirror.legs = [leg for leg in mirror.legs if leg not in gone]
        return ""

    def _add(self, mirror: Mirror, device: str) -> str:
        place = self._disks.find(device)
        if place is None or place[1] is None:
            return f"Cannot find {device}: No such file or directory"
        disk, part = place[0], place[1]
        name = f"{disk.name}{part.number}"
        holder = self._mirrors.holding(name)
        if holder is not None:
            return f"Cannot open {device}: Device or resource busy"
        if part.size // 2 < mirror.size:
            return f"{device} not large enough to join array"
        mirror.legs.append(Leg(name, None, "spare"))
        part.holds, part.uuid, part.beneath = MEMBER, mirror.uuid, mirror.beneath
        return ""

    def _zero(self, call: Call, device: str) -> int:
        place = self._disks.find(device)
        part = place[1] if place else None
        if place is None or part is None or part.holds != MEMBER:
            call.complain(f"mdadm: Unrecognised md component device - {device}")
            return 0 if place else 1
        if self._mirrors.holding(f"{place[0].name}{part.number}"):
            call.complain(f"mdadm: Couldn't open {device} for write - not zeroing")
            return 2
        part.holds, part.beneath, part.uuid = part.beneath, "", ""
        self._changed()
        return 0

    # -- arrays ------------------------------------------------------------------------------

    def _grow(self, call: Call, array: str, count: str) -> int:
        mirror = self._mirrors.find(array)
        if mirror is None or not count.isdigit():
            raise NotModelled(" ".join(call.argv))
        if int(count) < len(mirror.in_sync):
            call.complain(f"mdadm: Cannot set raid-devices to {count}: Device or resource busy")
            return 1
        mirror.wanted = int(count)
        for number, leg in enumerate(mirror.in_sync):
            leg.slot = number
        self._mirrors.begin()
        self._changed()
        return 0

    def _create(self, call: Call, words: list[str]) -> int:
        options = dict(w[2:].partition("=")[::2] for w in words if w.startswith("--"))
        path, *devices = [word for word in words if not word.startswith("--")]
        known = {"level", "raid-devices", "metadata", "bitmap", "name", "homehost"}
        if set(options) - known or options.get("level") not in ("1", "raid1", "mirror"):
            raise NotModelled(" ".join(call.argv))
        places = [self._disks.find(device) for device in devices]
        parts: list[tuple[str, Partition]] = []
        for device, place in zip(devices, places, strict=True):
            if place is None or place[1] is None or place[1].holds:
                call.complain(f"mdadm: cannot open {device}: Device or resource busy")
                return 2
            parts.append((f"{place[0].name}{place[1].number}", place[1]))
        made = self._made(path, options, parts)
        self._mirrors.all.append(made)
        self._mirrors.catch_up()
        self._changed()
        call.complain(f"mdadm: array {path} started.")
        return 0

    def _made(
        self, path: str, options: dict[str, str], parts: list[tuple[str, Partition]]
    ) -> Mirror:
        """Creates an array; the first member's data is kept and copied to the others."""
        uuid = hashlib.sha256(path.encode()).hexdigest()[:32]
        size = min(part.size for _, part in parts) // 2 - 1024
        legs = [Leg(name, n, "spare" if n else "in_sync") for n, (name, _) in enumerate(parts)]
        for _, part in parts:
            part.holds, part.uuid = MEMBER, uuid
        name = path.rpartition("/")[2]
        return Mirror(
            name=name, uuid=uuid, size=size, metadata=options.get("metadata", "1.2"),
            wanted=int(options["raid-devices"]), legs=legs, copied=0.0,
            bitmap=options.get("bitmap") == "internal", known_as=f"kalimdor:{name}",
        )  # fmt: skip


_MANAGED = {"--fail": "_fail", "--remove": "_remove", "--add": "_add", "--re-add": "_add"}
