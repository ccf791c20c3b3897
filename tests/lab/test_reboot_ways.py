"""Ways a reboot can go wrong on a real machine, seen on its console (docs/reboots.md)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.lab.machine import SESSION_SECONDS, Lab

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(SESSION_SECONDS)]

RUN_SECONDS = 1800
REBOOT = """\
title: A reboot
kind: at risk
hosts: kalimdor
works:
  - work: Reboot
    steps:
      - reboot: {%s}
        force: to see what becomes of it
"""
NOT_FOUND = "UUID=00000000-1111-2222-3333-444444444444"
SERIAL = "serial --unit=0 --speed=115200\nterminal_input serial\nterminal_output serial\n"
"""What is left of a boot menu that was cut off: a prompt, on the serial console."""
EARLY = "DefaultDependencies=no\nAfter=local-fs.target\nBefore=sysinit.target"
BEFORE_SSH = "After=local-fs.target\nBefore=ssh.service"
AFTER_SSH = "After=ssh.service"
ONCE_SEEN = "until pgrep -u ops -x sh; do sleep 1; done"
"""Not before somebody is in: on an emulated processor that may take a while."""
PASSPHRASE = "systemd-ask-password --timeout=0 'Please enter passphrase for disk data (crypt):'"


def at_boot(when: str, command: str) -> str:
    """What has the next boot run a command at that point of it, and wait for its end."""
    unit = (
        f"[Unit]\n{when}\n[Service]\nType=oneshot\nTimeoutStartSec=infinity\n"
        f'ExecStart=/bin/sh -c "{command}"\n[Install]\nWantedBy=multi-user.target\n'
    )
    return f"cat >/etc/systemd/system/way.service <<'EOF'\n{unit}EOF\nsystemctl --quiet enable way"


NOT_BACK = {
    "grub": (
        f"printf '{SERIAL}' >/boot/grub/grub.cfg",
        "the console shows GRUB's prompt",
    ),
    "fstab": (
        f"echo '{NOT_FOUND} /srv ext4 x-systemd.device-timeout=5s 0 2' >>/etc/fstab",
        "the console shows the prompt of emergency mode",
    ),
    "passphrase": (at_boot(EARLY, PASSPHRASE), "the console shows a prompt for a passphrase"),
    "off": (at_boot(BEFORE_SSH, "systemctl poweroff --force"), "its power is off"),
    "loop": (at_boot(AFTER_SSH, f"{ONCE_SEEN}; sleep 5; systemctl reboot"), "a boot loop: it restarted"),
    "unseen": (at_boot(EARLY, "systemctl reboot --force --force"), "a boot loop; it restarted 3 times"),
}
"""How each is brought about on the host before the reboot, and what is said of it then."""

BACK = {
    "clock": (
        at_boot(BEFORE_SSH, "date --set=+1hour"),
        r"worse than before: its clock is (1h\S*|59m5\ds) ahead",
    ),
    "worse": (at_boot(BEFORE_SSH, "false"), "worse than before: way.service failed"),
    "build": (
        at_boot(BEFORE_SSH, "sed -i 's/#1 SMP PREEMPT_DYNAMIC Debian/#2 SMP PREEMPT_DYNAMIC Debian/'"
                " /boot/vmlinuz-$(uname -r)"),
        "it came back with another build of kernel",
    ),
}  # fmt: skip


def reboot(lab: Lab, folder: Path, params: str) -> str:
    (folder / "reboot.yml").write_text(REBOOT % params)
    return lab.run(folder / "reboot.yml", timeout=RUN_SECONDS)


@pytest.mark.parametrize("way", NOT_BACK)
def test_it_is_not_back_and_the_console_says_why(pristine: Lab, tmp_path: Path, way: str) -> None:
    break_it, seen = NOT_BACK[way]
    pristine.guest.run(f"{break_it}; sync")
    said = reboot(pristine, tmp_path, "grace: 3s, patience: 10m")
    assert said.endswith("exit 1"), said
    assert seen in said


@pytest.mark.parametrize("way", BACK)
def test_it_is_back_and_not_as_it_was(pristine: Lab, tmp_path: Path, way: str) -> None:
    break_it, seen = BACK[way]
    pristine.guest.run(f"{break_it}; sync")
    said = reboot(pristine, tmp_path, "grace: 3s, patience: 10m")
    assert said.endswith("exit 1"), said
    assert re.search(seen, said), said
    assert "Machine rebooted successfully" not in said


def test_another_kernel_than_was_wanted(pristine: Lab, tmp_path: Path) -> None:
    kernels = pristine.made.golden.kernels
    wanted = f"grace: 3s, patience: 10m, kernel: {kernels['fallback']}"
    said = reboot(pristine, tmp_path, wanted)
    assert said.endswith("exit 1"), said
    assert f"the host came back with kernel {kernels['running']}, not {kernels['fallback']}" in said


def test_another_host_key(pristine: Lab, tmp_path: Path) -> None:
    keys = "rm /etc/ssh/ssh_host_*_key*; ssh-keygen -A"
    pristine.guest.run(f"{at_boot(BEFORE_SSH, keys)}; sync")
    said = reboot(pristine, tmp_path, "grace: 3s, patience: 10m")
    assert said.endswith("exit 4"), said
    assert "another key than the one on record" in said


def test_it_takes_no_logins(pristine: Lab, tmp_path: Path) -> None:
    """The end of the early boot never comes: /run/nologin stays."""
    pristine.guest.run("systemctl --quiet mask systemd-user-sessions; sync")
    said = reboot(pristine, tmp_path, "grace: 3s, patience: 3m")
    assert said.endswith("exit 1"), said
    assert "it answers, but takes no logins (nologin)" in said


@pytest.mark.parametrize(("seconds", "code"), [("30", 0), ("infinity", 1)])
def test_ssh_is_up_before_the_boot_has_finished(
    pristine: Lab, tmp_path: Path, seconds: str, code: int
) -> None:
    pristine.guest.run(f"{at_boot(AFTER_SSH, f'{ONCE_SEEN}; sleep {seconds}')}; sync")
    said = reboot(pristine, tmp_path, f"grace: 3s, patience: {'10m' if code == 0 else '3m'}")
    assert said.endswith(f"exit {code}"), said
    assert "the system is still starting" in said
    assert ("Machine rebooted successfully" in said) == (code == 0)


def test_it_never_goes_down(pristine: Lab, tmp_path: Path) -> None:
    boot_id = pristine.guest.run("cat /proc/sys/kernel/random/boot_id")
    pristine.guest.run("systemctl --quiet mask --runtime reboot.target")
    said = reboot(pristine, tmp_path, "grace: 3s, patience: 10m")
    assert said.endswith("exit 1"), said
    assert "the host did not go down: it still has its old boot id" in said
    assert pristine.guest.run("cat /proc/sys/kernel/random/boot_id") == boot_id


def test_a_power_cycle_and_the_previous_kernel_without_a_hand_on_it(
    pristine: Lab, tmp_path: Path
) -> None:
    fallback = pristine.made.golden.kernels["fallback"]
    assert pristine.tastyops("lab.break", "initrd").returncode == 0
    said = reboot(
        pristine, tmp_path, "grace: 3s, patience: 10m, recover: power-cycle, fallback: previous"
    )
    assert said.endswith("exit 0"), said
    assert "Power-cycled via the power switch." in said
    assert f"running kernel {fallback}." in said
    assert pristine.guest.run("uname -r").strip() == fallback


def test_both_kernels_fail(pristine: Lab, tmp_path: Path) -> None:
    fallback = pristine.made.golden.kernels["fallback"]
    pristine.guest.run(f"truncate --size=1M /boot/initrd.img-{fallback}; sync")
    assert pristine.tastyops("lab.break", "initrd").returncode == 0
    said = reboot(
        pristine, tmp_path, "grace: 3s, patience: 10m, recover: power-cycle, fallback: previous"
    )
    assert said.endswith("exit 1"), said
    assert "after a power cycle too" in said
    assert "the console shows a kernel panic" in said
