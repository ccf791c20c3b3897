"""The lab machine itself: what it is made of, its switch, its console, coming and going."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tastyops.lab import life, processes, recipe, record
from tests.lab.machine import SESSION_SECONDS, Lab, until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(SESSION_SECONDS)]


def power(lab: Lab, word: str) -> str:
    assert lab.host.power
    ended = subprocess.run(
        shlex.split(lab.host.power[word]), capture_output=True, text=True, timeout=60, check=True
    )
    return ended.stdout.strip()


@pytest.fixture
def console(lab: Lab) -> Iterator[pexpect.spawn[str]]:
    assert lab.host.console
    spawned = pexpect.spawn(
        lab.host.console["command"], timeout=60, encoding="utf-8", codec_errors="replace"
    )
    yield spawned
    spawned.close(force=True)


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
    assert abs(float(guest.run("date +%s.%N")) - time.time()) < 5


def test_it_reaches_nothing(lab: Lab) -> None:
    said = lab.guest.run("ping -c 1 -W 2 10.0.2.2 >/dev/null 2>&1; timeout 5 bash -c"
                         " 'echo > /dev/tcp/10.0.2.2/22' 2>&1 || echo refused")  # fmt: skip
    assert "refused" in said


def test_a_second_up_finds_the_first(lab: Lab) -> None:
    first = lab.record()
    began = time.monotonic()
    assert lab.tastyops("lab.up").returncode == 0
    assert time.monotonic() - began < 20
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
    pristine.made = life.up(lambda _: None)
    assert crashed.hub
    assert not crashed.hub.alive
    assert pristine.made.guest.answers()


def test_a_console_in_use_reaches_from_login_to_shell(
    pristine: Lab, console: pexpect.spawn[str]
) -> None:
    console.expect("SOL Session operational")
    console.send("\r")
    console.expect("login: ")
    console.send("root\r")
    console.expect("assword: ")
    console.send(f"{recipe.CONSOLE_PASSWORD}\r")
    console.expect(r"root@kalimdor:~# ")
    console.send("echo from-$((40 + 2)); exit\r")
    console.expect("from-42")
    assert b"from-42" in record.console_log().read_bytes()


def test_hands_on_the_console(pristine: Lab) -> None:
    program = str(Path(sys.executable).with_name("tastyops"))
    hands = pexpect.spawn(
        program, ["lab.console"], env=pristine.environment, timeout=60, encoding="utf-8"
    )
    hands.expect("leaves")
    hands.send("\r")
    hands.expect("kalimdor login: ")
    hands.send("\x1d")
    hands.expect(pexpect.EOF)
    hands.close()
    assert hands.exitstatus == 0


def test_the_switch_cuts_and_gives_power(pristine: Lab) -> None:
    boot_id = pristine.guest.run("cat /proc/sys/kernel/random/boot_id; sync")
    assert power(pristine, "status") == "Chassis Power is on"
    power(pristine, "off")
    until(lambda: pristine.record().qemu is None, 30, "the machine is off")
    until(lambda: power(pristine, "status") == "Chassis Power is off", 30, "the switch knows it")
    power(pristine, "on")
    pristine.guest.wait(life.BOOT_SECONDS)
    assert pristine.guest.run("cat /proc/sys/kernel/random/boot_id; sync") != boot_id
    assert re.fullmatch("Chassis Power is on", power(pristine, "status"))


def test_down_ends_everything(pristine: Lab) -> None:
    found = pristine.record()
    started = [found.qemu, found.hub, found.bmc]
    life.down(lambda _: None)
    assert record.read() is None
    assert not found.folder.exists()
    for process in started:
        assert process
        assert processes.waited_for(lambda process=process: not process.alive, 10)
    pristine.reset()
