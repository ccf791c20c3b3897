"""Which process on which machine drives a run, and whether one that did still lives."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from tastyops.shell.lock import Holder


@dataclass(frozen=True, slots=True)
class Controller:
    """One process, told apart from a later one with the same pid by when it started.

    ``started``: clock ticks after the machine's boot; empty where there is no /proc.
    """

    machine: str
    boot_id: str
    pid: int
    started: str

    def lives(self) -> bool | None:
        """Whether it still runs; None when that cannot be seen from this machine."""
        here = this_controller()
        if not self.boot_id or self.machine != here.machine:
            return None
        if self.boot_id != here.boot_id:
            return False
        return bool(self.started) and _started(self.pid) == self.started


def this_controller() -> Controller:
    """The process that asks."""
    return Controller(socket.gethostname(), _boot_id(), os.getpid(), _started(os.getpid()))


def controller_of(holder: Holder) -> Controller:
    """The one a host's lock names."""
    return Controller(holder.controller, holder.controller_boot, holder.pid, holder.started)


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Field 22 of /proc/PID/stat (proc(5)); empty when there is no such process, or only its
    remains.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return fields[19] if len(fields) > 19 and fields[0] not in ("Z", "X") else ""
