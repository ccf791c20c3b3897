"""The boot the modelled machine is running, and where its next boot ends.

Which kernel runs and since when, the programs and files that report it, how long a boot takes, and
what a boot comes to by the files in /boot and the kernel's command line.
"""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from tastyops.facts import boot_source
from tastyops.practice import initramfs
from tastyops.practice.calls import Call, Command, Commands
from tastyops.practice.files import Files, NotModelled
from tastyops.practice.grub_menu import Entry
from tastyops.practice.processes import Processes
from tastyops.practice.storage import Storage

DEAD_ENDS = {
    "panic": "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
    "initramfs": "ALERT!  /dev/mapper/volume-root does not exist.  Dropping to a shell!\n"
    "\n(initramfs) ",
    "grub-prompt": "grub> ",
    "grub-rescue": "error: no such device.\ngrub rescue> ",
    "grub-password": "Enter username: ",
    "emergency": "You are in emergency mode.\nGive root password for maintenance\n"
    "(or press Control-D to continue): ",
    "passphrase": "Please unlock disk sda3_crypt: ",
    "no-boot-device": "No bootable device.",
}
"""What the console shows where a boot ends, by the name tastyops gives that end.

The texts are those of GRUB 2, initramfs-tools, sulogin(8), cryptsetup and SeaBIOS.
"""

BEFORE_A_KERNEL = ("grub-prompt", "grub-rescue", "grub-password", "no-boot-device")
"""Dead ends of a boot that has loaded no kernel."""

DOWN = 45.0
"""Seconds from the shutdown until sshd accepts connections again."""

SETTLES = 15.0
"""Seconds from then until systemd has finished starting."""

KERNEL_STARTS = 20.0
"""Seconds from the shutdown until the new kernel runs; firmware and GRUB take this time."""

MENU_WAITS = 5.0
"""Seconds the boot menu waits for a key, ``GRUB_TIMEOUT``."""

MENU_REAL = 3.0
"""Shortest wait of the boot menu, in real seconds."""

MENU_LONGEST = 240.0
"""Longest wait of the boot menu in practice seconds; a reboot is given more time than this."""

DOMAIN = "tastycake.net"
_DRIVERS = ("sd_mod", "ahci")
_MOUNT = ("findmnt", "--json", "--bytes", "--output", "TARGET,SOURCE,FSTYPE,OPTIONS,AVAIL")
_TABLE = ("findmnt", "--fstab", "--evaluate", "--json", "--output", "TARGET,SOURCE,FSTYPE,OPTIONS")
_BLOCKS = ("lsblk", "--json", "--bytes", "--output", "NAME,KNAME,PATH,TYPE,FSTYPE,UUID")
_REPLACED_BUILD = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.162-1 (2026-02-11)"
_UNAME_LETTERS = {"s": 0, "n": 1, "r": 2, "v": 3, "m": 4, "o": 5}
_UNAME_OPTIONS = {
    "--kernel-name": "s",
    "--nodename": "n",
    "--kernel-release": "r",
    "--kernel-version": "v",
    "--machine": "m",
    "--operating-system": "o",
    "--all": "a",
}
_DATE_CONVERSIONS = "aAbBcdDeFHIjklmMnpPrRStTuUwWxXyYZz%"
"""Conversions that date(1) and strftime(3) share."""


