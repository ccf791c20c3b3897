"""Every way to break the lab; a run afterwards neither hangs nor crashes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tastyops.lab import faults, processes, record
from tastyops.lab.qmp import Qmp
from tests.lab.machine import ROOT, SESSION_SECONDS, Lab, until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(SESSION_SECONDS)]

LOOK = "run: {command: 'cat /proc/mdstat; df /var; ls /home/visitor', }\n        reads: true"
WRITE = "run: 'dd if=/dev/zero of=/home/ops/file bs=1M count=20 conv=fsync'"
REBOOT = "reboot: {grace: 3s, patience: 60s}"
FORCED = f"{REBOOT}\n        force: to see what becomes of it"
"""Past the guards: what they guard against really happens."""
START_SECONDS, STARTS = 120.0, 4
"""How long a kernel may take to panic, and how often it is started for that."""
UPGRADE = ROOT / "runbooks/kernel-upgrade.yml"


def runbook(folder: Path, step: str) -> Path:
    path = folder / "after.yml"
    path.write_text(
        f"title: After a fault\nkind: at risk\nhosts: kalimdor\nsummary: [Looking.]\nworks:\n"
        f"  - work: Look\n    steps:\n      - {step}\n"
    )
    return path


def broken(lab: Lab, fault: str) -> None:
    ended = lab.tastyops("lab.break", fault)
    assert ended.returncode == 0, ended.stderr
    assert lab.record().faults == (fault,)


def sound(said: str, code: int) -> None:
    """It ended with that code, and not with an error of tastyops' own."""
    assert said.endswith(f"exit {code}"), said
    assert "Traceback" not in said
    assert "error in tastyops itself" not in said


def test_a_failing_disk(pristine: Lab, tmp_path: Path) -> None:
    broken(pristine, "disk1")
    assert pristine.guest.run("cat /proc/mdstat").count("(F)") == 2
    sound(pristine.run(runbook(tmp_path, LOOK)), 0)


def panicked() -> bool:
    return b"Kernel panic - not" in record.console_log().read_bytes()


def test_a_truncated_initrd(pristine: Lab, tmp_path: Path) -> None:
    broken(pristine, "initrd")
    said = pristine.run(runbook(tmp_path, REBOOT))
    sound(said, 1)
    assert "is truncated or damaged" in said
    sound(pristine.run(runbook(tmp_path, FORCED)), 1)
    for _ in range(STARTS):  # an emulated machine may stand still before that: docs/lab.md
        if processes.wait_for(panicked, START_SECONDS, 0.5):
            break
        with Qmp(pristine.record().machine.qmp) as qmp:
            qmp.ask("system_reset")
    assert panicked(), "the kernel did not panic"
    assert b"Initramfs unpacking failed" in record.console_log().read_bytes()


def test_an_array_the_initrd_does_not_know(pristine: Lab, tmp_path: Path) -> None:
    broken(pristine, "array")
    said = pristine.run(runbook(tmp_path, REBOOT))
    sound(said, 1)
    assert "lacks the array /dev/md1" in said
    sound(pristine.run(runbook(tmp_path, FORCED)), 1)
    until(lambda: b"(initramfs)" in record.console_log().read_bytes(), 600, "it finds no root")


@pytest.mark.long  # test_filesystems.py finds and repairs the same damage by a runbook
def test_damage_that_xfs_repair_mends(pristine: Lab, tmp_path: Path) -> None:
    broken(pristine, "xfs-home")
    said = pristine.run(runbook(tmp_path, WRITE))
    assert said.endswith(("exit 0", "exit 1")), said
    assert "Traceback" not in said
    pristine.guest.run(faults.FREE_HOME, timeout=300)
    assert pristine.guest.run("xfs_repair -n /dev/vg0/home >/dev/null 2>&1; echo $?") == "1\n"
    pristine.guest.run("xfs_repair /dev/vg0/home")
    assert pristine.guest.run("xfs_repair -n /dev/vg0/home >/dev/null 2>&1; echo $?") == "0\n"


def test_a_full_var(pristine: Lab) -> None:
    broken(pristine, "fill-var")
    sound(pristine.run(UPGRADE), 1)


def test_no_power(pristine: Lab) -> None:
    broken(pristine, "power")
    sound(pristine.run(UPGRADE), 4)


def test_a_pulled_network_cable(pristine: Lab) -> None:
    broken(pristine, "network")
    sound(pristine.run(UPGRADE), 4)


def test_a_hung_console(pristine: Lab, tmp_path: Path) -> None:
    broken(pristine, "console")
    ended = pristine.tastyops("lab.console", timeout=60)  # its input ends at once
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""
    sound(pristine.run(runbook(tmp_path, LOOK)), 0)


def test_an_unknown_fault(lab: Lab) -> None:
    ended = lab.tastyops("lab.break", "disk11")
    assert ended.returncode == 2
    assert "disk1" in ended.stderr


def test_every_fault_has_its_test() -> None:
    text = Path(__file__).read_text()
    for fault in faults.FAULTS:
        assert f'broken(pristine, "{fault.name}")' in text
