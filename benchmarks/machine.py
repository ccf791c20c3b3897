"""The machine the figures were taken on, and a directory that really is on a disk."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path

_IN_MEMORY = {"tmpfs", "ramfs"}


def describe(folder: Path) -> dict[str, str]:
    """What a reader needs to know to compare the figures with others."""
    return {
        "cores": str(os.cpu_count()),
        "processor": _processor(),
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "OpenSSH": _openssh(),
        "paramiko": version("paramiko"),
        "Fabric": version("fabric"),
        "journals on": filesystem(folder),
        "load at the start": f"{os.getloadavg()[0]:.1f}",
    }


def disk_folder() -> Path:
    """The first usual place for temporary files that is not in memory."""
    places = [Path(tempfile.gettempdir()), Path("/var/tmp"), Path.cwd()]
    return next((p for p in places if p.is_dir() and filesystem(p) not in _IN_MEMORY), places[0])


def memory_folder() -> Path | None:
    """Where a host keeps the fates of changes: in memory, if this machine has such a place."""
    place = Path("/dev/shm")
    return place if place.is_dir() and os.access(place, os.W_OK) else None


def filesystem(folder: Path) -> str:
    """The type of the file system a directory is on."""
    where = os.path.realpath(folder)
    best, kind = "", "unknown"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        point = before.split()[4]
        inside = where == point or where.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, after.split()[0]
    return kind


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _openssh() -> str:
    said = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False).stderr
    found = re.match(r"OpenSSH_([^\s,]+)", said)
    return found[1] if found else "unknown"
