"""md mirrors of the modelled machine: their members, and a re-sync that takes its time.

State only; ``sysfs`` shows it and ``mdadm`` works it. A re-sync runs on the practice clock, one at
a time for each disk, as the kernel has it: the others of the same disks wait (DELAYED).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tastyops.practice.clock import PracticeClock
from tastyops.practice.disks import Disk, Disks

RATE_KIB = 18 * 1024
"""KiB a second that a re-sync copies: what kalimdor's disks did on February 9th 2008."""


@dataclass
class Leg:
    """One member. ``slot`` is None for a spare and for one that was thrown out."""

    device: str
    slot: int | None
    state: str = "in_sync"
    """in_sync, spare (waiting or being rebuilt) or faulty."""


@dataclass
class Mirror:
    """One RAID1 array. ``size`` is KiB; ``copied`` is how much of a re-sync is done, in KiB."""

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
    """The name in its superblock, ``kalimdor:7``."""
    beneath: str = ""
    """The filesystem that begins where a member does: metadata 1.0 stands at the end."""
    events: int = field(default=4711)

    @property
    def path(self) -> str:
        """Its device node."""
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
        """The members that hold everything."""
        return [leg for leg in self.legs if leg.state == "in_sync" and leg.slot is not None]

    @property
    def degraded(self) -> int:
        """How many members it is short of."""
        return self.wanted - len(self.in_sync)

    def leg(self, device: str) -> Leg | None:
        """The member of that name, ``sda1``."""
        return next((leg for leg in self.legs if leg.device == device), None)

    def free_slots(self) -> list[int]:
        """Places nobody has."""
        taken = {leg.slot for leg in self.legs if leg.state != "faulty"}
        return [slot for slot in range(self.wanted) if slot not in taken]


class Mirrors:
    """The arrays that are assembled; told of the clock whenever somebody looks."""

    def __init__(self, clock: PracticeClock, disks: Disks, mirrors: list[Mirror]) -> None:
        self._clock = clock
        self._disks = disks
        self.all = mirrors
        self.stopped: list[Mirror] = []
        """Arrays on the disks that nothing has assembled."""

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
        """Copies what could be copied since the last look, and begins what waits for it."""
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
        """Gives spares the places that are free, and lets one re-sync a disk go on."""
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
        """What md does when a disk's requests fail; the last member of a mirror it keeps."""
        for mirror in self:
            for leg in mirror.legs:
                if leg.device.startswith(disk.name) and mirror.in_sync != [leg]:
                    leg.state, leg.slot = "faulty", None

    def assemble(self, wanted: Callable[[Mirror], bool]) -> list[Mirror]:
        """Assembles those of the stopped arrays, and gives them."""
        found = [mirror for mirror in self.stopped if wanted(mirror)]
        self.stopped = [mirror for mirror in self.stopped if mirror not in found]
        self.all = sorted([*self.all, *found], key=lambda mirror: mirror.name)
        return found

    def reassemble(self, known: Callable[[Mirror], bool] = lambda _: True) -> None:
        """What a boot makes of the superblocks: members that were thrown out stay out.

        Arrays that are not ``known`` to it stay stopped.
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
