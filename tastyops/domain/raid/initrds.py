"""Initial ramdisks are made again one kernel at a time, each looked at before the next."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from tastyops.errors import Failed, Refused
from tastyops.facts.initrd import Initrd, initrd
from tastyops.facts.readings import Reading
from tastyops.model.commands import Change, Command, Output, Probe, Unknown
from tastyops.model.public_text import is_fact

KEPT = ".bak"
"""What the old copy is called: as update-initramfs itself calls it (update-initramfs.conf(5))."""

MADE_BY = ("test", "-x", "/usr/sbin/update-initramfs")
NAMES = Reading(
    ("find", "/boot", "-maxdepth", "1", "-name", "initrd.img-*", "-type", "f", "-printf", "%f\\n"),
    "lines",
)
FREE = Reading(("sh", "-c", "df --output=avail -B1 /boot | tail -n 1"), "integer")
"""Bytes that are free on /boot (df(1))."""

_MORE = 1.2
"""How much larger a new one may be than the one it replaces."""


def outdated_initrds(uuids: frozenset[str]) -> Generator[Command, Any, dict[str, int]]:
    """The kernels whose initial ramdisk is not whole or does not name all arrays → its size."""
    names: tuple[str, ...] | Unknown = yield Probe(*NAMES, sudo=True)
    if isinstance(names, Unknown):
        return {}
    releases = [name.removeprefix("initrd.img-") for name in names]
    found = {}
    for release in sorted(each for each in releases if _is_release(each)):
        seen: Initrd | Unknown = yield Probe(*initrd(release), sudo=True)
        if not isinstance(seen, Unknown) and seen.image and not _good(seen, uuids):
            found[release] = seen.size
    return found


def _is_release(text: str) -> bool:
    copies = (KEPT, ".new", ".old", ".orig", ".dpkg-bak", ".dpkg-new")
    return is_fact("version", text) and not text.endswith(copies)


def _good(seen: Initrd, uuids: frozenset[str]) -> bool:
    return seen.whole is True and seen.arrays is not None and uuids <= seen.arrays


def require_room(sizes: list[int]) -> Generator[Command, Any, None]:
    """Whether /boot has room for all old copies and the one that is being written."""
    free: int | Unknown = yield Probe(*FREE)
    needed = sum(sizes) + round(max(sizes, default=0) * _MORE)
    if not isinstance(free, Unknown) and free < needed:
        raise Refused(
            f"/boot has {free // 2**20} MiB free, and {-(-needed // 2**20)} MiB are needed to"
            " make initial ramdisks again beside their old copies"
        )


def remake(release: str, size: int, uuids: frozenset[str]) -> Generator[Command, Any, None]:
    """Makes one again and looks at it; the old copy stays, and comes back if the new one is bad."""
    path = f"/boot/initrd.img-{release}"
    yield from require_room([size])
    copied = yield Change(
        ("sh", "-c", 'cp -p "$1" "$2" && sync -f "$2"', "sh", path, path + KEPT),
        sudo=True,
        settle=Probe(("cmp", "-s", path, path + KEPT), "holds", sudo=True),
    )
    _need(copied, f"{path} could not be copied")
    made = yield Change(("update-initramfs", "-u", "-k", release), sudo=True)
    seen: Initrd | Unknown = yield Probe(*initrd(release), sudo=True)
    if isinstance(made, Unknown) or isinstance(seen, Unknown):
        return
    if made.ok and _good(seen, uuids):
        return
    back = yield Change(
        ("sh", "-c", 'cp -p "$2" "$1" && sync -f "$1"', "sh", path, path + KEPT), sudo=True
    )
    _need(back, f"the new {path} is bad, and the old one could not be put back from {path}{KEPT}")
    raise Failed(f"the new {path} is not whole or does not name all arrays; the old one is back")


def _need(output: Output | Unknown, why: str) -> None:
    if not isinstance(output, Unknown) and not output.ok:
        raise Failed(why, {"status": output.status})
