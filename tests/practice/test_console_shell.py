"""The practice host's console: GRUB's editor, rescue mode, the initramfs prompt, a dead machine."""

from __future__ import annotations

import re
from typing import Any, cast

import pytest

from tastyops.facts.system import logind_call
from tastyops.practice import kalimdor
from tastyops.practice.console import SerialConsole
from tastyops.practice.machine import Machine
from tests.practice.conftest import Make
from tests.practice.driver import until, up

OLD, OLDER = kalimdor.OLD_KERNEL, kalimdor.OLDER_KERNEL


class Wire:
    """A console somebody is at; keeps what was said."""

    attached = True

    def __init__(self) -> None:
        self.said = ""

    def say(self, data: bytes) -> None:
        self.said += data.decode()

    def close(self) -> None:
        """Nothing to end."""


def at_console(make: Make, **settings: Any) -> tuple[Machine, Wire]:
    machine, wire = make(**settings), Wire()
    machine.console.serial = cast(SerialConsole, wire)
    return machine, wire


def typed(machine: Machine, wire: Wire, text: str) -> str:
    """What the console says while a line is typed and run."""
    before = len(wire.said)
    for key in text:
        machine.power.press(key.encode())
    return wire.said[before:].replace("\r\n", "\n")


def prompted(machine: Machine, wire: Wire, prompt: str) -> None:
    def so() -> bool:
        machine.power.catch_up()
        return wire.said.endswith(prompt)

    until(machine, so)


def single_user(make: Make, words: str = "systemd.unit=rescue.target") -> tuple[Machine, Wire]:
    """A machine whose boot entry was edited at the menu."""
    machine, wire = at_console(make)
    machine.power.turn_off()
    machine.power.turn_on()
    assert "GNU GRUB" in wire.said
    machine.power.press(b"\x01")
    assert "setparams 'Debian GNU/Linux'" in typed(machine, wire, "e")
    shown = ""
    for _ in range(40):
        row = shown.rpartition("\x1b[")[2]
        if re.search(rf"\x1b\[{row.partition(';')[0]};2H\|\s*linux\s", shown):
            break
        shown = typed(machine, wire, "\x0e")
    else:
        pytest.fail(f"the cursor never came to the kernel's line: {shown!r}")
    machine.power.press(b"\x05")
    typed(machine, wire, f" {words}\x18")
    prompted(machine, wire, "(or press Control-D to continue): ")
    return machine, wire


def test_an_edited_entry_starts_rescue_mode_and_ssh_is_started_from_its_shell(make: Make) -> None:
    machine, wire = single_user(make)
    assert "You are in rescue mode." in wire.said
    assert not up(machine)
    assert typed(machine, wire, "\r").endswith("root@kalimdor:~# ")
    assert "\nmaintenance\n" in typed(machine, wire, "systemctl is-system-running\r")
    assert "ended-0" in typed(
        machine, wire, "systemctl start networking ssh systemd-user-sessions; echo ended-$?\r"
    )
    assert up(machine)
    assert machine.execute(["systemctl", "is-active", "apache2"]).out == b"inactive\n"
    assert machine.execute(["systemctl", "--no-block", "default"]).status == 0
    until(machine, lambda: machine.execute(["systemctl", "is-system-running"]).out == b"running\n")
    assert machine.execute(["systemctl", "is-active", "apache2"]).out == b"active\n"


def test_in_emergency_mode_only_the_root_is_mounted_read_only(make: Make) -> None:
    machine, wire = single_user(make, "systemd.unit=emergency.target")
    assert "You are in emergency mode." in wire.said
    typed(machine, wire, "\r")
    mounts = typed(machine, wire, "findmnt --json --list --output TARGET,OPTIONS\r")
    assert mounts.count('"target"') == 1
    assert "ro,relatime" in mounts
    typed(machine, wire, "exit\r")
    assert up(machine)
    assert machine.system.storage.mounts.at("/home")


def test_the_journal_leaves_var_and_comes_back(make: Make) -> None:
    machine, wire = single_user(make)
    typed(machine, wire, "\r")
    assert "ended-32" in typed(machine, wire, "umount /var; echo ended-$?\r")
    typed(machine, wire, "journalctl --relinquish-var\r")
    assert "ended-0" in typed(machine, wire, "umount /var; echo ended-$?\r")
    typed(machine, wire, "mount /var\r")
    typed(machine, wire, "journalctl --flush\r")
    assert "ended-32" in typed(machine, wire, "umount /var; echo ended-$?\r")


def test_at_the_initramfs_prompt_only_the_ramdisks_programs_are_there(make: Make) -> None:
    machine, wire = at_console(make, root_not_found=True)
    prompted(machine, wire, "(initramfs) ")
    assert not up(machine)
    assert "PRACTICE HOST: the command 'systemctl'" in typed(machine, wire, "systemctl status\r")
    mdstat = typed(machine, wire, "cat /proc/mdstat\r")
    assert ("md6" in mdstat, "md7" in mdstat) == (True, False)
    assert typed(machine, wire, "exit\r").endswith("(initramfs) ")
    assert "/dev/md7" in typed(machine, wire, "mdadm --examine --scan > /run/found\r") + typed(
        machine, wire, "cat /run/found\r"
    )
    typed(machine, wire, "mdadm --assemble --scan --config=/run/found\r")
    assert "4 logical volume(s)" in typed(machine, wire, "lvm vgchange --activate y\r")
    typed(machine, wire, "exit\r")
    until(machine, lambda: up(machine))
    assert machine.execute(["uname", "-r"]).out.decode() == f"{OLD}\n"


def test_an_initial_ramdisk_knows_the_arrays_it_was_made_with(make: Make) -> None:
    machine, wire = at_console(make, root_not_found=True)
    assert "md7" not in machine.system.initramfs.conf(OLD)
    assert "md7" in machine.system.initramfs.conf(OLDER)
    prompted(machine, wire, "(initramfs) ")
    machine.power.cycle(OLDER)
    until(machine, lambda: up(machine))


def test_a_machine_that_hangs_answers_nothing_and_its_kernel_panics(make: Make) -> None:
    machine, wire = at_console(make, hung=True, primary_panics=True)
    assert not up(machine)
    assert typed(machine, wire, "\r") == ""
    machine.power.cycle(OLD)
    assert "Kernel panic - not syncing" in wire.said
    machine.power.cycle(OLDER)
    until(machine, lambda: up(machine))


def test_the_rack_goes_dark_once_the_machine_is_down(make: Make) -> None:
    machine, _ = at_console(make)
    due = str(round((machine.clock.time() + 60) * 1_000_000))
    machine.execute(logind_call("ScheduleShutdown", "st", "poweroff", due))
    assert machine.do_by_hand("The rack goes dark.")
    assert machine.power.up
    machine.power.wait_for_feed()
    until(machine, lambda: up(machine))
    assert not machine.power.dark


def test_a_dead_end_there_is_not_is_refused(make: Make) -> None:
    with pytest.raises(ValueError, match="boots_end_at is one of panic, initramfs"):
        make(boots_end_at="nowhere")
