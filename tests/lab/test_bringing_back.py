"""A machine that does not come back is got back: over its console and its power switch alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tastyops.lab import record
from tests.lab.machine import ROOT, SESSION_SECONDS, Lab, until

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(SESSION_SECONDS)]

RUN_SECONDS = 1800
SINGLE_USER = """\
title: Filesystem checks in single-user mode
kind: at risk
hosts: kalimdor
works:
  - work: Start in {mode} mode
    steps:
      - boot: {{mode: {mode}, grace: 5s}}
  - work: Check
    steps:
{steps}
  - work: Back to normal
    steps:
      - boot: normal
      - services.verify:
"""
OVER_SSH = """\
      - fs.unmount: /home
      - fs.check: {filesystem: /home, replay: true}
        register: home
      - fs.repair: /home
        when: home.state == 'damaged'
      - fs.check: {filesystem: /home, clean: true}
      - fs.mount: /home"""
ON_THE_CONSOLE = """\
      - console.run: 'grep -q "^/dev/mapper/vg0-root / xfs ro" /proc/mounts'
      - run: grep -q "^/dev/mapper/vg0-root / xfs ro" /proc/mounts
      - run: vgchange --activate y
      - run: '! xfs_repair -n /dev/vg0/home'
      - run: xfs_repair /dev/vg0/home
      - run: xfs_repair -n /dev/vg0/home"""


def broken(lab: Lab, fault: str) -> None:
    ended = lab.tastyops("lab.break", fault)
    assert ended.returncode == 0, ended.stderr


def run(lab: Lab, runbook: Path, *words: str) -> str:
    said = lab.run(runbook, *words, timeout=RUN_SECONDS)
    assert said.endswith("exit 0"), said
    return said


def in_order(text: str, *pieces: str) -> None:
    at = 0
    for piece in pieces:
        found = text.find(piece, at)
        assert found >= 0, f"{piece!r} is not there, or not after what stands before it:\n{text}"
        at = found + len(piece)


def test_a_panic_a_power_cycle_and_the_backup_kernel(pristine: Lab) -> None:
    kernels = pristine.made.golden.kernels
    broken(pristine, "initrd")
    broken(pristine, "power")
    said = run(pristine, ROOT / "runbooks/unresponsive-server.yml")
    in_order(
        said,
        "the console now shows: panic.",
        f"booted into single-user mode using the backup kernel {kernels['fallback']}.",
        "Filesystem check of /dev/mapper/vg0-home complete, no errors.",
        "Filesystem check of /dev/mapper/vg0-var complete, no errors.",
        "brought up into normal multi-user mode.",
        "Normal services restored.",
        "1 initial ramdisk(s) made anew.",
        "Boot loader and initial ramdisk checked.",
    )
    assert pristine.guest.run("uname -r").strip() == kernels["fallback"]


def test_an_array_the_initrd_left_out(pristine: Lab) -> None:
    broken(pristine, "array")
    pristine.guest.run("systemctl reboot || true")
    until(lambda: b"(initramfs)" in record.console_log().read_bytes(), 900, "it finds no root")
    said = run(pristine, ROOT / "runbooks/root-not-found.yml")
    in_order(
        said,
        "The console shows: initramfs.",
        "Arrays assembled over the console; the boot went on",
        "Arrays recorded in mdadm.conf; 1 initial ramdisk(s) made anew.",
        "Boot loader and initial ramdisk checked.",
        "Machine rebooted successfully",
        "Services verified as running normally.",
    )
    assert pristine.guest.run("cat /proc/mdstat").count("[UUU]") == 2


@pytest.mark.parametrize(
    ("mode", "steps"), [("single-user", OVER_SSH), ("emergency", ON_THE_CONSOLE)]
)
def test_a_mode_and_back(pristine: Lab, tmp_path: Path, mode: str, steps: str) -> None:
    runbook = tmp_path / "mode.yml"
    runbook.write_text(SINGLE_USER.format(mode=mode, steps=steps))
    broken(pristine, "xfs-home")
    boot_id = pristine.guest.run("cat /proc/sys/kernel/random/boot_id")
    said = run(pristine, runbook)
    in_order(said, f"Machine started in {mode} mode", "Machine started in normal mode")
    if mode == "single-user":
        in_order(said, "errors found.", " repaired: ", "complete, no errors.", " mounted.")
    assert pristine.guest.run("systemctl is-system-running || true").strip() == "running"
    assert pristine.guest.run("cat /proc/sys/kernel/random/boot_id") != boot_id


def test_a_preflight_alone(pristine: Lab) -> None:
    sound = pristine.tastyops("check", "--host", "kalimdor", "--inventory", "lab")
    assert sound.returncode == 0, sound.stdout + sound.stderr
    assert "kalimdor: power switch: ok (on)" in sound.stdout
    assert "kalimdor: boot disks: ok (/dev/sda, /dev/sdb, /dev/sdc)" in sound.stdout
    broken(pristine, "initrd")
    ended = pristine.tastyops("check", "--host", "kalimdor", "--inventory", "lab")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "is truncated or damaged" in ended.stdout
