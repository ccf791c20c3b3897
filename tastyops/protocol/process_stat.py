"""What a line of /proc/PID/stat says of a process (proc(5)), on a host or on this machine."""

from __future__ import annotations


def start_time(stat: str, *, remains: bool = True) -> str:
    """Field 22: when it was started, in clock ticks after boot. Empty for an empty line.

    The second field is in parentheses and may hold anything. Without ``remains`` a process that
    has ended and was not yet waited for (state Z or X) counts as none.
    """
    fields = stat.rpartition(")")[2].split()
    if len(fields) < 20 or (not remains and fields[0] in ("Z", "X")):
        return ""
    return fields[19]
