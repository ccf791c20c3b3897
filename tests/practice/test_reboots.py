"""The ways a reboot can go that the practice host can show (docs/reboots.md)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tastyops.actions.kernel_install import kernel_install
from tastyops.actions.reboot import reboot
from tastyops.actions.shutdown import shutdown
from tastyops.errors import Failed
from tastyops.model.action import Facts
from tastyops.model.commands import Command, Sleep
from tastyops.practice.boot import DEAD_ENDS
from tastyops.practice.machine import Machine
from tests.practice.conftest import Make
from tests.practice.driver import Driver


def drive(machine: Machine) -> Driver:
    return Driver(machine, Facts(host="kalimdor"))


WAYS: list[tuple[dict[str, Any], str, str]] = [
    ({"never_goes_down": True}, "going-down", "the host did not go down: it still has its old"),
    ({"only_link_cut": True}, "going-down", "the link was cut, but the host did not go down"),
    ({"starts_slowly": 3600.0}, "up", "the system is starting"),
    ({"other_build_after_boot": True}, "up", "another build of kernel 6.1.0-48-amd64 than /boot"),
    ({"unmounted_after_boot": ["/home"]}, "up", "worse than before: /home not mounted"),
    ({"disk_fails_at_boot": "PRACTICE-C"}, "up", "worse than before: /dev/md0, /dev/md6, /dev/md7"),
    ({"clock_jumps_by": -3600.0}, "up", "worse than before: its clock is 1h"),
    ({"boot_loops": 9}, "boot-loop", "a boot loop: it restarted 3 times by itself"),
    ({"fails_after_boot": ["exim4"]}, "up", "worse than before: exim4.service failed"),
]


@pytest.mark.parametrize(("settings", "reached", "why"), WAYS, ids=lambda value: str(value)[:30])
def test_a_way_it_can_go(make: Make, settings: dict[str, Any], reached: str, why: str) -> None:
    with pytest.raises(Failed) as caught:
        drive(make(**settings)).run(reboot, grace=60.0)
    assert caught.value.why.startswith(why) or why in caught.value.why
    assert caught.value.registered["reached"] == reached


DEAD = {
    "panic": "a kernel panic",
    "initramfs": "the initramfs prompt",
    "grub-prompt": "GRUB's prompt",
    "grub-rescue": "GRUB's rescue prompt",
    "grub-password": "that GRUB asks for a user name and a password",
    "emergency": "the prompt of emergency mode",
    "passphrase": "a prompt for a passphrase",
    "no-boot-device": "that no disk can be booted",
}


@pytest.mark.parametrize("where", DEAD_ENDS)
def test_a_dead_end_on_the_console(make: Make, where: str) -> None:
    driver = drive(make(boots_end_at=where)).watched()
    began = driver.machine.clock.time()
    with pytest.raises(Failed) as caught:
        driver.run(reboot, grace=60.0)
    assert f"; the console shows {DEAD[where]}" in caught.value.why
    assert caught.value.registered["reached"] == "not-back"
    assert caught.value.registered["seen"] == where
    assert driver.machine.clock.time() - began < 400, "a dead end is not waited at to the end"


def test_a_boot_loop_that_only_the_console_sees(make: Make) -> None:
    driver = drive(make(restarts_while_starting=9)).watched()
    began = driver.machine.clock.time()
    with pytest.raises(Failed) as caught:
        driver.run(reboot, grace=60.0)
    assert "not back: a boot loop; it restarted 3 times by itself" in caught.value.why
    assert caught.value.registered["reached"] == "boot-loop"
    assert driver.machine.clock.time() - began < 500, "it is not waited for to the end"


@pytest.mark.parametrize("restarts", [1, 2])
def test_some_restarts_on_the_way_are_no_loop(make: Make, restarts: int) -> None:
    found = drive(make(restarts_while_starting=restarts)).watched().run(reboot, grace=60.0)
    assert found
    assert found["reached"] == "verified"


def test_both_kernels_fail(make: Make) -> None:
    driver = drive(make(boots_end_at="panic")).watched()
    driver.run(kernel_install, package="linux-image-amd64")
    with pytest.raises(Failed) as caught:
        driver.run(reboot, grace=60.0, recover="power-cycle", fallback="previous")
    assert "after a power cycle" in caught.value.why, caught.value.why
    assert caught.value.registered["reached"] == "not-back"
    assert "Power-cycled via the power switch." in driver.entries


def test_the_new_kernel_panics_and_the_previous_one_is_picked(make: Make) -> None:
    machine = make()
    driver = drive(machine).watched()
    driver.run(kernel_install, package="linux-image-amd64")
    machine.files.add("/boot/initrd.img-6.1.0-49-amd64", "truncated")
    driver.facts = replace(driver.facts, force="to see what becomes of it")
    found = driver.run(reboot, grace=60.0, recover="power-cycle", fallback="previous")
    assert found
    assert found["recovered"] == "previous-kernel"
    assert found["kernel"] == "6.1.0-48-amd64"


def test_states_are_told_as_they_are_seen(machine: Machine) -> None:
    driver = drive(machine)
    found = driver.run(reboot, grace=30.0)
    assert found
    assert found["reached"] == "verified"
    told = [note for note in driver.notes if note.startswith("the host")]
    assert told[0] == "the host is to go down now"
    assert told[-2:] == ["the host is down", "the host is up"]


def test_reminders_reach_the_users(machine: Machine) -> None:
    drive(machine).run(reboot, grace=600.0, reminders=["5m", "1m"], message="A new kernel.")
    said = machine.users.terminals["ncm"].text
    assert said.count("A new kernel. (5m left)") == 1
    assert said.count("A new kernel. (1m left)") == 1


def test_a_shutdown_after_a_grace(machine: Machine) -> None:
    driver = drive(machine)
    found = driver.run(shutdown, grace=60.0)
    assert found
    assert found["reached"] == "down"
    assert machine.power.phase == "off"
    assert driver.entries == ["Shutdown ordered; the machine goes down in 1 minute."]


class Overtaken(Driver):
    """Somebody restarts the machine while the run waits for the time it has set."""

    def perform(self, command: Command) -> Any:
        if isinstance(command, Sleep) and command.why == "the grace period to end":
            self.machine.power.cycle()
        return super().perform(command)


def test_a_restart_by_somebody_else_is_not_claimed(make: Make) -> None:
    driver = Overtaken(make(), Facts(host="kalimdor"))
    found = driver.run(reboot, grace=300.0)
    assert found
    assert found["ours"] is False
    assert "the host was restarted before the time set, not by this run" in driver.notes
    own = drive(make()).run(reboot, grace=300.0)
    assert own
    assert own["ours"] is True
