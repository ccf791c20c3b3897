"""What tastyops' own reading of the boot side finds on the modelled machine.

It is a script that ``probes`` has as one command; here it is answered as one, from the model of
disks and mirrors as they stand, and nothing of it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tastyops.facts import boot_source
from tastyops.practice.calls import Call, Command, Commands
from tastyops.practice.storage import Storage

_MOUNT = ("findmnt", "--json", "--bytes", "--output", "TARGET,SOURCE,FSTYPE,OPTIONS,AVAIL")
_TABLE = ("findmnt", "--fstab", "--evaluate", "--json", "--output", "TARGET,SOURCE,FSTYPE,OPTIONS")
_BLOCKS = ("lsblk", "--json", "--bytes", "--output", "NAME,KNAME,PATH,TYPE,FSTYPE,UUID")
_DRIVERS = ("sd_mod", "ahci")


class BootReadings:
    """``booted`` maps each kernel that has run to when it started; ``dispatch`` runs programs."""

    def __init__(self, storage: Storage, booted: Mapping[str, int], dispatch: Command) -> None:
        self._storage = storage
        self._booted = booted
        self._dispatch = dispatch

    def scripts(self) -> Commands:
        """The readings, by the text of their script."""
        return {boot_source.SCRIPT: self._side}

    def _side(self, call: Call) -> int:
        boot = "/boot" if self._storage.mounts.at("/boot") else "/"
        for name, argv in (
            ("root", (*_MOUNT, "--mountpoint", "/")),
            ("boot", (*_MOUNT, "--mountpoint", boot)),
            ("fstab", _TABLE),
            ("blocks", _BLOCKS),
        ):
            call.say(f"== {name}")
            self._dispatch(replace(call, argv=argv))
        call.say("== system")
        for disk in self._storage.disks:
            for module in _DRIVERS:
                call.say(f"driver {disk.name} {module}")
            call.say(f"code {disk.name} {'grub there' if disk.boot_code else 'none none'}")
        for mirror in self._storage.mirrors:
            for leg in mirror.legs:
                call.say(f"member {mirror.name} {leg.device} {leg.state}")
            call.say(f"degraded {mirror.name} {mirror.degraded}")
        call.say("== booted")
        for release, at in self._booted.items():
            call.say(f"{at} {release}")
        return 0
