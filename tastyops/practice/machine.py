"""The modelled machine: its parts put together, its programs, and its life between boots.

It is brought up to date with the clock whenever somebody looks (``catch_up``), so it needs no
thread of its own; the server's only waits for ``next_due``.
"""

from __future__ import annotations

import random
import traceback
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tastyops.practice import initramfs, kalimdor
from tastyops.practice.apt import Apt
from tastyops.practice.bootmenu import ENTER, BootMenu
from tastyops.practice.bootreadings import BootReadings
from tastyops.practice.calls import Call, Command, Input, program_name
from tastyops.practice.clock import PracticeClock
from tastyops.practice.deadends import DEAD_ENDS
from tastyops.practice.files import FileProblem, Files, NotModelled
from tastyops.practice.grub import Grub
from tastyops.practice.grubcfg import Entry, entry_path
from tastyops.practice.initramfs import Initramfs
from tastyops.practice.interpreter import Interpreter
from tastyops.practice.logind import Logind, Shutdown
from tastyops.practice.looking import Looking
from tastyops.practice.packages import Packages
from tastyops.practice.processes import Killed, Process, Processes
from tastyops.practice.serial import SerialConsole
from tastyops.practice.storage import Storage
from tastyops.practice.system import System
from tastyops.practice.texttools import TextTools
from tastyops.practice.timers import Timers
from tastyops.practice.tools import Tools
from tastyops.practice.units import Units
from tastyops.practice.users import Terminal, Users

RACK_GOES_DARK = "the rack goes dark"
"""What a manual step says that has the power taken away, and given back."""

DOWN = 45.0
"""Seconds from the shutdown until sshd accepts connections again."""

SETTLES = 15.0
"""Seconds from then until systemd has finished starting."""

_KERNEL_STARTS = 20.0
"""Seconds from the shutdown until the new kernel runs: firmware and GRUB take the rest."""

_MENU_WAITS = 5.0
"""Seconds the boot menu waits for a key, ``GRUB_TIMEOUT``."""

_MENU_REAL = 3.0
"""Real seconds it waits at least."""

_MENU_LONGEST = 240.0
"""Seconds it waits at most, however fast the clock runs: less than a reboot may take."""

_DARK = 20 * 60.0
"""Seconds that the rack stays dark while somebody works on its power feed."""

_PANIC = "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended and what it wrote."""

    status: int
    out: bytes
    err: bytes


