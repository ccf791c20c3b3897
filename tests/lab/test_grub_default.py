"""The kernel that tastyops reads as GRUB's default is the one that a real GRUB starts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.lab.machine import SESSION_SECONDS, Lab

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(SESSION_SECONDS)]

RUN_SECONDS = 1800
CHECK_AND_REBOOT = """\
title: What GRUB starts
hosts: kalimdor
works:
  - work: Restart
    steps:
      - boot.check:
        register: found
      - reboot: {grace: 3s, patience: 15m}
      - run: test "$(uname -r)" = {{ found.kernel }}
        reads: true
"""
OTHER = """\
title: The kernel that runs
hosts: kalimdor
works:
  - work: Restart
    steps:
      - reboot: {grace: 3s, kernel: %s}
"""
DEFAULTS = [
    ("saved_entry", "1>2"),
    ("saved_entry", "01>0x2"),
    ("saved_entry", "Advanced options for Debian GNU/Linux>2"),
    ("saved_entry", "gnulinux-gone"),
    ("saved_entry", "99"),
    ("saved_entry", "1st of all>0"),
]
"""In a submenu by numbers and by title, a name and a number that are not there, a name that begins
with a digit. The last starts the submenu's first entry."""


def set_entry(lab: Lab, name: str, value: str) -> None:
    lab.guest.run(
        "grep -q '^GRUB_DEFAULT=saved' /etc/default/grub /etc/default/grub.d/*"
        " || { echo GRUB_DEFAULT=saved >>/etc/default/grub; update-grub; };"
        f" grub-editenv - set '{name}={value}'; sync"
    )


@pytest.mark.parametrize(("name", "value"), DEFAULTS)
def test_what_is_read_is_what_grub_starts(
    pristine: Lab, tmp_path: Path, name: str, value: str
) -> None:
    set_entry(pristine, name, value)
    (tmp_path / "restart.yml").write_text(CHECK_AND_REBOOT)
    said = pristine.run(tmp_path / "restart.yml", timeout=RUN_SECONDS)
    assert said.endswith("exit 0"), said
    assert re.search(r"kernel to start: ok \(\d", said), said


def test_another_kernel_than_the_running_one_is_refused_beforehand(
    pristine: Lab, tmp_path: Path
) -> None:
    boot_id = pristine.guest.run("cat /proc/sys/kernel/random/boot_id")
    kernels = pristine.made.golden.kernels
    set_entry(pristine, "saved_entry", "1>2")
    (tmp_path / "other.yml").write_text(OTHER % kernels["running"])
    said = pristine.run(tmp_path / "other.yml")
    assert said.endswith("exit 1"), said
    assert re.search(rf"the boot menu starts kernel \S+, not {kernels['running']}", said), said
    assert pristine.guest.run("cat /proc/sys/kernel/random/boot_id") == boot_id
