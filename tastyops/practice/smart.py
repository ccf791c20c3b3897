"""smartctl(8) of the modelled machine: JSON only, and only what its disks are known to count."""

from __future__ import annotations

import json

from tastyops.practice.calls import Call, Commands
from tastyops.practice.disks import Disk, Disks
from tastyops.practice.files import NotModelled

_FAILING = 0x08
"""The bit of its exit status that says so (smartctl(8), EXIT STATUS)."""

_BAD_SECTORS = 23


class Smart:
    """The program."""

    def __init__(self, disks: Disks) -> None:
        self._disks = disks

    def commands(self) -> Commands:
        """The program."""
        return {"smartctl": self._smartctl}

    def _smartctl(self, call: Call) -> int:
        *options, device = call.argv[1:]
        place = self._disks.find(device)
        if set(options) != {"--json", "--all"} or (place is not None and place[1] is not None):
            raise NotModelled(" ".join(call.argv))
        if place is None:
            call.say(json.dumps({"smartctl": {"exit_status": 2}}))
            return 2
        status = _FAILING if place[0].failing else 0
        call.say(json.dumps(_told(place[0], device, status), indent=2))
        return status


def _told(disk: Disk, device: str, status: int) -> dict[str, object]:
    bad = _BAD_SECTORS if disk.failing else 0
    counts = {5: ("Reallocated_Sector_Ct", bad), 197: ("Current_Pending_Sector", bad),
              198: ("Offline_Uncorrectable", bad), 199: ("UDMA_CRC_Error_Count", 0)}  # fmt: skip
    return {
        "smartctl": {"version": [7, 3], "exit_status": status},
        "device": {"name": device, "type": "sat", "protocol": "ATA"},
        "model_name": disk.model,
        "serial_number": disk.serial,
        "smart_support": {"available": True, "enabled": True},
        "smart_status": {"passed": not disk.failing},
        "ata_smart_attributes": {
            "table": [
                {"id": number, "name": name, "raw": {"value": value, "string": str(value)}}
                for number, (name, value) in counts.items()
            ]
        },
    }
