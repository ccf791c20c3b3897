"""What a disk says of its own health, and what the kernel counted. "Not known" is an answer."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from tastyops.errors import ProbeFailed
from tastyops.facts.readings import Answer, Parsers, Reading

_REALLOCATED, _PENDING, _UNCORRECTABLE, _CRC = 5, 197, 198, 199
"""ATA attributes: moved sectors, sectors waiting to be, unreadable ones, errors on the cable."""


@dataclass(frozen=True, slots=True)
class Smart:
    """What SMART says; ``passed`` is None where the disk has no SMART or smartctl is missing.

    Counts are None where the disk does not keep them.
    """

    passed: bool | None
    reallocated: int | None = None
    pending: int | None = None
    uncorrectable: int | None = None
    link_errors: int | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """The kernel's own counts since it found the disk; None where the driver keeps none.

    ``errors`` has harmless ones in it: a command the disk does not know counts too.
    """

    errors: int | None
    timeouts: int | None
    state: str
    """``running``, ``offline``, ``blocked``, …; empty where there is none."""


def smart(device: str) -> Reading:
    """smartctl(8), JSON since 7.0; its exit status is a set of bits and no failure of ours."""
    return Reading(("smartctl", "--json", "--all", device), "smart")


def counted(kname: str) -> Reading:
    """The SCSI layer's counters in sysfs (ATA disks are below it too)."""
    files = (f"/sys/block/{kname}/device/{name}" for name in ("ioerr_cnt", "iotmo_cnt", "state"))
    return Reading(("grep", "--no-messages", "--with-filename", "", *files), "counted")


def _smart(answer: Answer) -> Smart:
    if answer.status in (126, 127):
        return Smart(None)
    told = _object(answer)
    if not _part(told, "smart_support").get("available", _has_smart(told)):
        return Smart(None)
    passed = _part(told, "smart_status").get("passed")
    ata = _attributes(_part(told, "ata_smart_attributes").get("table"))
    unread = _part(told, "nvme_smart_health_information_log").get("media_errors")
    return Smart(
        passed if isinstance(passed, bool) else None,
        _count(ata.get(_REALLOCATED, told.get("scsi_grown_defect_list"))),
        _count(ata.get(_PENDING)),
        _count(ata.get(_UNCORRECTABLE, _uncorrected(told) if unread is None else unread)),
        _count(ata.get(_CRC)),
    )


def _object(answer: Answer) -> dict[str, Any]:
    """Its JSON, whatever the status: that is no 0 where SMART has something to say."""
    try:
        told = json.loads(answer.text)
    except (ValueError, RecursionError) as error:
        raise ProbeFailed("smartctl did not answer in JSON") from error
    if not isinstance(told, dict):
        raise ProbeFailed("smartctl did not answer as expected")
    return told


def _part(told: dict[str, Any], name: str) -> dict[str, Any]:
    part = told.get(name)
    return part if isinstance(part, dict) else {}


def _has_smart(told: dict[str, Any]) -> bool:
    """Before smartctl 7.3 nothing says whether there is SMART; a SCSI disk's "passed" then tells
    nothing unless the disk also keeps error counters."""
    return _part(told, "device").get("protocol") in ("ATA", "NVMe") or bool(
        _part(told, "scsi_error_counter_log")
    )


def _attributes(table: Any) -> dict[int, Any]:
    rows = [row for row in table if isinstance(row, dict)] if isinstance(table, list) else []
    return {row["id"]: _raw(_part(row, "raw")) for row in rows if isinstance(row.get("id"), int)}


def _raw(raw: dict[str, Any]) -> Any:
    """An attribute's count. smartctl(8), ``-v``: many formats pack more than one number.

    ``value`` is all six bytes as one number; ``string`` is what smartctl shows, with the count
    first and the rest behind it: ``0 (2000 0)``, ``8 (Average 31)``, ``1/2048``. A format that
    shows no plain number first, such as ``0x0000000007d0``, has no count that is known.
    """
    shown = raw.get("string")
    if not isinstance(shown, str):
        return raw.get("value")
    found = re.fullmatch(r"([0-9]{1,20})(?:[ /].*)?", shown.strip())
    return int(found[1]) if found else None


def _uncorrected(told: dict[str, Any]) -> int | None:
    log = _part(told, "scsi_error_counter_log")
    counts = [_part(log, name).get("total_uncorrected_errors") for name in log]
    return sum(count for count in counts if isinstance(count, int)) if log else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and 0 <= value < 2**63 else None


def _counted(answer: Answer) -> Counted:
    found = dict(re.findall(r"^\S+/(\w+):(\S*)$", answer.text, re.MULTILINE))
    state = found.get("state", "")
    if not re.fullmatch(r"[a-z-]{0,32}", state):
        raise ProbeFailed("that is not the state of a disk")
    return Counted(_hexadecimal(found, "ioerr_cnt"), _hexadecimal(found, "iotmo_cnt"), state)


def _hexadecimal(found: dict[str, str], name: str) -> int | None:
    text = found.get(name, "")
    return int(text, 16) if re.fullmatch(r"0x[0-9a-f]{1,16}", text) else None


PARSERS: Parsers = {
    "smart": _smart,
    "counted": _counted,
}