class Machine:
    """A model of kalimdor under the name of the inventory's host."""

    def __init__(
        self, name: str, clock: PracticeClock, settings: Mapping[str, Any] | None = None
    ) -> None:
        options = kalimdor.Options.of(settings or {})
        self.name = name
        self.clock = clock
        self.processes = Processes(clock)
        self.processes.booted = clock.time() - kalimdor.UPTIME
        self.lock = self.processes.lock
        self.clock_off = 0.0
        """Seconds the machine's own clock is ahead of the practice time."""
        self.phase: Literal["up", "down", "menu", "panicked", "rescue", "off"] = "up"
        self.serial: SerialConsole | None = None
        """Its console, where somebody made one; with a listener the boot menu waits for keys."""
        self._menu: BootMenu | None = None
        self._menu_ends = 0.0
        self._power_goes = False
        self._power_back: float | None = None
        self.console: list[str] = []
        self._options = options
        self._other_build = False
        self._restarts = 0
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
        self._programs = self._build()

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

    # -- making it ---------------------------------------------------------------------------

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

    def _build(self) -> dict[str, Command]:
        apt = Apt(
            self.packages,
            self.files,
            self.grub,
            self.processes,
            truncated_initrd=self._options.truncated_initrd,
        )
        system = System(
            self.name,
            self.clock,
            self.processes,
            lambda: (self.kernel, self.build),
            lambda: self.clock_off,
        )
        parts = (
            self.users,
            self.logind,
            self.timers,
            self.units,
            self.grub,
            self.packages,
            apt,
            system,
            self.storage,
            Looking(
                self.files, self.storage.mounts, self.users, self.storage.boot_code.links
            ),
            Tools(self.files, self.processes, self._dispatch),
            TextTools(self.files),
            Interpreter(
                self.files,
                self.processes,
                self._dispatch,
                self._knows,
                {
                    **BootReadings(self.storage, self._booted, self._dispatch).scripts(),
                    **self.initramfs.scripts(),
                    **self.storage.scripts(),
                },
            ),
            self.initramfs,
        )
        programs: dict[str, Command] = {}
        for part in parts:
            programs.update(part.commands())
        return programs

    def uptime(self) -> float:
        """Seconds since this boot."""
        return self.clock.time() - self.processes.booted

    # -- running programs --------------------------------------------------------------------

    def _dispatch(self, call: Call) -> int:
        """What a program uses to run another one. Raises NotModelled, FileProblem, Killed."""
        program = self._programs.get(program_name(call.argv[0]))
        if program is None:
            raise NotModelled(f"the command {call.argv[0]!r}")
        return program(call)

    def _knows(self, name: str) -> bool:
        return program_name(name) in self._programs

    def run(self, call: Call) -> int:
        """Runs a program; the machine's lock is held except while it sleeps. Raises Killed."""
        with self.lock:
            self.catch_up()
            call.process.check()
            try:
                return self._dispatch(call)
            except NotModelled as missing:
                call.complain(not_modelled(self.name, str(missing)))
                return missing.status
            except FileProblem as problem:
                call.complain(f"{call.argv[0]}: {problem}")
                return 1
            except Killed:
                raise
            except Exception:  # a fault of the model must not look like the host's answer
                call.complain(f"PRACTICE HOST: a fault of tastyops:\n{traceback.format_exc()}")
                return 125

    def execute(
        self, argv: Sequence[str], stdin: bytes = b"", uid: int = 0, parent: Process | None = None
    ) -> Outcome:
        """Runs a program as a process of its own and gives everything it wrote.

        Raises ConnectionRefusedError while the machine is down.
        """
        self.catch_up()
        if not self.up:
            raise ConnectionRefusedError(f"the practice host {self.name} is down")
        out, err = bytearray(), bytearray()
        process = self.processes.begin(program_name(argv[0]), parent, leader=True, uid=uid)
        try:
            call = Call(tuple(argv), process, Input(stdin), out.extend, err.extend)
            status = self.run(call)
        except Killed as killed:
            status = 128 + killed.signal
        finally:
            self.processes.end(process)
        return Outcome(status, bytes(out), bytes(err))

    def by_hand(self, text: str) -> bool:
        """Does what a manual step asks for; False for what cannot be done."""
        with self.lock:
            self.catch_up()
            if RACK_GOES_DARK in text.lower():
                self._let_go_dark()
            return self.storage.hotplug.by_hand(text)

    @property
    def dark(self) -> bool:
        """Whether its rack has no power: neither it nor its power switch can be reached."""
        return self._power_back is not None

    def wait_for_power(self) -> None:
        """Waits until the works on its power feed are over, if there are any."""
        with self.lock:
            self.catch_up()
            while self._power_goes or self.dark:
                due = self.next_due()
                left = None if due is None else self.clock.real(due - self.clock.time())
                self.lock.wait(None if left is None else max(left, 0.0))
                self.catch_up()

    def _let_go_dark(self) -> None:
        """The rack loses its power once the machine is down; at once if it is not to go down."""
        if self.phase == "up" and self.logind.scheduled:
            self._power_goes = True
            return
        self._stop()
        self._in_the_dark()

    def _in_the_dark(self) -> None:
        self.phase, self._menu, self._power_goes = "off", None, False
        self._power_back = self.clock.time() + _DARK
        self._changed()

    # -- its life ----------------------------------------------------------------------------

    @property
    def up(self) -> bool:
        """Whether sshd accepts connections."""
        return self.phase == "up"

    def next_due(self) -> float | None:
        """When something will happen by itself, in practice seconds; None when nothing will."""
        if self.phase == "up":
            scheduled = self.logind.scheduled
            restarts = self._settled_at - SETTLES / 2 if self._restarts else None
            going = scheduled.at if scheduled and not self._options.never_goes_down else None
            moments = (going, self.timers.next_due(), restarts)
            return min((at for at in moments if at is not None), default=None)
        if self.phase == "menu" and self._menu is not None:
            return None if self._menu.held else self._menu_ends
        return self._back_at if self.phase == "down" else self._power_back

    def catch_up(self) -> None:
        """Lets everything happen that was due by now."""
        with self.lock:
            while (due := self.next_due()) is not None and due <= self.clock.time():
                self._happen(due)

    def _happen(self, due: float) -> None:
        scheduled = self.logind.scheduled
        if self.phase == "menu":
            self._boot(due, None, menu=False)
        elif self._power_back is not None:  # it starts by itself when power returns
            self._power_back = None
            self._boot(due, None)
            self._changed()
        elif self.phase != "up":
            self.phase = "up"
            self._say("OpenSSH server started.")
            self._prompt()
            self._changed()
        elif scheduled and scheduled.at <= due and not self._options.never_goes_down:
            self._restarts = self._options.boot_loops
            self._go_down(scheduled)
        elif self.timers.next_due() == due:
            self.timers.go_off()
        else:
            self._restarts -= 1
            self._go_down(Shutdown("reboot", due))

    def power_cycle(self, release: str | None = None) -> None:
        """Cuts the power and restores it; ``release`` is picked at the boot menu."""
        with self.lock:
            self._stop()
            self._boot(self.clock.time(), release)
            self._changed()

    @property
    def powered(self) -> bool:
        """Whether its power switch is on."""
        return self.phase != "off"

    def power_off(self) -> None:
        """Cuts the power."""
        with self.lock:
            self._stop()
            self.phase, self._menu = "off", None
            self._changed()

    def power_on(self) -> None:
        """Restores it; a machine that has it goes on."""
        with self.lock:
            if self.phase == "off":
                self._boot(self.clock.time(), None)
                self._changed()

    def _say(self, line: str) -> None:
        self.console.append(f"(practice console) {line}")
        if self.serial is not None:
            text = line if line.endswith(" ") else f"{line}\n"
            self.serial.say(text.replace("\n", "\r\n").encode())

    def _prompt(self) -> None:
        if self.serial is not None:
            self.serial.say(f"\r\n{self.name} login: ".encode())

    def typed(self, key: bytes) -> None:
        """A key at its console. It models the boot menu, and a login prompt that stands there."""
        with self.lock:
            self.catch_up()
            if self.phase == "menu" and self._menu is not None:
                chosen = self._menu.key(key)
                if chosen is None:
                    self._show_menu()
                else:
                    self._boot(self.clock.time(), chosen.release, menu=False, entry=chosen)
                self._changed()
            elif self.phase == "up" and key in ENTER:
                self._prompt()
            elif self.phase in ("up", "rescue") and key not in ENTER:
                self._say("\n(practice) logging in here is not modelled")

    def _show_menu(self) -> None:
        if self.serial is not None and self._menu is not None:
            self.serial.say(self._menu.drawn())

    def _stop(self) -> None:
        self.processes.end_all()
        self.users.log_out_all()
        self.logind.reset()
        self.timers.reset()
        for directory in ("/run", "/tmp", "/dev/shm"):  # noqa: S108  the model's, not ours
            self.files.clear(directory)

    def _go_down(self, shutdown: Shutdown) -> None:
        self.logind.warn("now")
        self._say(f"systemd: {shutdown.type} at {shutdown.at:.0f}")
        self._stop()
        if shutdown.type == "reboot":
            self._boot(shutdown.at, None)
        else:
            self.phase = "off"
            if self._power_goes:
                self._in_the_dark()
        self._changed()

    def _boot(
        self, at: float, release: str | None, *, menu: bool = True, entry: Entry | None = None
    ) -> None:
        self._menu = None
        entry = entry or self.grub.choice()
        if menu and release is None and entry and self.serial is not None and self.serial.attached:
            # So short in practice time that nobody could press a key: it waits real seconds.
            self.phase, self._menu = "menu", BootMenu(self.grub.entries, entry)
            real = min(_MENU_REAL * self.clock.scale, _MENU_LONGEST)
            self._menu_ends = at + max(_MENU_WAITS, real)
            self._show_menu()
            return
        chosen = release or (entry.release if entry else None)
        if self.serial is not None:
            self.serial.say(b"\x1b[H\x1b[J")
        why = self._unbootable(chosen)
        if why or chosen is None:
            self.phase = "panicked"
            self._say(why)
            return
        self._say(f"Loading Linux {chosen} ...")
        if entry is not None and entry.recovery:
            self.phase = "rescue"
            self._say("You are in rescue mode.\nGive root password for maintenance")
            return
        self.phase = "down"
        self._new_boot(chosen)
        self.processes.booted = at + _KERNEL_STARTS
        self._back_at, self._settled_at = at + DOWN, at + DOWN + SETTLES
        self.units.boot()
        self._after_boot()

    def _after_boot(self) -> None:
        """What the host's settings have a boot bring about."""
        options = self._options
        self.storage.booted()
        if options.disk_fails_at_boot:
            self.storage.fail_disk(options.disk_fails_at_boot)
        mounts = self.storage.mounts
        mounts.mounted = [m for m in mounts.mounted if m.target not in options.unmounted_after_boot]
        self._other_build = options.other_build_after_boot
        self.clock_off = options.clock_jumps_by

    def _unbootable(self, release: str | None) -> str:
        """What the console shows of a boot that ends in nothing, empty for one that does not."""
        if self._options.boots_end_at:
            return DEAD_ENDS[self._options.boots_end_at]
        if release is None:
            return "grub rescue> "
        image, initrd = f"/boot/vmlinuz-{release}", f"/boot/initrd.img-{release}"
        if not self.files.exists(image) or not self.files.size(image):
            return f"error: file `/vmlinuz-{release}' not found."
        if not self.files.exists(initrd):
            return _PANIC
        if self.files.size(initrd) < initramfs.WHOLE:
            return f"Initramfs unpacking failed\n{_PANIC}"
        return ""

    def close(self) -> None:
        """Ends every process and its thread."""
        self.processes.end_all()
        self.processes.join()


def _made(make: Callable[[], str]) -> Callable[[], bytes]:
    return lambda: make().encode()


def not_modelled(name: str, what: str) -> str:
    """The loud answer to what the practice host cannot do."""
    return (
        f"PRACTICE HOST: {what} is not modelled, and was not run.\n"
        f"This {name} is tastyops' practice host, no real machine: it answers only what it"
        " models.\n"
        "What to do: try this step against the lab, or against a real host (in the inventory,"
        " without `connection: practice`)."
    )
