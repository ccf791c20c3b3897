"""The power switch and the console of the lab's inventory: real IPMI."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pexpect
import pytest

from tastyops.lab import lifecycle, recipe, record
from tastyops.lab.inventory import POWER_WORDS
from tastyops.lab.processes import Process
from tests.lab.machine import SESSION_SECONDS, Lab, until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(SESSION_SECONDS)]

ON, OFF = "Chassis Power is on", "Chassis Power is off"
BOOT_ID = "sync; cat /proc/sys/kernel/random/boot_id"
MENU = "which entry is highlighted"
"""The last thing GRUB writes of a menu."""

FIRST, DOWN, ENTER = "\x01", "\x0e", "\r"
"""GRUB's control keys: an arrow is three bytes, which a slow line may take for a lone Escape."""


def power(lab: Lab, word: str) -> str:
    assert lab.host.power
    ended = subprocess.run(
        lab.host.power.commands[word], capture_output=True, text=True, timeout=120, check=True
    )
    return ended.stdout.strip()


def told(lab: Lab, status: str) -> None:
    until(lambda: power(lab, "status") == status, 120, status)


def another(lab: Lab, first: Process | None) -> bool:
    """Whether the machine was really off meanwhile: QEMU is another process."""
    now = lab.record().qemu
    return now is not None and now != first


@pytest.fixture
def console(lab: Lab) -> Iterator[pexpect.spawn[str]]:
    """Serial over LAN, as the inventory has it."""
    assert lab.host.console
    program, *words = lab.host.console.command
    spawned = pexpect.spawn(
        program, words, timeout=300, encoding="utf-8", codec_errors="replace"
    )
    spawned.delaybeforesend = None
    try:
        spawned.expect("SOL Session operational")
        yield spawned
    finally:
        spawned.close(force=True)


def test_the_inventory_names_every_word_of_the_switch(lab: Lab) -> None:
    assert lab.host.power
    assert set(lab.host.power.commands) == set(POWER_WORDS)
    assert power(lab, "status") == ON


@pytest.mark.long  # conformance/test_out_of_band.py does the same through tastyops' own switch
def test_off_and_on(pristine: Lab) -> None:
    boot_id, first = pristine.guest.run(BOOT_ID), pristine.record().qemu
    power(pristine, "off")
    until(lambda: pristine.record().qemu is None, 120, "the machine is off")
    told(pristine, OFF)
    assert not pristine.guest.answers()
    power(pristine, "on")
    until(lambda: another(pristine, first), 120, "it is switched on")
    told(pristine, ON)
    pristine.guest.wait(lifecycle.BOOT_SECONDS)
    assert pristine.guest.run(BOOT_ID) != boot_id


@pytest.mark.long  # as above: an entry is picked and booted there
def test_a_cycle_and_the_older_kernel_at_the_boot_menu(
    pristine: Lab, console: pexpect.spawn[str]
) -> None:
    """As on a bad night: everything from outside, over the same serial console all the while."""
    boot_id, first = pristine.guest.run(BOOT_ID), pristine.record().qemu
    power(pristine, "cycle")
    until(lambda: another(pristine, first), 120, "it is switched off and on")
    # The menu waits three seconds for a key, so one is pressed before it is seen: go to the top.
    until(lambda: _shows(console, MENU), 300, "the boot menu")
    console.send(DOWN + ENTER)  # the submenu of all kernels
    console.expect(MENU)
    console.send(FIRST + DOWN * 2 + ENTER)  # past the newer kernel and its recovery mode
    fallback = pristine.made.golden.kernels["fallback"]
    console.expect(f"Linux version {fallback} ")
    console.expect("kalimdor login: ")
    pristine.guest.wait(lifecycle.BOOT_SECONDS)
    assert pristine.guest.run("uname -r").strip() == fallback
    assert pristine.guest.run(BOOT_ID) != boot_id
    told(pristine, ON)


def _shows(console: pexpect.spawn[str], text: str) -> bool:
    console.send(FIRST)
    return console.expect([text, pexpect.TIMEOUT], timeout=0.5) == 0


def test_from_login_to_shell(pristine: Lab, console: pexpect.spawn[str]) -> None:
    console.send("\r")
    console.expect("login: ")
    console.send("root\r")
    console.expect("assword: ")
    console.send(f"{recipe.CONSOLE_PASSWORD}\r")
    console.expect(r"root@kalimdor:~# ")
    console.send("echo from-$((40 + 2)); exit\r")
    console.expect("from-42")
    assert b"from-42" in record.console_log().read_bytes()
