"""The built-in actions against the model: the kernel upgrade, without SSH."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tastyops.actions import APT_GET
from tastyops.actions.boot_check import boot_check
from tastyops.actions.kernel_install import kernel_install
from tastyops.actions.reboot import reboot
from tastyops.actions.services_snapshot import services_snapshot
from tastyops.actions.services_verify import services_verify
from tastyops.actions.wall import wall
from tastyops.errors import Failed, Refused
from tastyops.facts.system import logind_call
from tastyops.model.action import Facts
from tastyops.practice import kalimdor
from tastyops.practice.calls import Call, Input
from tastyops.practice.machine import Machine
from tests.practice.conftest import Make
from tests.practice.driver import Driver, until, up

OLD, NEW = kalimdor.OLD_KERNEL, kalimdor.NEW_KERNEL


def drive(machine: Machine, **facts: object) -> Driver:
    return Driver(machine, Facts(host="kalimdor", **facts))  # type: ignore[arg-type]


def test_a_kernel_upgrade(machine: Machine) -> None:
    driver = drive(machine)
    kernel = driver.run(kernel_install, package="linux-image-amd64")
    assert kernel
    assert kernel["version"] == NEW
    assert kernel["package_version"] == "6.1.174-1"
    assert kernel["previous"] == OLD
    assert kernel["changed"] is True
    driver.run(wall, message="kalimdor reboots in 1m. Save your work.")
    assert "Save your work." in machine.users.terminals["ncm"].text
    before = machine.boot.id
    back = driver.run(reboot, grace=60.0, kernel=NEW, fallback="previous", patience=600.0)
    assert back
    assert (back["kernel"], back["previous"], back["failed"]) == (NEW, OLD, [])
    assert 40 <= back["down"] <= 50
    assert machine.boot.id != before
    assert "The practice system will reboot at" in machine.users.terminals["dwm"].text
    assert any(entry.startswith("Reboot ordered") for entry in driver.entries)
    verified = drive(machine, earlier={"reboot": back}.get).run(services_verify)
    assert verified
    assert (verified["state"], verified["failed"], verified["already_failed"]) == ("running", [], [])
    assert machine.execute(["uname", "-r"]).out.decode() == f"{NEW}\n"


def test_a_second_installation_changes_nothing(machine: Machine) -> None:
    drive(machine).run(kernel_install, package="linux-image-amd64")
    again = drive(machine).run(kernel_install, package="linux-image-amd64", update=False)
    assert again
    assert again["changed"] is False


def test_a_power_cut_in_the_middle_of_an_installation(make: Make) -> None:
    """apt refuses until dpkg has completed what it began, and the step sees to that."""
    machine = make(scale=600.0)
    process = machine.processes.begin("apt-get", leader=True)
    call = Call((*APT_GET, "install", "linux-image-amd64"), process, Input(), ignored, ignored)
    machine.processes.spawn(process, lambda: machine.run(call) and None)
    until(machine, lambda: machine.system.packages.unfinished() != [])
    machine.processes.end_all()
    until(machine, lambda: not machine.processes.alive(process))
    driver = drive(machine)
    kernel = driver.run(kernel_install, package="linux-image-amd64")
    assert kernel
    assert (kernel["version"], kernel["changed"]) == (NEW, True)
    assert driver.notes == ["an earlier installation was cut off; dpkg completes it first"]


def ignored(data: bytes) -> None:
    """Nobody reads it."""


def test_grub_that_starts_the_newest_needs_no_default(make: Make) -> None:
    machine = make(grub_default="0")
    driver = drive(machine)
    driver.run(kernel_install, package="linux-image-amd64")
    assert not any("grub-set-default" in str(command) for command in driver.seen)
    driver.run(reboot, grace=60.0, kernel=NEW)
    assert machine.boot.kernel == NEW


def test_without_a_new_default_the_old_kernel_comes_back(machine: Machine) -> None:
    machine.execute(["apt-get", "-y", "install", "linux-image-amd64"])
    with pytest.raises(Refused, match="the boot menu starts kernel"):
        drive(machine).run(reboot, grace=60.0, kernel=NEW)
    with pytest.raises(Failed, match="the host came back with kernel"):
        drive(machine, force="to see").run(reboot, grace=60.0, kernel=NEW)


@pytest.mark.parametrize("default", ["1>2", "Advanced options for Debian GNU/Linux>2", "1>0x2"])
def test_a_default_inside_a_submenu_is_refused_beforehand(make: Make, default: str) -> None:
    """It names another kernel than the running one, which the reboot asks for."""
    machine = make(grub_default=default)
    refusal = rf"the boot menu starts kernel {kalimdor.OLDER_KERNEL}, not {machine.boot.kernel}"
    with pytest.raises(Refused, match=refusal):
        drive(machine).run(reboot, grace=60.0, kernel=machine.boot.kernel)
    assert machine.power.phase == "up"


@pytest.mark.parametrize("name", ["saved_entry", "next_entry"])
def test_a_recovery_entry_is_refused_beforehand(machine: Machine, name: str) -> None:
    machine.system.grub.set(name, "1>1")
    with pytest.raises(Refused, match="in single-user mode"):
        drive(machine).run(reboot, grace=60.0)


def test_an_entry_for_the_next_boot_keeps_a_new_kernel_from_starting(machine: Machine) -> None:
    machine.system.grub.set("next_entry", "1>2")
    with pytest.raises(Failed, match="the next boot alone starts another entry, '1>2'"):
        drive(machine).run(kernel_install, package="linux-image-amd64")


def test_an_unknown_package_fails_the_step(machine: Machine) -> None:
    with pytest.raises(Failed, match="could not be installed"):
        drive(machine).run(kernel_install, package="linux-image-nonesuch")


def test_a_truncated_initrd_is_refused(make: Make) -> None:
    driver = drive(make(truncated_initrd=True))
    driver.run(kernel_install, package="linux-image-amd64")
    with pytest.raises(Failed, match=r"initial ramdisk of kernel .* is truncated or damaged"):
        driver.run(boot_check)
    with pytest.raises(Refused, match=r"initial ramdisk of kernel .* is truncated or damaged"):
        driver.run(reboot, grace=60.0)


def test_a_truncated_initrd_leaves_the_machine_down(make: Make) -> None:
    machine = make(truncated_initrd=True)
    driver = drive(machine)
    driver.run(kernel_install, package="linux-image-amd64")
    driver.facts = replace(driver.facts, force="to see what becomes of it")
    with pytest.raises(Failed, match="the host is not back"):
        driver.run(reboot, grace=60.0, patience=300.0)
    assert "Kernel panic" in machine.console.lines[-1]
    machine.power.cycle(OLD)
    with pytest.raises(ConnectionRefusedError):
        machine.execute(["true"])
    until(machine, lambda: up(machine))
    assert machine.execute(["uname", "-r"]).out.decode() == f"{OLD}\n"


def test_a_service_that_breaks_is_found(make: Make) -> None:
    machine = make(failed=["snmpd"], fails_after_boot=["exim4"])
    with pytest.raises(Failed, match=r"worse than before: exim4\.service failed"):
        drive(machine).run(reboot, grace=60.0)
    with pytest.raises(Failed, match=r"exim4\.service, snmpd\.service failed"):
        drive(machine).run(services_verify)
    earlier = {"reboot": {"failed_before": ["exim4.service", "snmpd.service"]}}
    verified = drive(machine, earlier=earlier.get).run(services_verify, services=["apache2", "ssh"])
    assert verified
    assert verified["state"] == "degraded"


def test_a_reboot_somebody_else_scheduled_is_respected(machine: Machine) -> None:
    due = str(round((machine.clock.time() + 7200) * 1_000_000))
    machine.execute(logind_call("ScheduleShutdown", "st", "poweroff", due))
    with pytest.raises(Refused, match="poweroff is already scheduled"):
        drive(machine).run(reboot)


def test_the_wrong_machine_is_refused(machine: Machine) -> None:
    with pytest.raises(Refused, match="calls itself kalimdor"):
        Driver(machine, Facts(host="azeroth")).run(reboot)


def test_an_array_that_was_degraded_before_the_run_is_excused(machine: Machine) -> None:
    """It used to fail the verification of every run until the disk was replaced."""
    for what in ("--fail", "--remove"):
        assert machine.execute(["mdadm", "/dev/md7", what, "/dev/sdb2"]).status == 0
    with pytest.raises(Failed, match=r"/dev/md7 degraded \(if it was so before this run"):
        drive(machine).run(services_verify)
    noted = drive(machine).run(services_snapshot)
    earlier = {"services.snapshot": noted}
    verified = drive(machine, earlier=earlier.get).run(services_verify)
    assert verified
    assert verified["as_before"] is True
    assert machine.execute(["mdadm", "/dev/md6", "--fail", "/dev/sdb1"]).status == 0
    with pytest.raises(Failed) as caught:
        drive(machine, earlier=earlier.get).run(services_verify)
    assert caught.value.why == "/dev/md6 degraded"


@pytest.mark.parametrize(
    ("settings", "holder", "lock"),
    [
        ({"apt_busy": 90.0}, "apt-get", "apt's package lists"),
        ({"dpkg_busy": 90.0}, "unattended-upgr", "dpkg"),
        ({"apt_busy": 30.0, "dpkg_busy": 200.0}, "unattended-upgr", "apt's package archive"),
    ],
)
def test_locks_of_the_package_manager_are_waited_for(
    make: Make, settings: dict[str, float], holder: str, lock: str
) -> None:
    """apt-get itself fails at once on the lists' lock and waits for dpkg's without a word."""
    driver = drive(make(**settings))
    kernel = driver.run(kernel_install, package="linux-image-amd64")
    assert kernel
    assert kernel["version"] == NEW
    said = "\n".join(driver.notes)
    assert f"({holder}) holds the lock on {lock}" in said
    assert "waiting, at most 5m" in said


def test_a_lock_that_is_never_let_go_of_names_its_holder(make: Make) -> None:
    driver = drive(make(apt_busy=3600.0))
    with pytest.raises(Failed, match=r"after 5m process \d+ \(apt-get\) holds the lock on apt's"):
        driver.run(kernel_install, package="linux-image-amd64")
