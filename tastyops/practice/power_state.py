"""The modelled machine's life: what brings it down and up, its power, its console.

It is brought up to date with the clock whenever somebody looks (``catch_up``), so it needs no
thread of its own; the server's only waits for ``next_due``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal

from tastyops.practice import initramfs, kalimdor
from tastyops.practice.boot_menu import ENTER, BootMenu
from tastyops.practice.booting import (
    BEFORE_A_KERNEL,
    DOWN,
    KERNEL_STARTS,
    MENU_LONGEST,
    MENU_REAL,
    MENU_WAITS,
    SETTLES,
    mode_of,
    unbootable,
)
from tastyops.practice.calls import Call, Input, Write
from tastyops.practice.clock import PracticeClock
from tastyops.practice.console_shell import (
    INITRAMFS,
    INITRAMFS_PROMPT,
    MOUNTED,
    RESCUE,
    ConsoleShell,
)
from tastyops.practice.grub_cfg import Entry
from tastyops.practice.logind import Shutdown
from tastyops.practice.parts import Parts
from tastyops.practice.processes import Killed
from tastyops.practice.serial import SerialConsole
from tastyops.practice.storage import forget

RACK_GOES_DARK = "the rack goes dark"
"""What a manual step says that has the power taken away, and given back."""

LINK_CUT = 60.0
"""Seconds without network where that alone is what a shutdown does."""

STARTING = 300.0
"""Seconds that a machine which begins while it starts still takes."""

NEVER = 1e7
"""Seconds after which a network comes back that is not to come back in a practice."""

Phase = Literal["up", "down", "menu", "panicked", "initramfs", "rescue", "hung", "off"]
"""``rescue`` is systemd's rescue or emergency mode; ``down`` goes on to something by itself."""

_DARK = 20 * 60.0
"""Seconds that the rack stays dark while somebody works on its power feed."""


