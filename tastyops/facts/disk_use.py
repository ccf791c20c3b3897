"""Who holds a disk in ways that lsblk does not show: claims of the kernel, and open files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tastyops.errors import ProbeFailed
from tastyops.facts.readings import Answer, Parsers, Reading, need_ok

EXCLUSIVE = (
    "use Fcntl; use Errno; sysopen(my $d, $ARGV[0], O_RDONLY | O_EXCL) and exit 0;"
    " exit($!{EBUSY} ? 1 : $!{EACCES} || $!{EPERM} || $!{ENOENT} ? 2 : 0)"
)
"""In Perl, which every Debian has: opens a device for exclusive use, for reading, and closes it."""

SCRIPT = f"""claim() {{
  if command -v perl; then
    perl -e '{EXCLUSIVE}' "$1"
  elif command -v python3; then
    python3 -c 'import errno, os, sys
try: os.open(sys.argv[1], os.O_RDONLY | os.O_EXCL)
except OSError as e:
    untold = errno.EACCES, errno.EPERM, errno.ENOENT
    sys.exit(1 if e.errno == errno.EBUSY else 2 if e.errno in untold else 0)' "$1"
  else
    return 2
  fi
}}
if command -v udevadm >/dev/null; then udevadm settle --timeout=10; fi
for device do
  claim "$device" >/dev/null 2>&1
  case $? in 0) ;; 1) echo "claimed $device" ;; *) echo "unknown $device" ;; esac
  find /proc -maxdepth 3 -path '/proc/[0-9]*/fd/*' -lname "$device" 2>/dev/null |
  while read -r file; do
    number=${{file#/proc/}}
    number=${{number%%/*}}
    echo "open $device $number $(cat "/proc/$number/comm" 2>/dev/null)"
  done
done
exit 0"""
"""Opens each device for exclusive use, and looks for processes that have it open.

open(2): a block device that the system uses cannot be opened with O_EXCL, which fails with EBUSY.
That holds for every use inside the kernel, and for a whole disk while one of its partitions is
used. The kernel tests the claim before it opens the device, so that a disk which no longer answers
fails with another error and is not claimed. Only reads: nothing is written, and closing a device
opened for reading makes no event. udev is waited for: what it starts, such as mdadm, claims a new
device for a moment.
"""

_ONLOOKERS = re.compile(r"\(?udev-worker\)?|systemd-udevd|smartd|udisksd|multipathd|mdadm")
"""Programs that have a disk open for a moment, or only to look at it."""


@dataclass(frozen=True, slots=True)
class DeviceHolders:
    """Device nodes by how they are held; ``opened`` has a node and the process that has it open."""

    claimed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    opened: tuple[tuple[str, str], ...] = ()


def holders(devices: Sequence[str]) -> Reading:
    """Who holds a disk; ``devices`` are its node and those of its partitions. Needs root."""
    return Reading(("sh", "-c", SCRIPT, "disk-holders", *devices), "disk_holders")


def _holders(answer: Answer) -> DeviceHolders:
    found: dict[str, list[str]] = {"claimed": [], "unknown": []}
    opened: list[tuple[str, str]] = []
    for line in need_ok(answer).splitlines():
        word, _, rest = line.partition(" ")
        if word in found:
            found[word].append(rest)
        elif word == "open" and len(rest.split(None, 2)) > 1:
            device, number, *name = rest.split(None, 2)
            process = f"{name[0] if name else 'a process'} ({number})"
            if not (name and _ONLOOKERS.fullmatch(name[0])):
                opened.append((device, process))
        else:
            raise ProbeFailed("that does not say who holds a disk")
    return DeviceHolders(
        tuple(found["claimed"]), tuple(found["unknown"]), tuple(dict.fromkeys(opened))
    )


PARSERS: Parsers = {"disk_holders": _holders}
