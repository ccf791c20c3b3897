"""Boot and power state machine of the modelled machine, and its power switch.

``catch_up`` brings the state up to date before every use, so the state needs no thread; the server
has one that waits for ``next_due``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Literal

from tastyops.ports import Ended, Sink
from tastyops.practice import initramfs, kalimdor
from tastyops.practice.boot import (
    BEFORE_A_KERNEL,
    DOWN,
    KERNEL_STARTS,
    MENU_LONGEST,
    MENU_REAL,
    MENU_WAITS,
    SETTLES,
    Boot,
    dead_end,
    systemd_mode,
)
from tastyops.practice.console import (
    ENTER,
    INITRAMFS,
    INITRAMFS_PROMPT,
    MOUNTED,
    RESCUE,
    Console,
    ConsoleShell,
    Run,
)
from tastyops.practice.grub_menu import BootMenu, Entry
from tastyops.practice.installed_system import InstalledSystem
from tastyops.practice.storage import forget_array
from tastyops.practice.systemd import Shutdown, Systemd
from tastyops.practice.users import Users

LINK_CUT = 60.0
"""Seconds without network where a shutdown does nothing but cut the network."""

STARTING = 300.0
"""Seconds that a start still takes which is under way when the practice begins."""

NEVER = 1e7
"""Seconds of a network outage that outlasts every practice."""

FEED_OUTAGE = 20 * 60.0
"""Seconds that the rack has no power while somebody works on its power feed."""

Phase = Literal["up", "down", "menu", "panicked", "initramfs", "rescue", "hung", "off"]
"""``rescue`` is systemd's rescue or emergency mode; ``down`` leads to another phase by itself."""


class PowerFeed:
    """Power of the rack that the machine and its power switch are in."""

    def __init__(self) -> None:
        self.cut_follows = False
        """Whether the feed is cut as soon as the machine has shut down."""
        self.restored_at: float | None = None
        """When power returns, in practice seconds since the epoch; None while there is power."""

    def cut(self, at: float) -> None:
        """Cuts the feed at that time, until the work on it is done."""
        self.cut_follows = False
        self.restored_at = at + FEED_OUTAGE


