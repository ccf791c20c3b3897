"""What is on a device: the signatures of filesystems, arrays, volumes and partition tables."""

from __future__ import annotations

from tastyops.errors import ProbeFailed
from tastyops.probes.reading import Answer, Parsers, Reading, from_json

RAID_MEMBER = "linux_raid_member"
"""libblkid's name for a superblock of md."""


def signatures(path: str) -> Reading:
    """All signatures on a device, read from the device itself and not from udev's record.

    wipefs(8) without ``--all`` only lists. It needs root.
    """
    return Reading(("wipefs", "--json", "--no-act", path), "signatures")


def _signatures(answer: Answer) -> tuple[str, ...]:
    data = from_json(answer)
    rows = data.get("signatures") if isinstance(data, dict) else [] if data is None else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ProbeFailed("that is not a list of signatures")
    return tuple(str(row.get("type")) for row in rows)


PARSERS: Parsers = {
    "signatures": _signatures,
}
