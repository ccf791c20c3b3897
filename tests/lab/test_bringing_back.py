"""A machine that does not come back is recovered over its console and its power switch alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tastyops.lab import faults, record
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
        "Its state: off.",
        "Its power was off, and was switched on at the power switch.",
        "The unassisted start led to: panic.",
        f"Single-user mode reached with the previous kernel, {kernels['fallback']}.",
        "/dev/mapper/vg0-home checked: no errors.",
        "/dev/mapper/vg0-var checked: no errors.",
        f"in normal operation, running the previous kernel, {kernels['fallback']}.",
        "Services verified as running normally.",
        "1 initial ramdisk(s) rebuilt.",
        "Boot loader and initial ramdisk checked",
    )
    assert pristine.guest.run("uname -r").strip() == kernels["fallback"]


def boots(lab: Lab) -> str:
    return lab.guest.run("cat /proc/sys/kernel/random/boot_id")


def test_a_host_that_answers_keeps_its_power(pristine: Lab) -> None:
    boot_id = boots(pristine)
    said = pristine.run(ROOT / "runbooks/unresponsive-server.yml", timeout=RUN_SECONDS)
    assert said.endswith("exit 1"), said
    assert "is not unresponsive: it answers over SSH" in said
    assert boots(pristine) == boot_id


def test_a_host_that_starts_keeps_its_power(pristine: Lab) -> None:
    pristine.guest.run("systemctl reboot || true")
    said = pristine.run(ROOT / "runbooks/unresponsive-server.yml", timeout=RUN_SECONDS)
    assert said.endswith("exit 1"), said
    assert "is not unresponsive: it answers over SSH" in said
    assert "at the power switch" not in said


UNMOUNTABLE_HOME = (
    f"set -e; {faults.FREE_HOME};"
    " free=$(xfs_db -r -c 'agf 0' -c 'p freeblks' /dev/vg0/home | sed 's/.* //');"
    " xfs_db -x -c 'agf 0' -c \"write -d freeblks $((free - 5))\" /dev/vg0/home >/dev/null; sync"
)
"""Fewer free blocks than its trees say: the kernel does not mount it, and xfs_repair corrects it."""


def test_emergency_mode_because_of_home(pristine: Lab) -> None:
    """Neither power nor the previous kernel: logged in on the console, repaired, gone on."""
    kernels = pristine.made.golden.kernels
    pristine.guest.run(UNMOUNTABLE_HOME, timeout=300)
    before = len(record.console_log().read_bytes())
    pristine.guest.run("systemctl reboot || true")
    until(
        lambda: b"for maintenance" in record.console_log().read_bytes()[before:], 900,
        "it comes to emergency mode",
    )  # fmt: skip
    said = run(pristine, ROOT / "runbooks/unresponsive-server.yml")
    in_order(
        said,
        "Its state: maintenance.",
        "root's shell on its console is used.",
        " repaired: ",
        "in normal operation, running kernel",
    )
    assert "at the power switch" not in said
    assert pristine.guest.run("uname -r").strip() == kernels["running"]
    assert pristine.guest.run("systemctl is-active emergency.target || true").strip() == "inactive"


def test_a_run_that_fails_leaves_no_shell_on_the_console(pristine: Lab, tmp_path: Path) -> None:
    runbook = tmp_path / "left.yml"
    runbook.write_text(
        "title: Left\nhosts: kalimdor\nworks:\n  - work: Fail in emergency mode\n    steps:\n"
        "      - boot: {mode: emergency, grace: 5s}\n      - run: exit 3\n"
        "rescue:\n  - console.log_out:\n"
    )
    said = pristine.run(runbook, timeout=RUN_SECONDS)
    assert said.endswith("exit 1"), said
    assert "Logged out on the console." in said
    shown = record.console_log().read_bytes()
    assert b"for maintenance" in shown[-400:], f"sulogin asks again: {shown[-400:]!r}"


def test_an_array_the_initrd_left_out(pristine: Lab) -> None:
    broken(pristine, "array")
    pristine.guest.run("systemctl reboot || true")
    until(lambda: b"(initramfs)" in record.console_log().read_bytes(), 900, "it finds no root")
    said = run(pristine, ROOT / "runbooks/root-not-found.yml")
    in_order(
        said,
        "The console shows: initramfs.",
        "Arrays assembled over the console; the boot went on",
        "RAID mirrors recorded in the configuration; 1 initial ramdisks made again.",
        "Boot loader and initial ramdisk checked",
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
    back = "Machine went on, without a restart, to normal mode"
    in_order(said, f"Machine started in {mode} mode", back)
    if mode == "single-user":
        in_order(said, "errors found.", " repaired: ", " checked: no errors.", " mounted.")
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
