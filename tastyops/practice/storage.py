"""Arrays and mounts of the modelled machine, as far as a reboot compares them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tastyops.practice.calls import Call, Commands
from tastyops.practice.files import Files, NotModelled

_FSTAB = "/etc/fstab"
_ARRAYS = {"md0": 2, "md6": 3, "md7": 3}
"""The mirrors and how many members each should have."""


class Storage:
    """``degraded`` are arrays that lack a member, ``unmounted`` directories not mounted."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self.degraded: set[str] = set()
        self.unmounted: set[str] = set()

    def boot(self, degraded: Sequence[str], unmounted: Sequence[str]) -> None:
        """What starting the machine anew brings."""
        self.degraded.update(degraded)
        self.unmounted.update(unmounted)

    def commands(self) -> Commands:
        """The programs."""
        return {"findmnt": self._findmnt}

    def _findmnt(self, call: Call) -> int:
        options = set(call.argv[1:])
        which = options & {"--fstab", "--kernel"}
        form = {"--json", "--list", "-o", "TARGET,SOURCE,FSTYPE,OPTIONS"}
        if len(which) != 1 or options - which != form:
            raise NotModelled(" ".join(call.argv))
        rows = [line.split() for line in self._files.text(_FSTAB).splitlines()]
        if "--kernel" in which:
            rows = [row for row in rows if row[1] not in self.unmounted]
        keys = ("source", "target", "fstype", "options")
        found = [dict(zip(keys, row[:4], strict=True)) for row in rows]
        call.say(json.dumps({"filesystems": found}, indent=3))
        return 0

    def arrays(self, call: Call) -> int:
        """What ``probes.md.ARRAYS`` reads: files of /sys/block/md*/md."""
        for name, wanted in _ARRAYS.items():
            lacks = int(name in self.degraded)
            told = {
                "level": "raid1",
                "raid_disks": wanted,
                "degraded": lacks,
                "array_state": "clean",
                "sync_action": "idle",
                "sync_completed": "none",
            }
            for file, value in told.items():
                call.say(f"{name}/md/{file}:{value}")
            for slot in range(wanted - lacks):
                call.say(f"{name}/md/dev-sd{'abc'[slot]}1/state:in_sync")
                call.say(f"{name}/md/dev-sd{'abc'[slot]}1/slot:{slot}")
        return 0
