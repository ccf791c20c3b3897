"""Who holds apt's and dpkg's locks.

apt waits for dpkg's lock only (``DPkg::Lock::Timeout``); for the two others it fails at once
(apt-pkg/acquire.cc and update.cc: ``GetLock``). All are POSIX record locks, which the kernel lists
in /proc/locks by inode (proc_locks(5)); the holder's open files tell the inode from another
filesystem's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tastyops.facts.readings import Answer, Parsers, Reading, need_ok

FRONTEND = "/var/lib/dpkg/lock-frontend"
DPKG = "/var/lib/dpkg/lock"
LISTS = "/var/lib/apt/lists/lock"
ARCHIVES = "/var/cache/apt/archives/lock"

WORDS = {
    FRONTEND: "dpkg",
    DPKG: "dpkg",
    LISTS: "apt's package lists",
    ARCHIVES: "apt's package archive",
}
"""What each lock is on, for a message."""

SCRIPT = rf"""
for lock in {FRONTEND} {DPKG} {LISTS} {ARCHIVES}; do
  inode=$(stat -c %i "$lock" 2>/dev/null) || continue
  while read -r _ kind _ _ pid where _; do
    case $kind:$where in POSIX:*:"$inode") ;; *) continue ;; esac
    for open in /proc/"$pid"/fd/*; do
      test "$(readlink "$open" 2>/dev/null)" = "$lock" || continue
      echo "$lock $pid $(cat /proc/"$pid"/comm)"
      break
    done
  done </proc/locks
done
exit 0
"""

LOCKS = Reading(("sh", "-c", SCRIPT, "apt-locks"), "apt_locks")


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds one of the locks."""

    lock: str
    pid: int
    program: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.program}) holds the lock on {WORDS[self.lock]}"


def holders_of(found: Iterable[Holder], locks: Iterable[str]) -> list[Holder]:
    """Those of them that hold one of these locks; a process once."""
    wanted = set(locks)
    seen: dict[tuple[int, str], Holder] = {}
    for holder in found:
        if holder.lock in wanted:
            seen.setdefault((holder.pid, WORDS[holder.lock]), holder)
    return list(seen.values())


def _locks(answer: Answer) -> tuple[Holder, ...]:
    found = []
    for line in need_ok(answer).splitlines():
        lock, _, rest = line.partition(" ")
        pid, _, program = rest.partition(" ")
        if lock in WORDS and pid.isdigit():
            name = "".join(each for each in program if each.isprintable())[:40]
            found.append(Holder(lock, int(pid), name or "?"))
    return tuple(found)


PARSERS: Parsers = {"apt_locks": _locks}