class Life(Parts, ABC):
    """Its life; what its programs are is said elsewhere."""

    def __init__(self, name: str, clock: PracticeClock, options: kalimdor.Options) -> None:
        super().__init__(name, clock, options)
        self.phase: Phase = "up"
        self._comes_to: Phase = "up"
        """What a start that goes on ends in: up, initramfs or rescue."""
        self._shell: ConsoleShell | None = None
        self.serial: SerialConsole | None = None
        """Its console, where somebody made one; with a listener the boot menu waits for keys."""
        self._menu: BootMenu | None = None
        self._menu_ends = 0.0
        self._power_goes = False
        self._power_back: float | None = None
        self._link_back: float | None = None
        self.other_host_key = False
        """Whether it shows another host key than at first."""
        self.console: list[str] = []
        self._restarts = self._early_restarts = 0
        self.units.go_on = self._to_default
        self._begin()

    def _begin(self) -> None:
        """The faults it starts out with."""
        options = self._options
        if options.primary_panics:
            initramfs.make(self.files, self.kernel, initramfs.TRUNCATED)
        if options.root_not_found:
            forget(self.files, self.storage, "md7")
            initramfs.make(self.files, self.kernel)
            self._start_kernel(self.clock.time(), self.kernel, "")
            self._back_at = self.clock.time() + max(KERNEL_STARTS, MENU_REAL * self.clock.scale)
        if options.hung:
            self.phase = "hung"
        if options.begins == "starting":
            self._start_kernel(self.clock.time(), self.kernel, "")
            self._back_at = self.clock.time() + STARTING
            self._settled_at = self._back_at + SETTLES
        elif options.begins == "emergency":
            self._home_damage.append("bad superblock")
            self._start_kernel(self.clock.time(), self.kernel, "emergency")
            self._back_at = self.clock.time()
        elif options.begins == "no-network":
            self._link_back = self.clock.time() + NEVER

    @property
    def _home_damage(self) -> list[str]:
        home = self.storage.mounts.filesystem("/dev/mapper/volume-home")
        return home.damage if home is not None else []

    @abstractmethod
    def run(self, call: Call) -> int:
        """Runs a program; a shell on the console does."""

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
        if self._link_back is not None:
            return False
        return self.phase == "up" or (self.phase == "rescue" and self.units.runs("ssh"))

    def next_due(self) -> float | None:
        """When something will happen by itself, in practice seconds; None when nothing will."""
        if self._link_back is not None:
            return self._link_back
        if self.phase in ("up", "rescue"):
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
        if self._link_back is not None:
            self._link_back = None
            self._changed()
        elif self.phase == "menu":
            self._boot(due, None, menu=False)
        elif self._power_back is not None:  # it starts by itself when power returns
            self._power_back = None
            self._boot(due, None)
            self._changed()
        elif self.phase == "down" and self._early_restarts:
            self._early_restarts -= 1
            self._boot(due, None, menu=False)
            self._changed()
        elif self.phase == "down":
            self._came_up()
        elif scheduled and scheduled.at <= due and not self._options.never_goes_down:
            self._restarts = self._options.boot_loops
            self._early_restarts = self._options.restarts_while_starting
            self._carry_out(scheduled)
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
        """A key at its console. At a login prompt only Enter is modelled."""
        with self.lock:
            self.catch_up()
            if self.phase == "menu" and self._menu is not None:
                menu, now = self._menu, self.clock.time()
                chosen = menu.key(key)
                if chosen is None:
                    self._show_menu()
                else:
                    self._boot(now, chosen.release, menu=False, entry=chosen, words=menu.words)
                self._changed()
            elif self._shell is not None:
                self._shell.key(key)
            elif self.phase == "down" and key in ENTER:
                self._heard(b"\r\n")  # a kernel's terminal echoes, whoever reads
            elif self.phase == "up" and key in ENTER:
                self._prompt()
            elif self.phase == "up":
                self._say("\n(practice) logging in here is not modelled")

    def type_line(self, line: str) -> tuple[int, bytes] | None:
        """A line at root's shell on its own screen, and what is seen; None where none is open.

        While the system is up somebody is logged in there.
        """
        with self.lock:
            self.catch_up()
            if self.phase not in ("up", "rescue"):
                return None
            seen = bytearray()
            return self._run_typed(line, seen.extend), bytes(seen)

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

    def _carry_out(self, shutdown: Shutdown) -> None:
        """A shutdown that is due."""
        if not self._options.only_link_cut:
            self._go_down(shutdown)
            return
        self.logind.reset()
        self._link_back = shutdown.at + LINK_CUT
        self._changed()

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
        self, at: float, release: str | None, *, menu: bool = True, entry: Entry | None = None,
        words: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._menu = self._shell = self._link_back = None
        entry = entry or self.grub.choice()
        if menu and release is None and entry and self.serial is not None and self.serial.attached:
            # So short in practice time that nobody could press a key: it waits real seconds.
            self.phase, self._menu = "menu", BootMenu(self.grub.entries, entry)
            real = min(MENU_REAL * self.clock.scale, MENU_LONGEST)
            self._menu_ends = at + max(MENU_WAITS, real)
            self._show_menu()
            return
        chosen = release or (entry.release if entry else None)
        ends_at = self._options.boots_end_at
        why = unbootable(self.files, chosen, ends_at)
        self._heard(b"\x1b[H\x1b[J")
        if chosen is not None and ends_at not in BEFORE_A_KERNEL:
            self._say(f"Loading Linux {chosen} ...")
        if why or chosen is None:
            self.phase = "panicked"
            self._say(why)
            return
        self._start_kernel(at, chosen, mode_of(entry, words))

    def _start_kernel(self, at: float, release: str, mode: str) -> None:
        """``mode`` is rescue or emergency, or empty for the default target."""
        self.phase, self._shell = "down", None
        if self._options.begins == "emergency" and self._home_damage:
            mode = mode or "emergency"
        self._new_boot(release)
        self.processes.booted = at + KERNEL_STARTS
        self._back_at = at + DOWN
        self._settled_at = self._back_at + SETTLES + self._options.starts_slowly
        self.units.boot(mode)
        self._comes_to = "rescue" if mode else "up"
        if mode:
            self._settled_at = self._back_at
        if not self.storage.assembled(self.initramfs.conf(release)):
            self._comes_to = "initramfs"
            return
        self._after_boot()

    def _came_up(self) -> None:
        """The start has come to where it leads."""
        self.phase = self._comes_to
        if self.phase == "up":
            self._say("OpenSSH server started.")
            self._prompt()
        elif self.phase == "rescue":
            mode = self.units.mode
            self._open_shell(f"root@{self.name}:~# ", RESCUE.format(mode=mode), self._to_default)
        else:
            self._open_shell(INITRAMFS_PROMPT, INITRAMFS, self._leave_initramfs)
        self._changed()

    def _open_shell(self, prompt: str, greeting: str, leave: Callable[[], None]) -> None:
        self._shell = ConsoleShell(
            prompt, self._heard, self._run_typed, leave, asks=self.phase == "rescue"
        )
        self._shell.begin(greeting)

    def _heard(self, data: bytes) -> None:
        if self.serial is not None:
            self.serial.say(data)

    def _run_typed(self, line: str, write: Write) -> int:
        process = self.processes.begin("sh", leader=True)
        try:
            return self.run(Call(("sh", "-c", line), process, Input(), write, write))
        except Killed as killed:
            return 128 + killed.signal
        finally:
            self.processes.end(process)
            self._changed()

    def _leave_initramfs(self) -> None:
        """The shell's end has the ramdisk look for the root again."""
        if not self.storage.root_there():
            self._comes_to = "initramfs"
            self._came_up()
            return
        now = self.clock.time()
        self._say(MOUNTED)
        self.phase, self._shell = "down", None
        self._comes_to = "rescue" if self.units.mode else "up"
        self._back_at = now + DOWN - KERNEL_STARTS
        self._settled_at = self._back_at + (0.0 if self.units.mode else SETTLES)
        self._after_boot()
        self._changed()

    def _to_default(self) -> None:
        """Out of rescue or emergency mode, on to the default target."""
        if self._options.begins == "emergency" and self._home_damage:
            self._came_up()  # what fstab needs is not mounted, so systemd comes to the same end
            return
        if self.units.mode == "emergency":
            self.storage.booted()
        self.units.boot()
        self.phase, self._shell = "up", None
        self._settled_at = self.clock.time() + SETTLES / 2
        self._prompt()
        self._changed()

    def _after_boot(self) -> None:
        """What the host's settings have a boot bring about."""
        options = self._options
        self.storage.booted(self.units.mode)
        self.looking.journal_in_var = True
        if options.disk_fails_at_boot:
            self.storage.fail_disk(options.disk_fails_at_boot)
        mounts = self.storage.mounts
        mounts.mounted = [m for m in mounts.mounted if m.target not in options.unmounted_after_boot]
        self._other_build = options.other_build_after_boot
        self.clock_off = options.clock_jumps_by
        self.other_host_key = options.other_host_key_after_boot
