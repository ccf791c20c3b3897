"""What the kernel complained of since it was booted."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from tastyops.errors import ProbeFailed
from tastyops.facts.readings import Answer, Parsers, Reading, need_ok

KERNEL_LOG = Reading(
    ("journalctl", "--dmesg", "--boot", "--priority=warning", "--output=json",
     "--output-fields=MESSAGE", "--no-pager", "--lines=20000"),
    "kernel_complaints",
)  # fmt: skip
"""journalctl(1): the kernel's messages of this boot, one JSON object a line; none worse than a
warning is left out. The last 20,000, which is within what a parser may see."""

_SAYS = {
    "bug": r"\bkernel BUG at|^BUG: (?!soft lockup)|\bbad page (?:state|map)\b|bad swap \w+ entry",
    "oops": r"\bOops\b|^general protection fault|unable to handle (?:kernel|page fault)"
    r"|^(?:divide error|invalid opcode|stack segment): ",
    "panic": r"kernel panic - not syncing",
    "hung_task": r"blocked for more than \d+ seconds|soft lockup|hard lockup"
    r"|\brcu.*(?:detected stalls?\b|self-detected stall|kthread starved)",
    "out_of_memory": r"out of memory\b|oom-kill:|invoked oom-killer"
    r"|page allocation (?:failure|stalls)|no killable processes|unable to allocate memory on node",
    "hardware": r"machine check(?! (?:support|polling|architecture|reporting))|\[Hardware Error\]"
    r"|^EDAC .*(?:\b\d+ [UC]Es?\b|\b[UC]E (?:page|row|memory)|memory error|parity error"
    r"|(?:un)?corrected error)"
    r"|memory failure: 0x|uncorrected hardware memory|NMI received for unknown reason"
    r"|PCI system error \(SERR\)|severity=uncorrect|AER: uncorrect|CMCI storm detected",
    "nvme": r"^nvme\S* (?:nvme\d+: )?.*(?:controller is down|QID \d+ timeout|timeout, (?:abort"
    r"|reset|disable|completion)|device not ready|removing after probe failure|abort status"
    r"|error detected|identify controller failed|persistent internal error|reset failed"
    r"|could not set queue count|critical warning)|^nvme\d+n\d+: .*I/O error",
    "md": r"^(?:md/)?raid\S*: .*(?:disk failure|not clean|operation continuing|unrecoverable"
    r"|redirecting sector|rescheduling sector|read error|too many read errors|exceeded"
    r"|not enough operational|failed to run|cannot continue)"
    r"|^md/raid\S*: .*active with (\d+) out of (?!\1\b)\d+ (?:mirrors|devices)"
    r"|^md: .*(?:kicking \S+ \S+ from array|super_written gets error|error, aborting"
    r"|could not (?:bd_lock|open)|invalid superblock|does not have a valid v|fatal"
    r"|bitmap .*(?:error|out of date))",
    "xfs": r"^XFS .*(?:corrupt|internal error|I/O error|shut(?:ting)? ?down|log mount"
    r"|writeback error|async write on buffer|unmount and run|rectify the problem"
    r"|discard on page|error -?\d+ returned|allocation deadlock)",
    "ext": r"^EXT[234]-fs error|^EXT[234]-fs .*(?:remounting filesystem read-only|I/O error"
    r"|error count since|initial error at|last error at|fs with errors|allocation failed"
    r"|failed to convert|detected aborted journal|unable to read superblock|corrupted|bad geometry"
    r"|checksum for group|\berr(?:or)? -\d+)"
    r"|^JBD2?: .*(?:error|failed)|aborting journal on device|journal has aborted",
    "btrfs": r"^BTRFS:? (?:error|critical)\b|^BTRFS warning .*(?:csum|checksum|fail|I/O error"
    r"|corrupt|missing|lost)|^BTRFS .*(?:forced readonly|errs: .*[1-9])",
    "filesystem": r"^(?:FAT|F2FS|NILFS|UBIFS|JFFS2|REISERFS|OCFS2|GFS2|bcachefs|jfs)\b\S* .*"
    r"(?:error|bread\(|corrupt(?!\. Please run fsck)|inconsisten|read-only|withdrawn)"
    r"|(?:filesystem|file system).*(?:set|remount\w*) (?:to )?read-?only"
    r"|SQUASHFS error|EROFS.*(?:error|corrupt)|^ZFS: .*(?:error|fail)|pool '\S+' has encountered"
    r"|\bzio pool=",
    "device_mapper": r"^device-mapper: .*(?:failing path|switching pool|out-of-data-space"
    r"|invalidating snapshot|corrupt|checksum|metadata.*(?:fail|error)|raid.*(?:fail|faulty)"
    r"|needs.check|mirror.*(?:fail|error)|integrity.*error|I/O error)|^drbd .*-> failed",
    "link_error": r"^ata\d+(?:\.\d+)?: .*(?:exception|failed command|link is slow|SError: \{"
    r"|hard resetting link|COMRESET failed|softreset failed|failed to IDENTIFY|\bdisabled$"
    r"|revalidation failed|limiting SATA|lost interrupt|qc timeout|excessive errors"
    r"|error: \{ |status: \{ )|rejecting I/O to (?:offline|dead) device|device offlined"
    r"|^sd .*(?:timing out command|FAILED Result: |failed: result: hostbyte=)"
    r"|attempting task abort|task abort: failed|blocked FC remote port"
    r"|detected conn error|session recovery timed out|ping timeout of \d+ secs|HC died"
    r"|^mmc\S*: .*(?:error -\d+|timed out|timeout waiting)|uas_eh_\w+_handler"
    r"|^(?:megaraid|mpt|aacraid|hpsa|smartpqi).*(?:fault_state|firmware (?:fault|error)"
    r"|adapter (?:abort|reset) request|controller lockup|resetting (?:logical|physical)|\bFAULT\b)"
    r"|^(?:block )?nbd\d+: .*(?:timed out|failed|shutting down)|^rbd: \S+: .*result -\d"
    r"|server \S+ (?:not responding|has not responded)",
    "io_error": r"\b(?:I/?O|timeout|critical [\w ]+|recoverable transport|protection) error"
    r"(?!,? (?:on )?dev (?:fd|sr)\d)|\bI/?O failure\b|(?:read|write)-error on swap-device"
    r"|writeback error on inode|unrecoverable (?:medium|read) error"
    r"|sense key ?: (?:medium|hardware) error|sense key ?: aborted command"
    r"|add\. sense: .*(?:error|fail|fault|defect|exceeded|time-?out)",
    "trace": r"^\s*call trace:|^WARNING: (?:CPU: \d|.* at \S+:\d+)|\[ cut here \]",
}

_COMPILED = {kind: re.compile(says, re.IGNORECASE) for kind, says in _SAYS.items()}
"""A message counts as the first kind that has it, in whatever case of letters.

The words are those of the kernel's own sources. What an ordinary boot says is none of them: an
empty port's link that is down, a floppy drive that is not there, ``EDAC MC: Ver: 3.0.0``.
"""

KINDS = (
    "bug", "oops", "panic", "hung_task", "hardware", "io_error", "link_error", "md", "xfs", "ext",
    "out_of_memory", "nvme", "btrfs", "filesystem", "device_mapper", "trace",
)  # fmt: skip
"""Fixed words for what went wrong, in the order in which they are told."""

_NAME = r"[a-z]{2,8}[a-z0-9-]{0,16}"
_DEVICE = re.compile(
    rf"\b(?:on )?dev ({_NAME}),|[Dd]isk failure on ({_NAME}),|^sd [0-9:]+ \[({_NAME})\]"
    rf"|^md/raid\S*: ({_NAME}): |non-fresh ({_NAME}) from|^(nvme\d+n\d+): "
    rf"|^(?:BTRFS|EXT[234]-fs) .*\(device ({_NAME})\)|^EXT[234]-fs \(({_NAME})\): "
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
        kind = next((kind for kind, says in _COMPILED.items() if says.search(message)), None)
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
