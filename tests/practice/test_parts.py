"""The parts of the modelled machine, each by itself, without the machine around them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tastyops.practice import kalimdor
from tastyops.practice.boot import Boot, SystemTools
from tastyops.practice.calls import Call, Commands, Input
from tastyops.practice.clock import PracticeClock
from tastyops.practice.console import Console
from tastyops.practice.files import Files, NotModelled
from tastyops.practice.installed_system import InstalledSystem
from tastyops.practice.machine import Programs
from tastyops.practice.power_state import PowerState
from tastyops.practice.processes import Processes
from tastyops.practice.systemd import Systemd
from tastyops.practice.users import Users

FAST = 6000.0


class Line:
    """A serial line that keeps what is sent."""

    def __init__(self, *, attached: bool) -> None:
        self.attached = attached
        self.sent = b""

    def say(self, data: bytes, /) -> None:
        self.sent += data


class Echo:
    """A part with two programs; one of them knows a file that is not there."""

    def commands(self) -> Commands:
        def echo(call: Call) -> int:
            call.say(" ".join(call.argv[1:]))
            return 0

        def fault(call: Call) -> int:
            raise KeyError("a fault of the model")

        return {"echo": echo, "fault": fault}


class Parts:
    """What a power state is made of; no programs, so no machine."""

    def __init__(self, scale: float = FAST) -> None:
        options = kalimdor.Options()
        clock = PracticeClock(scale)
        self.processes, self.files = Processes(clock), Files()
        self.boot = Boot("kalimdor", self.processes, kalimdor.BUILDS)
        self.boot.start(kalimdor.OLD_KERNEL, clock.time())
        self.users = Users("kalimdor", clock)
        units = kalimdor.units(options)
        self.systemd = Systemd(clock, self.processes, self.users, units, self.boot.starting)
        self.system = InstalledSystem("kalimdor", clock, self.files, self.processes, options)
        self.console = Console("kalimdor")
        self.power = PowerState(
            self.system, self.systemd, self.users, self.boot, self.console, self._run, options
        )

    @staticmethod
    def _run(line: str, write: object) -> int:
        raise AssertionError("no line is typed in these tests")

    def wait_until(self, phase: str) -> None:
        """Waits until the power state has reached that phase by itself."""
        lock = self.processes.lock
        with lock:
            while self.power.phase != phase:
                due = self.power.next_due()
                assert due is not None, f"{self.power.phase} leads nowhere"
                lock.wait(max(0.0, self.boot.clock.real(due - self.boot.clock.time())))
                self.power.catch_up()


@pytest.fixture
def processes() -> Iterator[Processes]:
    table = Processes(PracticeClock(FAST))
    yield table
    table.end_all()
    table.join()


def call(processes: Processes, *argv: str) -> tuple[Call, bytearray, bytearray]:
    out, err = bytearray(), bytearray()
    process = processes.begin(argv[0], leader=True)
    return Call(argv, process, Input(), out.extend, err.extend), out, err


def test_a_start_changes_kernel_boot_id_and_uptime(processes: Processes) -> None:
    boot = Boot("host", processes, {"6.1.0-1-amd64": "#1 first"})
    now = boot.clock.time()
    boot.start("6.1.0-1-amd64", now - 500)
    first = boot.id
    assert boot.build == "#1 first"
    assert boot.uptime() >= 500
    boot.start("6.1.0-2-amd64", now - 100)
    assert (boot.kernel, boot.id != first) == ("6.1.0-2-amd64", True)
    assert boot.kernels == {"6.1.0-1-amd64": int(now - 500), "6.1.0-2-amd64": int(now - 100)}


def test_proc_and_programs_report_the_running_boot(processes: Processes) -> None:
    boot, files = Boot("host", processes, {}), Files()
    boot.publish(files)
    boot.start("6.1.0-2-amd64", boot.clock.time())
    assert files.text("/proc/sys/kernel/random/boot_id") == f"{boot.id}\n"
    run, out, _ = call(processes, "uname", "-n", "-r")
    assert SystemTools(boot).commands()["uname"](run) == 0
    assert out == b"host 6.1.0-2-amd64\n"


def test_a_console_shows_lines_to_the_transcript_and_to_the_serial_line() -> None:
    console = Console("host")
    console.show("before anybody is attached")
    assert not console.watched
    line = Line(attached=True)
    console.serial = line
    console.show("grub> ")
    console.show("two\nlines")
    assert console.watched
    assert line.sent == b"grub> two\r\nlines\r\n"
    assert console.lines[0] == "(practice console) before anybody is attached"


def test_a_program_that_cannot_be_used_now_is_refused(processes: Processes) -> None:
    programs = Programs("host", lambda name: name != "echo")
    programs.install(Echo())
    run, _, _ = call(processes, "echo", "x")
    with pytest.raises(NotModelled, match="at the initramfs prompt"):
        programs.dispatch(run)


def test_failures_of_a_program_become_its_exit_status(processes: Processes) -> None:
    programs = Programs("host", lambda name: True)
    programs.install(Echo())
    run, out, _ = call(processes, "/usr/bin/echo", "x")
    assert (programs.run(run), out) == (0, b"x\n")
    run, _, err = call(processes, "zpool")
    assert programs.run(run) == 127
    assert b"'zpool' is not modelled" in err
    run, _, err = call(processes, "fault")
    assert programs.run(run) == 125
    assert b"a fault of the model" in err


def test_the_power_switch_starts_another_boot() -> None:
    parts = Parts()
    first = parts.boot.id
    parts.power.turn_off()
    assert (parts.power.powered, parts.power.up) == (False, False)
    assert parts.power.next_due() is None
    parts.power.turn_on()
    assert parts.power.phase == "down"
    parts.wait_until("up")
    assert parts.power.up
    assert parts.boot.id != first


def test_a_scheduled_shutdown_is_followed_by_the_cut_of_the_feed() -> None:
    parts = Parts()
    parts.systemd.logind.schedule("poweroff", parts.boot.clock.time() + 30)
    parts.power.cut_feed()
    assert parts.power.up, "the feed is cut only once the machine is down"
    parts.wait_until("off")
    assert parts.power.dark
    parts.power.wait_for_feed()
    assert not parts.power.dark
    parts.wait_until("up")


def test_the_menu_waits_only_while_somebody_is_attached() -> None:
    parts = Parts(scale=1.0)
    line = Line(attached=False)
    parts.console.serial = line
    parts.power.cycle()
    assert parts.power.phase == "down"
    line.attached = True
    parts.power.cycle()
    assert parts.power.phase == "menu"
    parts.power.press(b"\r")
    assert parts.power.phase == "menu", "the default is in the submenu, which opens first"
    parts.power.press(b"\r")
    assert parts.power.phase == "down"
    assert b"Loading Linux" in line.sent


def test_a_shutdown_forgets_timers_and_schedules_and_empties_tmpfs() -> None:
    parts = Parts()
    parts.files.add("/run/x", "gone\n")
    parts.files.add("/root/y", "kept\n")
    parts.systemd.logind.schedule("reboot", parts.boot.clock.time() + 10_000)
    parts.power.turn_off()
    assert parts.systemd.logind.scheduled is None
    assert not parts.files.exists("/run/x")
    assert parts.files.text("/root/y") == "kept\n"
