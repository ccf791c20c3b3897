"""Filesystem and volume actions against the model: the night of February 16th 2008, rehearsed."""

from __future__ import annotations

import pytest

from tastyops.actions.fs_check import fs_check
from tastyops.actions.fs_grow import fs_grow
from tastyops.actions.fs_lost_found import fs_lost_found
from tastyops.actions.fs_mount import fs_mount
from tastyops.actions.fs_repair import fs_repair
from tastyops.actions.fs_unmount import fs_unmount
from tastyops.actions.kernel_log_scan import kernel_log_scan
from tastyops.actions.wall import wall
from tastyops.errors import Refused
from tastyops.model.action import Facts
from tastyops.practice.machine import Machine
from tests.practice.driver import Driver

RECOVER = "/dev/mapper/volume-recover"


def drive(machine: Machine) -> Driver:
    return Driver(machine, Facts(host="kalimdor"))


def test_a_damaged_filesystem_is_found_repaired_and_its_lost_files_counted(
    machine: Machine,
) -> None:
    filesystem = machine.system.storage.mounts.filesystem(RECOVER)
    assert filesystem
    filesystem.damage.append("disconnected inode 131, moving to lost+found")
    filesystem.lost.append((8_500_000, "jeremy", "131"))
    driver = drive(machine)
    with pytest.raises(Refused, match="mounted read-write"):
        driver.run(fs_repair, filesystem="/vol/recover")
    driver.run(fs_unmount, filesystem="/vol/recover")
    found = driver.run(fs_check, filesystem="/vol/recover")
    assert found
    assert (found["state"], found["errors"], found["device"]) == ("damaged", 1, RECOVER)
    mended = driver.run(fs_repair, filesystem="/vol/recover")
    assert mended
    assert (mended["changed"], mended["moved"]) == (True, 1)
    assert driver.run(fs_check, filesystem="/vol/recover", clean=True)
    driver.run(fs_mount, filesystem="/vol/recover")
    lost = driver.run(fs_lost_found, filesystem="/vol/recover")
    assert lost
    assert (lost["count"], lost["size"], lost["owners"]) == (1, "8.11MiB", ["jeremy"])


def test_users_who_are_asked_to_leave_let_go_of_home(machine: Machine) -> None:
    driver = drive(machine)
    with pytest.raises(Refused, match=r"bash \(2001\) of session-1.scope"):
        driver.run(fs_unmount, filesystem="/home", patience=1.0)
    driver.run(wall, message="Save your work and log out.")
    left = driver.run(fs_unmount, filesystem="/home", patience=300.0)
    assert left
    assert left["changed"] is True


def test_a_snapshot_is_checked_and_gone_afterwards(machine: Machine) -> None:
    found = drive(machine).run(fs_check, filesystem="/var", snapshot="1G")
    assert found
    assert found["state"] == "clean"
    assert not [volume for volume in machine.system.storage.volumes.volumes if volume.origin]


def test_var_is_grown_online(machine: Machine) -> None:
    driver = drive(machine)
    grown = driver.run(fs_grow, filesystem="/var", by="4G")
    assert grown
    assert (grown["previous"], grown["size"], grown["changed"]) == ("12GiB", "16GiB", True)
    again = driver.run(fs_grow, filesystem="/var", to="16G")
    assert again
    assert again["changed"] is False
    with pytest.raises(Refused, match="never shrunk"):
        driver.run(fs_grow, filesystem="/var", to="1G")
    with pytest.raises(Refused, match="more is needed"):
        driver.run(fs_grow, filesystem="/var", by="5T")


def test_a_second_run_finds_enough_free(machine: Machine) -> None:
    driver = drive(machine)
    first, again = (driver.run(fs_grow, filesystem="/var", free="200M") for _ in range(2))
    assert first
    assert again
    assert (first["changed"], again["changed"]) == (True, False)
    assert first["size"] == again["size"] == again["previous"]


def test_the_kernel_has_nothing_to_say(machine: Machine) -> None:
    said = drive(machine).run(kernel_log_scan)
    assert said
    assert said["total"] == 0
