"""Ways a reboot can go wrong on a real machine, seen on its console and told (docs/reboots.md)."""

from __future__ import annotations

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
LOOP = """\
[Unit]
After=ssh.service
[Service]
ExecStart=/bin/sh -c 'sleep 20; systemctl reboot'
[Install]
WantedBy=multi-user.target
"""
WAYS = {
    "grub": ("mv /boot/grub/grub.cfg /boot/grub/off.cfg", "the console shows GRUB's prompt"),
    "fstab": (
        f"echo '{NOT_FOUND} /srv ext4 x-systemd.device-timeout=5s 0 2' >> /etc/fstab",
        "the console shows the prompt of emergency mode",
    ),
    "loop": (
        f"cat > /etc/systemd/system/again.service <<'EOF'\n{LOOP}EOF\nsystemctl enable again",
        "a boot loop: it restarted",
    ),
}


def reboot(lab: Lab, folder: Path, params: str) -> str:
    (folder / "reboot.yml").write_text(REBOOT % params)
    return lab.run(folder / "reboot.yml", timeout=RUN_SECONDS)


@pytest.mark.parametrize("way", WAYS)
def test_it_is_not_back_and_the_console_says_why(
    pristine: Lab, tmp_path: Path, way: str
) -> None:
    break_it, seen = WAYS[way]
    pristine.guest.run(f"{break_it}; sync")
    said = reboot(pristine, tmp_path, "grace: 3s, patience: 20m")
    assert said.endswith("exit 1"), said
    assert seen in said


def test_a_power_cycle_and_the_previous_kernel_without_a_hand_on_it(
    pristine: Lab, tmp_path: Path
) -> None:
    fallback = pristine.made.golden.kernels["fallback"]
    assert pristine.tastyops("lab.break", "initrd").returncode == 0
    said = reboot(
        pristine, tmp_path, "grace: 3s, patience: 20m, recover: power-cycle, fallback: previous"
    )
    assert said.endswith("exit 0"), said
    assert "Power-cycled via the power switch." in said
    assert f"running kernel {fallback}." in said
    assert pristine.guest.run("uname -r").strip() == fallback
