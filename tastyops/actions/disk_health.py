"""``disk.health``: what SMART and the kernel say of a disk; "not known" is an answer of its own."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.domain.storage.disks import find_disk
from tastyops.errors import Failed
from tastyops.facts.disk_health import Counted, Smart, counted, smart
from tastyops.facts.disks import BLOCK_DEVICES, Disks
from tastyops.model.action import Facts
from tastyops.model.commands import Probe, Steps

GOOD, BAD, NOT_KNOWN = "good", "bad", "not-known"


@dataclass(frozen=True, kw_only=True)
class DiskHealth:
    """The parameters of ``disk.health``."""

    disk: str = param("text", "The disk's serial number, WWN or name in /dev/disk/by-id")
    must: str = param(
        "text",
        "Fail the step unless the disk is good (`good`), or if it is bad (`not-bad`)",
        "any",
        ("any", "not-bad", "good"),
    )


@action(
    "disk.health",
    scalar="disk",
    returns={
        "device": "device",
        "health": "word",
        "smart": "word",
        "reallocated": "count",
        "pending": "count",
        "uncorrectable": "count",
        "link_errors": "count",
        "io_errors": "count",
        "io_timeouts": "count",
        "state": "word",
    },
    sentence="Health of the disk {{ device }}: {{ health }}.",
)
def disk_health(params: DiskHealth, facts: Facts) -> Steps:
    """Read a disk's health (SMART) and the errors that the kernel counted.

    ``health`` is ``bad`` when the disk says so, has unreadable sectors, or was taken offline;
    ``good`` only when SMART says so; ``not-known`` where the disk has no SMART.
    """
    disks: Disks = yield Probe(*BLOCK_DEVICES, sudo=True)
    disk = yield from find_disk(disks, params.disk)
    said: Smart = yield Probe(*smart(disk.path), sudo=True)
    kernel: Counted = yield Probe(*counted(disk.kname))
    health = _verdict(said, kernel)
    registered = {
        "device": disk.path,
        "health": health,
        "smart": {True: "passed", False: "failed", None: NOT_KNOWN}[said.passed],
        "reallocated": said.reallocated,
        "pending": said.pending,
        "uncorrectable": said.uncorrectable,
        "link_errors": said.link_errors,
        "io_errors": kernel.errors,
        "io_timeouts": kernel.timeouts,
        "state": kernel.state or NOT_KNOWN,
    }
    if params.must == "good" and health != GOOD:
        raise Failed(f"the disk's health is {health.replace('-', ' ')}", registered)
    if params.must == "not-bad" and health == BAD:
        raise Failed("the disk's health is bad", registered)
    return registered


def _verdict(said: Smart, kernel: Counted) -> str:
    if said.passed is False or said.pending or said.uncorrectable:
        return BAD
    if kernel.state == "offline":
        return BAD
    return GOOD if said.passed else NOT_KNOWN
