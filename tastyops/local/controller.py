"""Which process on which machine drives a run, and whether one that did still lives."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from tastyops.protocol.host_lock import Holder
from tastyops.protocol.process_stat import start_time


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
    return Controller(socket.gethostname(), boot_id(), os.getpid(), _started(os.getpid()))


def controller_of(holder: Holder) -> Controller:
    """The one a host's lock names."""
    return Controller(holder.controller, holder.controller_boot, holder.pid, holder.started)


def boot_id() -> str:
    """This machine's boot id; empty where there is no /proc."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def _started(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return ""
    return start_time(stat, remains=False)