class PowerState:
    """Whether the machine is on, how far its start has come, and what the power switch does."""

    def __init__(
        self,
        system: InstalledSystem,
        systemd: Systemd,
        users: Users,
        boot: Boot,
        console: Console,
        run_line: Run,
        options: kalimdor.Options,
    ) -> None:
        self._system, self._systemd, self._users = system, systemd, users
        self._boot, self._console, self._run_line = boot, console, run_line
        self._options = options
        self._clock, self._processes, self._lock = boot.clock, boot.processes, boot.processes.lock
        self.phase: Phase = "up"
        self._next_phase: Phase = "up"
        """Phase in which a start that is under way ends: up, initramfs or rescue."""
        self._next_phase_at = self._clock.time()
        self._shell: ConsoleShell | None = None
        self._menu: BootMenu | None = None
        self._menu_ends = 0.0
        self._feed = PowerFeed()
        self._network_back_at: float | None = None
        self.other_host_key = False
        """Whether sshd shows another host key than at first."""
        self._restarts_left = self._early_restarts_left = 0
        systemd.units.on_default = self._enter_default_mode
        self._apply_initial_faults()

    def _apply_initial_faults(self) -> None:
        options, now = self._options, self._clock.time()
        files, running = self._system.files, self._boot.kernel
        if options.primary_panics:
            initramfs.make(files, running, initramfs.TRUNCATED)
        if options.root_not_found:
            forget_array(files, self._system.storage, "md7")
            initramfs.make(files, running)
            self._start_kernel(now, running, "")
            self._next_phase_at = now + max(KERNEL_STARTS, MENU_REAL * self._clock.scale)
        if options.hung:
            self.phase = "hung"
        if options.begins == "starting":
            self._start_kernel(now, running, "")
            self._next_phase_at = now + STARTING
            self._boot.ready_at = self._next_phase_at + SETTLES
        elif options.begins == "emergency":
            self._home_damage.append("bad superblock")
            self._start_kernel(now, running, "emergency")
            self._next_phase_at = now
        elif options.begins == "no-network":
            self._network_back_at = now + NEVER

    @property
    def _home_damage(self) -> list[str]:
        home = self._system.storage.mounts.filesystem("/dev/mapper/volume-home")
        return home.damage if home is not None else []

    @property
    def up(self) -> bool:
        """Whether sshd accepts connections."""
        if self._network_back_at is not None:
            return False
        return self.phase == "up" or (self.phase == "rescue" and self._systemd.units.runs("ssh"))

    @property
    def has_root_shell(self) -> bool:
        """Whether root has a shell on the machine's own screen; in normal mode one is logged in."""
        return self.phase in ("up", "rescue")

    # -- what happens by itself --------------------------------------------------------------

    def next_due(self) -> float | None:
        """When the state next changes by itself, in practice seconds; None for never."""
        if self._network_back_at is not None:
            return self._network_back_at
        if self.phase in ("up", "rescue"):
            scheduled = self._systemd.logind.scheduled
            restart = self._boot.ready_at - SETTLES / 2 if self._restarts_left else None
            shutdown = scheduled.at if scheduled and not self._options.never_goes_down else None
            moments = (shutdown, self._systemd.timers.next_due(), restart)
            return min((at for at in moments if at is not None), default=None)
        if self.phase == "menu" and self._menu is not None:
            return None if self._menu.held else self._menu_ends
        return self._next_phase_at if self.phase == "down" else self._feed.restored_at

    def catch_up(self) -> None:
        """Makes every change that was due by now."""
        with self._lock:
            while (due := self.next_due()) is not None and due <= self._clock.time():
                self._make_change(due)

    def _make_change(self, due: float) -> None:
        scheduled = self._systemd.logind.scheduled
        if self._network_back_at is not None:
            self._network_back_at = None
            self._processes.notify()
        elif self.phase == "menu":
            self._load(due, None, menu=False)
        elif self._feed.restored_at is not None:  # the machine starts when power returns
            self._feed.restored_at = None
            self._load(due, None)
            self._processes.notify()
        elif self.phase == "down" and self._early_restarts_left:
            self._early_restarts_left -= 1
            self._load(due, None, menu=False)
            self._processes.notify()
        elif self.phase == "down":
            self._finish_start()
        elif scheduled and scheduled.at <= due and not self._options.never_goes_down:
            self._restarts_left = self._options.boot_loops
            self._early_restarts_left = self._options.restarts_while_starting
            self._perform(scheduled)
        elif self._systemd.timers.next_due() == due:
            self._systemd.timers.go_off()
        else:
            self._restarts_left -= 1
            self._shut_down(Shutdown("reboot", due))

    # -- power switch and power feed ---------------------------------------------------------

    @property
    def powered(self) -> bool:
        """Whether the power switch is on."""
        return self.phase != "off"

    def turn_off(self) -> None:
        """Cuts the machine's power."""
        with self._lock:
            self._end_everything()
            self.phase, self._menu = "off", None
            self._processes.notify()

    def turn_on(self) -> None:
        """Restores the machine's power; a machine that is on stays as it is."""
        with self._lock:
            if self.phase == "off":
                self._load(self._clock.time(), None)
                self._processes.notify()

    def cycle(self, release: str | None = None) -> None:
        """Cuts the power and restores it; ``release`` is the kernel picked at the boot menu."""
        with self._lock:
            self._end_everything()
            self._load(self._clock.time(), release)
            self._processes.notify()

    @property
    def dark(self) -> bool:
        """Whether the rack has no power: neither machine nor power switch can be reached."""
        return self._feed.restored_at is not None

    def cut_feed(self) -> None:
        """Cuts the rack's power: after a scheduled shutdown if there is one, at once otherwise."""
        if self.phase == "up" and self._systemd.logind.scheduled:
            self._feed.cut_follows = True
            return
        self._end_everything()
        self._lose_feed()

    def _lose_feed(self) -> None:
        self.phase, self._menu = "off", None
        self._feed.cut(self._clock.time())
        self._processes.notify()

    def wait_for_feed(self) -> None:
        """Waits until the work on the rack's power feed is done."""
        with self._lock:
            self.catch_up()
            while self._feed.cut_follows or self.dark:
                due = self.next_due()
                left = None if due is None else self._clock.real(due - self._clock.time())
                self._lock.wait(None if left is None else max(left, 0.0))
                self.catch_up()

    # -- keys --------------------------------------------------------------------------------

    def press(self, key: bytes) -> None:
        """Handles a key at the console; at a login prompt only Enter is modelled."""
        with self._lock:
            self.catch_up()
            if self.phase == "menu" and self._menu is not None:
                menu, now = self._menu, self._clock.time()
                chosen = menu.press(key)
                if chosen is None:
                    self._console.write(menu.draw())
                else:
                    self._load(now, chosen.release, menu=False, entry=chosen, words=menu.words)
                self._processes.notify()
            elif self._shell is not None:
                self._shell.press(key)
            elif self.phase == "down" and key in ENTER:
                self._console.write(b"\r\n")  # a kernel's terminal echoes, whether read or not
            elif self.phase == "up" and key in ENTER:
                self._console.show_login()
            elif self.phase == "up":
                self._console.show("\n(practice) logging in here is not modelled")

    # -- going down --------------------------------------------------------------------------

    def _end_everything(self) -> None:
        self._processes.end_all()
        self._users.log_out_all()
        self._systemd.shut_down()
        self._system.clear_volatile_directories()

    def _perform(self, shutdown: Shutdown) -> None:
        """Performs a shutdown that is due."""
        if not self._options.only_link_cut:
            self._shut_down(shutdown)
            return
        self._systemd.logind.reset()
        self._network_back_at = shutdown.at + LINK_CUT
        self._processes.notify()

    def _shut_down(self, shutdown: Shutdown) -> None:
        self._systemd.logind.warn("now")
        self._console.show(f"systemd: {shutdown.type} at {shutdown.at:.0f}")
        self._end_everything()
        if shutdown.type == "reboot":
            self._load(shutdown.at, None)
        else:
            self.phase = "off"
            if self._feed.cut_follows:
                self._lose_feed()
        self._processes.notify()

    # -- coming up ---------------------------------------------------------------------------

    def _load(
        self, at: float, release: str | None, *, menu: bool = True, entry: Entry | None = None,
        words: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Runs firmware and GRUB: shows the menu, or starts a kernel, or ends in a dead end."""
        self._menu = self._shell = self._network_back_at = None
        grub, ends_at = self._system.grub, self._options.boots_end_at
        entry = entry or grub.choice()
        if menu and release is None and entry and self._console.watched:
            # GRUB_TIMEOUT in practice time would be too short for anybody to press a key.
            self.phase, self._menu = "menu", BootMenu(grub.entries, entry)
            real = min(MENU_REAL * self._clock.scale, MENU_LONGEST)
            self._menu_ends = at + max(MENU_WAITS, real)
            self._console.write(self._menu.draw())
            return
        chosen = release or (entry.release if entry else None)
        failure = dead_end(self._system.files, chosen, ends_at)
        self._console.write(b"\x1b[H\x1b[J")
        if chosen is not None and ends_at not in BEFORE_A_KERNEL:
            self._console.show(f"Loading Linux {chosen} ...")
        if failure or chosen is None:
            self.phase = "panicked"
            self._console.show(failure)
            return
        self._start_kernel(at, chosen, systemd_mode(entry, words))

    def _start_kernel(self, at: float, release: str, mode: str) -> None:
        """``mode`` is rescue or emergency, or empty for the default target."""
        self.phase, self._shell = "down", None
        if self._options.begins == "emergency" and self._home_damage:
            mode = mode or "emergency"
        self._boot.start(release, at + KERNEL_STARTS)
        self._next_phase_at = self._boot.ready_at = at + DOWN
        if not mode:
            self._boot.ready_at += SETTLES + self._options.starts_slowly
        self._systemd.boot(mode)
        self._next_phase = "rescue" if mode else "up"
        if not self._system.storage.assemble_for_boot(self._system.initramfs.conf(release)):
            self._next_phase = "initramfs"
            return
        self._mount_and_apply_faults()

    def _finish_start(self) -> None:
        """Enters the phase the start leads to."""
        self.phase = self._next_phase
        if self.phase == "up":
            self._console.show("OpenSSH server started.")
            self._console.show_login()
        elif self.phase == "rescue":
            greeting = RESCUE.format(mode=self._systemd.units.mode)
            prompt = f"root@{self._boot.hostname}:~# "
            self._open_shell(prompt, greeting, self._enter_default_mode)
        else:
            self._open_shell(INITRAMFS_PROMPT, INITRAMFS, self._leave_initramfs)
        self._processes.notify()

    def _open_shell(self, prompt: str, greeting: str, leave: Callable[[], None]) -> None:
        self._shell = ConsoleShell(
            prompt, self._console.write, self._run_line, leave, asks=self.phase == "rescue"
        )
        self._shell.begin(greeting)

    def _leave_initramfs(self) -> None:
        """Has the initial ramdisk look for the root filesystem again, as its shell's end does."""
        if not self._system.storage.has_root():
            self._next_phase = "initramfs"
            self._finish_start()
            return
        now, mode = self._clock.time(), self._systemd.units.mode
        self._console.show(MOUNTED)
        self.phase, self._shell = "down", None
        self._next_phase = "rescue" if mode else "up"
        self._next_phase_at = now + DOWN - KERNEL_STARTS
        self._boot.ready_at = self._next_phase_at + (0.0 if mode else SETTLES)
        self._mount_and_apply_faults()
        self._processes.notify()

    def _enter_default_mode(self) -> None:
        """Goes from rescue or emergency mode to the default target."""
        if self._options.begins == "emergency" and self._home_damage:
            self._finish_start()  # fstab's /home cannot be mounted: emergency mode again
            return
        if self._systemd.units.mode == "emergency":
            self._system.storage.finish_boot()
        self._systemd.boot()
        self.phase, self._shell = "up", None
        self._boot.ready_at = self._clock.time() + SETTLES / 2
        self._console.show_login()
        self._processes.notify()

    def _mount_and_apply_faults(self) -> None:
        """Mounts the filesystems, then applies the faults the options set for a boot."""
        options, storage = self._options, self._system.storage
        storage.finish_boot(self._systemd.units.mode)
        if options.disk_fails_at_boot:
            storage.fail_disk(options.disk_fails_at_boot)
        mounts = storage.mounts
        mounts.mounted = [m for m in mounts.mounted if m.target not in options.unmounted_after_boot]
        self._boot.build_replaced = options.other_build_after_boot
        self._boot.clock_offset = options.clock_jumps_by
        self.other_host_key = options.other_host_key_after_boot


class PowerSwitch:
    """The practice host's power switch (``ports.Power``)."""

    def __init__(self, state: PowerState) -> None:
        self._state = state

    def status(self, *, sink: Sink) -> Ended:
        """Reports ``on`` or ``off``."""
        if self._state.dark:
            return _unreachable(sink)
        sink.out(b"on\n" if self._state.powered else b"off\n")
        return Ended(0, 0.0)

    def policy(self, *, sink: Sink) -> Ended:
        """Reports that kalimdor starts by itself when power returns, as on March 8th 2008."""
        if self._state.dark:
            return _unreachable(sink)
        sink.out(b"always-on\n")
        return Ended(0, 0.0)

    def turn(self, how: Literal["on", "off", "cycle"], *, sink: Sink) -> Ended:
        """Operates the switch; a cycle of a machine that is off switches it on."""
        began = time.monotonic()
        if self._state.dark:
            return _unreachable(sink)
        if how == "cycle" and not self._state.powered:
            how = "on"
        if how != "on":
            self._state.turn_off()
        if how != "off":
            self._state.turn_on()
        sink.out(f"{how}\n".encode())
        return Ended(0, time.monotonic() - began)

    def stop(self) -> None:
        """Does nothing, since the switch never waits."""


def _unreachable(sink: Sink) -> Ended:
    sink.err(b"Error: Unable to establish IPMI v2 / RMCP+ session\n")
    return Ended(1, 0.0)
