"""The lab machine itself: its parts, its console, starting and stopping."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pexpect
import pytest

from tastyops.lab import lifecycle, processes, recipe, record
from tests.lab.machine import SESSION_SECONDS, Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(SESSION_SECONDS)]


def test_it_is_what_the_issue_says(pristine: Lab) -> None:
    guest = pristine.guest
    mdstat = guest.run("cat /proc/mdstat")
    assert mdstat.count("[UUU]") == 2
    mounts = guest.run("findmnt -rno TARGET,SOURCE,FSTYPE")
    for place, source in (("/", "root"), ("/home", "home"), ("/var", "var"), ("/recover", "recover")):
        assert f"{place} /dev/mapper/vg0-{source} xfs" in mounts
    assert "/boot /dev/md0 ext4" in mounts
    serials = guest.run("lsblk -dno SERIAL").split()
    assert sorted(serials) == [disk.serial for disk in recipe.DISKS]
    for disk in ("sda", "sdb", "sdc"):
        assert guest.run(f"head -c 512 /dev/{disk} | grep -ac GRUB") == "1\n"
    kernels = pristine.made.golden.kernels
    installed = guest.run("ls /boot")
    assert f"vmlinuz-{kernels['fallback']}" in installed
    assert f"vmlinuz-{kernels['running']}" in installed
    assert kernels["newest"] in guest.run("apt-cache depends linux-image-amd64")
    assert guest.run("systemctl is-active " + " ".join(recipe.SERVICES)).split() == ["active"] * 4
    assert recipe.VISITOR in guest.run("who")
    began = time.time()
    told = float(guest.run("date +%s.%N"))
    assert began - 20 < told < time.time() + 20  # it was asleep since it was put aside


def test_it_reaches_nothing(lab: Lab) -> None:
    said = lab.guest.run("ping -c 1 -W 2 10.0.2.2 >/dev/null 2>&1; timeout 5 bash -c"
                         " 'echo > /dev/tcp/10.0.2.2/22' 2>&1 || echo refused")  # fmt: skip
    assert "refused" in said


def test_a_second_up_finds_the_first(lab: Lab) -> None:
    first = lab.record()
    assert lab.tastyops("lab.up").returncode == 0
    assert lab.record() == first
    assert lab.tastyops("lab.status", program="invoke").returncode == 0


def test_ssh_runs_a_command_and_gives_its_status(lab: Lab) -> None:
    ended = lab.tastyops("lab.ssh", "--command", "echo $(id -un) on $(hostname); exit 7")
    assert (ended.stdout, ended.returncode) == ("root on kalimdor\n", 7)
    ended = lab.tastyops("lab.ssh", "--user", "ops", "--command", "sudo -n id -u")
    assert ended.stdout == "0\n"


def test_a_crashed_lab_is_cleaned_up(pristine: Lab) -> None:
    crashed = pristine.record()
    assert crashed.qemu
    crashed.qemu.end()
    assert pristine.tastyops("lab.status").returncode == 1
    pristine.made = lifecycle.up(lambda _: None)
    assert crashed.hub
    assert not crashed.hub.alive
    assert pristine.made.guest.answers()


def test_hands_on_the_console(pristine: Lab) -> None:
    program = str(Path(sys.executable).with_name("tastyops"))
    hands = pexpect.spawn(
        program, ["lab.console"], env=pristine.environment, timeout=300, encoding="utf-8"
    )
    hands.expect("leaves")
    hands.send("\r")
    hands.expect("kalimdor login: ")
    hands.send("\x1d")
    hands.expect(pexpect.EOF)
    hands.close()
    assert hands.exitstatus == 0


def test_down_ends_everything(pristine: Lab) -> None:
    found = pristine.record()
    started = [found.qemu, found.hub, found.bmc]
    lifecycle.down(lambda _: None)
    assert record.read() is None
    assert not found.folder.exists()
    for process in started:
        assert process
        assert processes.wait_for(lambda process=process: not process.alive, 60)
    pristine.reset()
