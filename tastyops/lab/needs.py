"""Programs the lab needs on this machine, and the command that installs them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tastyops.errors import LabFailed, UsageError
from tastyops.facts import apt
from tastyops.lab import places, processes
from tastyops.lab.golden import Say
from tastyops.model.commands import Blob, Output

INSTALL_SECONDS = 900

LOCK_SECONDS = 300.0
"""Seconds to wait for the locks of apt and dpkg; a Debian upgrades itself every day."""

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


@dataclass(frozen=True, slots=True)
class Need:
    """A program, and the Debian or Ubuntu package that contains it."""

    program: str
    package: str


TO_RUN = (
    Need("qemu-system-x86_64", "qemu-system-x86"),
    Need("qemu-img", "qemu-utils"),
    Need("ipmi_sim", "openipmi"),
    Need("ipmitool", "ipmitool"),
    Need("ssh", "openssh-client"),
)
TO_BUILD = (
    Need("debootstrap", "debootstrap"),
    Need("mke2fs", "e2fsprogs"),
    Need("unshare", "util-linux"),
)


def missing(*, building: bool) -> list[str]:
    """Packages that are missing, without duplicates."""
    needs = (*TO_RUN, *TO_BUILD) if building else TO_RUN
    wanted = [need.package for need in needs if shutil.which(need.program, path=_PATH) is None]
    return list(dict.fromkeys(wanted))


def install_command(packages: list[str]) -> list[str]:
    """Command line that installs packages."""
    return ["apt-get", "install", "-y", "--no-install-recommends", *packages]


def ensure_installed(say: Say, log: Path, *, building: bool, install: bool) -> None:
    """Installs missing packages if ``install`` is set; otherwise raises UsageError naming them."""
    os.environ["PATH"] = _PATH  # an ordinary user's has no /usr/sbin, where some of these are
    packages = missing(building=building)
    root = os.geteuid() == 0
    if packages and not (install and root):
        words = " ".join(install_command(packages))
        raise UsageError(
            f"The lab needs {', '.join(packages)} on this machine.",
            still_true="Nothing was installed or started.",
            next_step=f"Run `apt-get update && {words}` as root"
            + (", or say --install." if root else "; --install does it when run as root."),
        )
    if building and not root:
        base = places.cache().parent.parent
        base.mkdir(parents=True, exist_ok=True)  # by you: what is built in it will be yours
        raise UsageError(
            "Building the lab needs root (debootstrap and chroot do); running it does not.",
            still_true="Nothing was started.",
            next_step=f"Run `sudo env XDG_CACHE_HOME={shlex.quote(str(base))} invoke lab.build`.",
        )
    if packages:
        say(f"Installing {', '.join(packages)} …")
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        wait_for_locks(say)
        processes.run_to_end(["apt-get", "-q", "update"], log, timeout=300, environment=quiet)
        wait_for_locks(say)
        processes.run_to_end(
            install_command(packages), log, timeout=INSTALL_SECONDS, environment=quiet
        )


def wait_for_locks(
    say: Say, look: Callable[[], Sequence[apt.Holder]] | None = None, patience: float = LOCK_SECONDS
) -> None:
    """Waits until the locks of apt and dpkg are free, naming their holder. Raises LabFailed."""
    look, told = look or _holders, set[str]()
    due = time.monotonic() + patience
    while held := apt.holders_of(look(), apt.WORDS):
        who = "; ".join(map(str, held))
        if time.monotonic() >= due:
            raise LabFailed(
                f"After {patience:g} seconds {who}.",
                still_true="Nothing was installed or started.",
                next_step="Wait until it has ended, and start the lab again.",
            )
        if who not in told:
            say(f"{who}: waiting, at most {patience:g} seconds.")
            told.add(who)
        time.sleep(min(1.0, patience))


def _holders() -> Sequence[apt.Holder]:
    ended = subprocess.run(apt.LOCKS.argv, capture_output=True, check=False)
    found: tuple[apt.Holder, ...] = apt.PARSERS[apt.LOCKS.parser](
        Output(ended.returncode, Blob.of(ended.stdout))
    )
    return found
