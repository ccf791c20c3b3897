"""What must not be worse after a reboot: failed units, degraded arrays, missing mounts."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tastyops.facts.md import ARRAYS, Array
from tastyops.facts.mounts import FSTAB, MOUNTED, read_only, unmounted
from tastyops.facts.readings import Reading, as_path
from tastyops.facts.system import FAILED_UNITS
from tastyops.model.commands import Command, Offline, Probe


class HostLost(Exception):
    """The host could not be reached while it was looked at."""


@dataclass(frozen=True, slots=True)
class Health:
    """What is not as it should be; empty everywhere on a sound host."""

    failed: tuple[str, ...] = ()
    """Units."""
    degraded: tuple[str, ...] = ()
    """Arrays that lack a member or do not run, by device."""
    unmounted: tuple[str, ...] = ()
    """Directories fstab wants mounted."""
    read_only: tuple[str, ...] = ()
    """Directories fstab wants writable."""
    arrays: tuple[Array, ...] = ()
    """All there are."""
    lacking: Mapping[str, int] = field(default_factory=dict)
    """How many members arrays lacked, by ``identity``, where no more of them is known."""

    @property
    def sound(self) -> bool:
        """Whether nothing is amiss."""
        return not (self.failed or self.degraded or self.unmounted or self.read_only)


def ask(
    reading: Reading, *, after: bool, sudo: bool | None = None
) -> Generator[Command, Any, Any]:
    """The fact; ``after`` a reboot a host that is not there raises WentAway."""
    fact = yield Probe(*reading, sudo=sudo, offline=after)
    if isinstance(fact, Offline):
        raise HostLost
    return fact


def health(*, after: bool = False) -> Generator[Command, Any, Health]:
    """Looks at the host. Raises WentAway if ``after``."""
    failed = yield from ask(FAILED_UNITS, after=after)
    arrays: tuple[Array, ...] = yield from ask(ARRAYS, after=after)
    fstab = yield from ask(FSTAB, after=after)
    mounted = yield from ask(MOUNTED, after=after)
    return Health(
        failed=tuple(failed),
        degraded=tuple(array.path for array in arrays if is_degraded(array)),
        unmounted=unmounted(fstab, mounted),
        read_only=read_only(fstab, mounted),
        arrays=arrays,
    )


def is_degraded(array: Array) -> bool:
    """Whether it lacks a member or does not run."""
    return array.degraded > 0 or not array.runs


def find_worsened(before: Health, now: Health, ignore: Iterable[str] = ()) -> list[str]:
    """What is amiss now and was not before, a sentence each; ``ignore`` names what may be."""
    known = {identity(array): array for array in before.arrays}
    present = {identity(array) for array in now.arrays}
    more = [
        array.path
        for array in now.arrays
        if is_degraded(array) and _got_worse(known.get(identity(array)), array, before)
    ]
    gone = [array.path for key, array in known.items() if key not in present]
    spared = set(map(as_path, ignore))
    found = [
        (_new(now.failed, before.failed), "failed"),
        (more, "degraded"),
        (gone, "missing"),
        (_new(now.unmounted, before.unmounted), "not mounted"),
        (_new(now.read_only, before.read_only), "mounted read-only"),
    ]
    return [
        f"{', '.join(left)} {what}"
        for names, what in found
        if (left := [name for name in names if name not in spared])
    ]


def _got_worse(old: Array | None, array: Array, before: Health) -> bool:
    if old is None:
        lacked = before.lacking.get(identity(array))
        return array.path not in before.degraded if lacked is None else array.degraded > lacked
    return not is_degraded(old) or array.degraded > old.degraded


def identity(array: Array) -> str:
    """Numbers move between boots (md127); the array's own id does not."""
    return array.uuid or array.path


def _new(now: Iterable[str], before: Iterable[str]) -> list[str]:
    old = set(before)
    return sorted(each for each in now if each not in old)
