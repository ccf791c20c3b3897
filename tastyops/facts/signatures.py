"""What is on a device: the signatures of filesystems, arrays, volumes and partition tables."""

from __future__ import annotations

from tastyops.errors import ProbeFailed
from tastyops.facts.readings import Answer, Parsers, Reading, from_json

RAID_MEMBER = "linux_raid_member"
"""libblkid's name for a superblock of md."""


_READ = (
    'size=$(blockdev --getsize64 "$1") && for at in 0 $((size / 4096 - 1)); do '
    'dd if="$1" of=/dev/null bs=4096 count=1 skip=$at iflag=direct status=none || exit 2; done && '
    'exec wipefs --json --no-act "$1"'
)


def signatures(path: str) -> Reading:
    """All signatures on a device, read from the device itself and not from udev's record.

    wipefs(8) without ``--all`` only lists, and finds nothing, without a word, on a disk that
    cannot be read: so its first and last blocks are read before. It needs root.
    """
    return Reading(("sh", "-c", _READ, "sh", path), "signatures")


def _signatures(answer: Answer) -> tuple[str, ...]:
    data = from_json(answer)
    rows = data.get("signatures") if isinstance(data, dict) else [] if data is None else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ProbeFailed("that is not a list of signatures")
    return tuple(str(row.get("type")) for row in rows)


PARSERS: Parsers = {
    "signatures": _signatures,
}
