"""The modelled machine's parts put together: what is on its disks, in /proc and in its packages."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping

from tastyops.practice import initramfs, kalimdor
from tastyops.practice.clock import PracticeClock
from tastyops.practice.files import Files
from tastyops.practice.grub import Grub
from tastyops.practice.grub_cfg import entry_path
from tastyops.practice.initramfs import Initramfs
from tastyops.practice.logind import Logind
from tastyops.practice.packages import Packages
from tastyops.practice.processes import Processes
from tastyops.practice.storage import Storage
from tastyops.practice.timers import Timers
from tastyops.practice.units import Units
from tastyops.practice.usage_tools import Looking
from tastyops.practice.users import Terminal, Users


class Parts:
    """The parts, as kalimdor has them after its last boot."""

    def __init__(self, name: str, clock: PracticeClock, options: kalimdor.Options) -> None:
        self.name = name
        self.clock = clock
        self.processes = Processes(clock)
        self.processes.booted = clock.time() - kalimdor.UPTIME
        self.lock = self.processes.lock
        self.clock_off = 0.0
        """Seconds the machine's own clock is ahead of the practice time."""
        self._options = options
        self._other_build = False
        self._back_at = self._settled_at = clock.time() - kalimdor.UPTIME
        self._booted = {kalimdor.OLDER_KERNEL: int(self._back_at - kalimdor.OLDER_RAN)}
        self._new_boot(kalimdor.OLD_KERNEL)
        self.files = Files()
        self.users = Users(name, clock)
        self.logind = Logind(clock, self.users, self._changed)
        self.timers = Timers(clock, self.users)
        self.grub = Grub(self.files, options.grub_default)
        self.packages = Packages(kalimdor.packages())
        self.units = Units(
            kalimdor.units(options), self.processes, self._starting, self.timers.stop
        )
        self._furnish()

    @property
    def terminals(self) -> Mapping[str, Terminal]:
        """The terminals of those who were logged in, by user."""
        return self.users.terminals

    def _changed(self) -> None:
        with self.lock:
            self.lock.notify_all()

    def _new_boot(self, release: str) -> None:
        self.kernel = release
        self._booted[release] = int(self._back_at)
        # Nobody's secret and no key depends on it: it only has to differ from boot to boot.
        self.boot_id = str(uuid.UUID(int=random.getrandbits(128), version=4))

    @property
    def build(self) -> str:
        """``uname -v`` of the running kernel."""
        if self._other_build:
            return "#1 SMP PREEMPT_DYNAMIC Debian 6.1.162-1 (2026-02-11)"
        return kalimdor.BUILDS.get(self.kernel, "#1 SMP PREEMPT_DYNAMIC Debian")

    def _starting(self) -> bool:
        return self.clock.time() < self._settled_at

    def _furnish(self) -> None:
        files, release = self.files, self.kernel
        for directory in kalimdor.DIRECTORIES:
            files.add_directory(directory)
        for path, content in kalimdor.FILES.items():
            files.add(path, content)
        files.add("/etc/hostname", f"{self.name}\n")
        facts: dict[str, Callable[[], str]] = {
            "/proc/sys/kernel/random/boot_id": lambda: f"{self.boot_id}\n",
            "/proc/sys/kernel/hostname": lambda: f"{self.name}\n",
            "/proc/sys/kernel/osrelease": lambda: f"{self.kernel}\n",
            "/proc/version": lambda: f"Linux version {self.kernel} {self.build}\n",
            "/proc/cmdline": lambda: f"BOOT_IMAGE=/vmlinuz-{self.kernel} ro quiet\n",
            "/proc/uptime": lambda: f"{self.uptime():.2f} {self.uptime() * 1.9:.2f}\n",
            "/proc/loadavg": lambda: "0.08 0.03 0.01 1/214 611\n",
        }
        for path, make in facts.items():
            files.add(path, _made(make))
        default = self._options.grub_default
        files.add("/etc/default/grub", f"GRUB_DEFAULT={default}\nGRUB_TIMEOUT=5\n")
        for installed in (kalimdor.OLDER_KERNEL, release):
            head = kalimdor.image_head(installed)
            files.add_opaque(f"/boot/vmlinuz-{installed}", 8_194_304, head)
        self.storage = Storage(self.clock, files, self.processes)
        self.initramfs = Initramfs(files, self.processes)
        for installed in (kalimdor.OLDER_KERNEL, release):
            initramfs.make(files, installed)
        self.grub.set("saved_entry", entry_path(release))
        self.grub.update()
        for user, source, ago in kalimdor.USERS:
            self.users.log_in(user, source, ago)
        self.looking = Looking(
            self.files, self.storage.mounts, self.users, self.storage.boot_code.links,
            self.units.runs,
        )  # fmt: skip

    def uptime(self) -> float:
        """Seconds since this boot."""
        return self.clock.time() - self.processes.booted


def _made(make: Callable[[], str]) -> Callable[[], bytes]:
    return lambda: make().encode()
