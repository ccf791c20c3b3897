"""What the kernel complained of since it was booted."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from tastyops.errors import ProbeFailed
from tastyops.probes.reading import Answer, Parsers, Reading, need_ok

KERNEL_LOG = Reading(
    ("journalctl", "--dmesg", "--boot", "--priority=warning", "--output=json",
     "--output-fields=MESSAGE", "--no-pager", "--lines=20000"),
    "kernel_complaints",
)  # fmt: skip
"""journalctl(1): the kernel's messages of this boot, one JSON object a line; none worse than a
warning is left out. The last 20,000, which is within what a parser may see."""

KINDS = {
    "bug": re.compile(r"\bkernel BUG at|^BUG:"),
    "oops": re.compile(r"\bOops\b|general protection fault|Unable to handle kernel"),
    "panic": re.compile(r"Kernel panic - not syncing"),
    "hung_task": re.compile(r"blocked for more than \d+ seconds|soft lockup|hard LOCKUP"),
    "hardware": re.compile(r"Machine [Cc]heck|\bMCE\b|\[Hardware Error\]|EDAC .*\b[UC]E\b"),
    "io_error": re.compile(r"\bI/O error\b|critical (?:medium|target) error"),
    "link_error": re.compile(
        r"^ata\d+.*(?:exception|failed command|link is slow|SError)"
        r"|rejecting I/O to (?:offline|dead) device"
    ),
    "md": re.compile(r"^md/raid\S*: .*(?:[Dd]isk failure|not clean|Operation continuing)"),
    "xfs": re.compile(
        r"^XFS .*(?:[Cc]orrupt|Internal error|metadata I/O error|shut(?:ting)? ?down|log mount)"
    ),
    "ext": re.compile(r"^EXT[234]-fs (?:error|.*remounting filesystem read-only)"),
    "out_of_memory": re.compile(r"^Out of memory:|oom-kill:"),
}
"""Fixed words for what went wrong, and the kernel's messages that say so."""

_DEVICE = re.compile(
    r"\bdev (?P<block>[a-z]{2,8}[a-z0-9]{0,16}),|\bon dev (?P<buffer>[a-z]{2,8}[a-z0-9-]{0,16}),"
    r"|[Dd]isk failure on (?P<member>[a-z]{2,8}[a-z0-9]{0,16}),"
)
MOST_MESSAGES = 200


@dataclass(frozen=True, slots=True)
class Complaints:
    """How often each kind was met, the devices named with them, and the messages themselves."""

    counts: dict[str, int]
    devices: tuple[str, ...]
    messages: tuple[str, ...]


def _complaints(answer: Answer) -> Complaints:
    counts: dict[str, int] = {}
    devices: set[str] = set()
    messages: list[str] = []
    for line in need_ok(answer).splitlines():
        message = _message(line)
        kind = next((kind for kind, says in KINDS.items() if says.search(message)), None)
        if kind is None:
            continue
        counts[kind] = counts.get(kind, 0) + 1
        messages.append(message)
        devices |= {f"/dev/{name}" for each in _DEVICE.finditer(message) for name in each.groups()
                    if name}  # fmt: skip
    return Complaints(counts, tuple(sorted(devices)), tuple(messages[-MOST_MESSAGES:]))


def _message(line: str) -> str:
    """The text of one record; journald writes one that is no UTF-8 as a list of bytes."""
    try:
        said = json.loads(line)["MESSAGE"]
        if isinstance(said, list):
            said = bytes(said).decode("utf-8", "replace")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if line.startswith("-- "):  # "-- No entries --"
            return ""
        raise ProbeFailed("that is not the journal") from error
    return said if isinstance(said, str) else ""


PARSERS: Parsers = {
    "kernel_complaints": _complaints,
}