class Boot:
    """The running boot: its kernel, its boot id and when its start is complete."""

    def __init__(self, hostname: str, processes: Processes, builds: Mapping[str, str]) -> None:
        self.hostname, self.processes, self.clock = hostname, processes, processes.clock
        self._builds = builds
        self.kernel = ""
        """Release of the running kernel (``uname -r``)."""
        self.id = ""
        self.kernels: dict[str, int] = {}
        """When each kernel that has run was last started, in practice seconds since the epoch."""
        self.ready_at = 0.0
        """When systemd has finished starting, in practice seconds since the epoch."""
        self.build_replaced = False
        """Whether the running kernel is another build than the image in /boot."""
        self.clock_offset = 0.0
        """Seconds by which the machine's own clock is ahead of the practice time."""

    def start(self, kernel: str, at: float) -> None:
        """Starts a kernel at that time: a new boot id, and the uptime counts from there."""
        self.kernel = kernel
        self.kernels[kernel] = int(at)
        self.processes.booted = at
        # No secret depends on the boot id: it only has to differ from boot to boot.
        self.id = str(uuid.UUID(int=random.getrandbits(128), version=4))

    @property
    def build(self) -> str:
        """``uname -v`` of the running kernel."""
        if self.build_replaced:
            return _REPLACED_BUILD
        return self._builds.get(self.kernel, "#1 SMP PREEMPT_DYNAMIC Debian")

    def starting(self) -> bool:
        """Whether systemd is still starting the machine."""
        return self.clock.time() < self.ready_at

    def uptime(self) -> float:
        """Seconds since the kernel started; negative while the machine is on its way to it."""
        return self.clock.time() - self.processes.booted

    def publish(self, files: Files) -> None:
        """Adds the files in /proc that report this boot."""
        contents: dict[str, Callable[[], str]] = {
            "/proc/sys/kernel/random/boot_id": lambda: f"{self.id}\n",
            "/proc/sys/kernel/hostname": lambda: f"{self.hostname}\n",
            "/proc/sys/kernel/osrelease": lambda: f"{self.kernel}\n",
            "/proc/version": lambda: f"Linux version {self.kernel} {self.build}\n",
            "/proc/cmdline": lambda: f"BOOT_IMAGE=/vmlinuz-{self.kernel} ro quiet\n",
            "/proc/uptime": lambda: f"{self.uptime():.2f} {self.uptime() * 1.9:.2f}\n",
            "/proc/loadavg": lambda: "0.08 0.03 0.01 1/214 611\n",
        }
        for path, make in contents.items():
            files.add(path, _encoded(make))


def _encoded(make: Callable[[], str]) -> Callable[[], bytes]:
    return lambda: make().encode()


# -- where a boot ends ---------------------------------------------------------------------------


def dead_end(files: Files, release: str | None, ends_at: str = "") -> str:
    """What the console shows of a boot that fails; empty for a boot that succeeds.

    ``ends_at`` names the dead end every boot of this machine comes to, if its options set one.
    """
    if ends_at:
        return DEAD_ENDS[ends_at]
    if release is None:
        return "grub rescue> "
    image, initrd = f"/boot/vmlinuz-{release}", f"/boot/initrd.img-{release}"
    if not files.exists(image) or not files.size(image):
        return f"error: file `/vmlinuz-{release}' not found."
    if not files.exists(initrd):
        return DEAD_ENDS["panic"]
    if files.size(initrd) < initramfs.WHOLE:
        return f"Initramfs unpacking failed\n{DEAD_ENDS['panic']}"
    return ""


def systemd_mode(entry: Entry | None, words: Sequence[str]) -> str:
    """``rescue`` or ``emergency`` as the kernel's command line asks; empty for a normal start.

    Source: kernel-command-line(7). ``words`` is the command line where it was edited in the menu.
    """
    for mode in ("rescue", "emergency"):
        if f"systemd.unit={mode}.target" in words:
            return mode
    return "rescue" if entry is not None and entry.recovery else ""


# -- programs ------------------------------------------------------------------------------------


class SystemTools:
    """Programs that report what the machine is: uname, hostname, date, id, whoami, uptime."""

    def __init__(self, boot: Boot) -> None:
        self._boot = boot

    def commands(self) -> Commands:
        """The programs by name."""
        return {
            "uname": self._uname,
            "hostname": self._hostname,
            "date": self._date,
            "id": _id,
            "whoami": _whoami,
            "uptime": self._uptime,
            "true": lambda _: 0,
            "false": lambda _: 1,
        }

    def _uname(self, call: Call) -> int:
        boot = self._boot
        values = ("Linux", boot.hostname, boot.kernel, boot.build, "x86_64", "GNU/Linux")
        letters = ""
        for word in call.argv[1:]:
            short = _UNAME_OPTIONS.get(word) or word.removeprefix("-")
            if not word.startswith("-") or set(short) - {*_UNAME_LETTERS, "a"}:
                raise NotModelled(" ".join(call.argv))
            letters += short
        wanted = _UNAME_LETTERS if "a" in letters else (letters or "s")
        call.say(" ".join(values[n] for letter, n in _UNAME_LETTERS.items() if letter in wanted))
        return 0

    def _hostname(self, call: Call) -> int:
        name = self._boot.hostname
        match call.argv[1:]:
            case () | ("-s",) | ("--short",):
                call.say(name)
            case ("-f",) | ("--fqdn",) | ("--long",):
                call.say(name if "." in name else f"{name}.{DOMAIN}")
            case _:
                raise NotModelled(" ".join(call.argv))
        return 0

    def _date(self, call: Call) -> int:
        words = [word for word in call.argv[1:] if word not in ("-u", "--utc")]
        form = "%a %b %e %H:%M:%S UTC %Y"
        if len(words) == 1 and words[0].startswith("+"):
            form = words[0][1:]
        elif words:
            raise NotModelled(" ".join(call.argv))
        now = self._boot.clock.time() + self._boot.clock_offset

        def value(match: re.Match[str]) -> str:
            if match[1] == "s":
                return str(int(now))
            if match[1] not in _DATE_CONVERSIONS:
                raise NotModelled(f"date's {match[0]}")
            return datetime.fromtimestamp(now, UTC).strftime(match[0])

        call.say(re.sub(r"%(.)", value, form))
        return 0

    def _uptime(self, call: Call) -> int:
        if len(call.argv) > 1:
            raise NotModelled(" ".join(call.argv))
        seconds = int(self._boot.uptime())
        days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
        call.say(
            f" {self._boot.clock.now():%H:%M:%S} up {days} days, {hours:2}:{minutes:02},"
            "  3 users,  load average: 0.08, 0.03, 0.01"
        )
        return 0


def _id(call: Call) -> int:
    uid = call.process.uid
    name = "root" if uid == 0 else f"user{uid}"
    match call.argv[1:]:
        case ():
            call.say(f"uid={uid}({name}) gid={uid}({name}) groups={uid}({name})")
        case ("-u",) | ("-g",) | ("-G",):
            call.say(str(uid))
        case ("-un",) | ("-gn",) | ("-u", "-n"):
            call.say(name)
        case _:
            raise NotModelled(" ".join(call.argv))
    return 0


def _whoami(call: Call) -> int:
    call.say("root" if call.process.uid == 0 else f"user{call.process.uid}")
    return 0


class BootSourceScript:
    """Answers tastyops' script that reads where the machine boots from, without running a shell.

    The answer comes from the model's disks, mirrors and mounts; ``dispatch`` runs the programs
    whose output the script includes.
    """

    def __init__(self, storage: Storage, boot: Boot, dispatch: Command) -> None:
        self._storage, self._boot, self._dispatch = storage, boot, dispatch

    def scripts(self) -> Commands:
        """The script's text and what answers it."""
        return {boot_source.SCRIPT: self._answer}

    def _answer(self, call: Call) -> int:
        boot = "/boot" if self._storage.mounts.at("/boot") else "/"
        for name, argv in (
            ("root", (*_MOUNT, "--mountpoint", "/")),
            ("boot", (*_MOUNT, "--mountpoint", boot)),
            ("fstab", _TABLE),
            ("blocks", _BLOCKS),
        ):
            call.say(f"== {name}")
            self._dispatch(replace(call, argv=argv))
        call.say("== system")
        for disk in self._storage.disks:
            for module in _DRIVERS:
                call.say(f"driver {disk.name} {module}")
            call.say(f"code {disk.name} {'grub there' if disk.boot_code else 'none none'}")
        for mirror in self._storage.mirrors:
            for leg in mirror.legs:
                call.say(f"member {mirror.name} {leg.device} {leg.state}")
            call.say(f"degraded {mirror.name} {mirror.degraded}")
        call.say("== booted")
        for release, at in self._boot.kernels.items():
            call.say(f"{at} {release}")
        return 0
