"""Every shipped runbook, on the practice host, to its end: unattended, through the program itself.

A runbook without a case fails. ``said`` are sentences of the public log in the order in which they
came about; ``options`` are the host's ``practice:`` settings, where it is to start with a fault.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tastyops.cli.program import main
from tastyops.practice import kalimdor
from tastyops.practice.clock import PracticeClock
from tests.cli.project import ROOT, Project, isolated

FAST = 480.0
"""Practice seconds in a real one: eight times the usual."""

USUAL = 60.0
"""Where keys are pressed in time, at a boot menu."""


@dataclass(frozen=True)
class Case:
    """How a runbook is tried, and what its log then says."""

    said: tuple[str, ...]
    variables: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    scale: float = FAST


CASES: dict[str, list[Case]] = {
    "filesystem-check": [
        Case(
            (
                "Filesystem check of /dev/md6 complete, no errors.",
                "Warning sent via wall to all logged-in users.",
                "/dev/mapper/volume-home unmounted.",
                "Filesystem check of /dev/mapper/volume-home complete, no errors.",
                "/dev/mapper/volume-home mounted.",
                "Filesystem check of /dev/mapper/volume-root complete, no errors.",
                "Services verified as running normally.",
            )
        )
    ],
    "filesystem-grow": [
        Case(
            (
                "Increased size of /var filesystem online to 12.2GiB, 46% of it free.",
                "Services verified as running normally.",
            )
        )
    ],
    "kernel-upgrade": [
        Case(
            (
                f"Kernel {kalimdor.NEW_KERNEL} installed, ready to reboot.",
                "Warning sent via wall to all logged-in users.",
                "Reboot triggered with 1-minute grace.",
                f"Machine rebooted successfully, running kernel {kalimdor.NEW_KERNEL}.",
                "Services verified as running normally.",
            )
        )
    ],
    "raid-drop-disk": [
        Case(
            (
                "3 of 3 RAID arrays whole.",
                "/dev/sdb dropped from all RAID mirrors to avoid further disk corruption.",
                "1 of 3 RAID arrays whole.",
                "Old copies on 2 partitions cleared.",
            ),
            ("disk=PRACTICE-B",),
        ),
        Case(
            (
                "/dev/sdb dropped from all RAID mirrors to avoid further disk corruption.",
                "Disk PRACTICE-B taken out.",
                "Machine rebooted successfully",
                "1 of 3 RAID arrays whole.",
                "Services verified as running normally.",
            ),
            ("disk=PRACTICE-B", "reboot=true"),
        ),
    ],
    "filesystem-check-single-user": [
        Case(
            (
                "Warning sent via wall to all logged-in users.",
                "Reboot triggered with 2-minute grace.",
                f"Machine started in single-user mode, running kernel {kalimdor.OLD_KERNEL}.",
                "Filesystem check of /dev/md6 complete, no errors.",
                "Filesystem check of /dev/mapper/volume-var complete, no errors.",
                "Filesystem check of /dev/mapper/volume-home complete, no errors.",
                "Filesystem check of /dev/mapper/volume-root complete, no errors.",
                f"Machine started in normal mode, running kernel {kalimdor.OLD_KERNEL}.",
                "Services verified as running normally.",
            ),
            scale=USUAL,
        )
    ],
    "root-not-found": [
        Case(
            (
                "The console shows: initramfs.",
                "Arrays assembled over the console; the boot went on with kernel",
                "Services verified as running normally.",
                "Arrays recorded in mdadm.conf; 1 initial ramdisk(s) made anew.",
                "Boot loader and initial ramdisk checked.",
                f"Machine rebooted successfully, running kernel {kalimdor.OLD_KERNEL}.",
                "Services verified as running normally.",
            ),
            options={"root_not_found": True},
            scale=USUAL,
        )
    ],
    "unresponsive-server": [
        Case(
            (
                "Service failure discovered; the console shows: silent.",
                "Emergency reboot triggered via the power switch.",
                "Restarted; the console now shows: panic.",
                "The primary kernel does not start. Server booted into single-user mode using the backup"
                f" kernel {kalimdor.OLDER_KERNEL}.",
                "Filesystem check of /dev/mapper/volume-home complete, no errors.",
                "Filesystem check of /dev/mapper/volume-var complete, no errors.",
                "All filesystems checked. Server brought up into normal multi-user mode.",
                "Normal services restored.",
                "1 initial ramdisk(s) made anew.",
                "Boot loader and initial ramdisk checked.",
            ),
            options={"hung": True, "primary_panics": True},
            scale=USUAL,
        ),
        Case(  # it has stopped answering, and its kernel starts
            (
                "Restarted; the console now shows: login.",
                "Server booted into single-user mode.",
                "Normal services restored.",
            ),
            options={"hung": True},
            scale=USUAL,
        ),
    ],
    "power-works": [
        Case(
            (
                "Console, power switch, boot loader, kernels, arrays and clock checked.",
                "Warning sent via wall to all logged-in users.",
                "Delayed-effect shutdown instruction executed; shutdown will occur at",
                "Automated scheduled shutdown executed.",
                "Power restored.",
                "The power switch says: on.",
                "Reboot in progress; the console shows: login.",
                "Services verified as functioning correctly.",
            ),
            ("at=SOON",),
        )
    ],
    "raid-replace-disk": [
        Case(
            (
                "/dev/sdb dropped from all RAID mirrors.",
                "Old copies on 2 partitions cleared.",
                "Disk PRACTICE-B detached; it may be pulled.",
                "Replacement drive PRACTICE-D installed.",
                "Health of the disk /dev/sdb: good.",
                "Disk PRACTICE-D partitioned to match PRACTICE-A.",
                "Partitions of /dev/sdb added to 2 RAID mirrors.",
                "RAID re-sync in progress.",
                "Re-sync 50% complete.",
                "Re-sync completed.",
                "GRUB boot loader installed on disk PRACTICE-D.",
                "3 of 3 RAID arrays whole.",
                "Services verified as running normally.",
            ),
            ("old=PRACTICE-B", "new=PRACTICE-D", "like=PRACTICE-A"),
        ),
        Case(
            (
                "Replacement drive PRACTICE-D installed.",
                "Machine rebooted successfully",
                "Disk PRACTICE-D partitioned to match PRACTICE-A.",
                "Re-sync completed.",
                "GRUB boot loader installed on disk PRACTICE-D.",
            ),
            ("old=PRACTICE-B", "new=PRACTICE-D", "like=PRACTICE-A", "reboot=true"),
        ),
    ],
}

SHIPPED = sorted(path.stem for path in (ROOT / "runbooks").glob("*.yml"))


def test_every_runbook_has_a_case() -> None:
    assert sorted(CASES) == SHIPPED


@pytest.mark.parametrize(
    ("name", "case"),
    [
        pytest.param(name, case, id=f"{name}-{number}" if number else name)
        for name, cases in CASES.items()
        for number, case in enumerate(cases)
    ],
)
def test_a_runbook_unattended(
    name: str, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    project = Project.make(tmp_path / "project")
    for variable, value in isolated(tmp_path).items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(project.path)
    monkeypatch.setattr(PracticeClock.__init__, "__defaults__", (case.scale,))
    if case.options:
        inventory = project.path / "inventory.yml"
        host = f"kalimdor: {{connection: practice, vars: {{practice: {json.dumps(case.options)}}}}}"
        text = inventory.read_text("utf-8")
        assert "kalimdor: {connection: practice}" in text
        inventory.write_text(text.replace("kalimdor: {connection: practice}", host), "utf-8")
    words = ["run", f"runbooks/{name}.yml", "--yes"]
    soon = datetime.now(ZoneInfo("Europe/London")) + timedelta(minutes=14)
    for variable in case.variables:
        words += ["--var", variable.replace("SOON", f"{soon:%H:%M}")]
    code = main(words)
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    page = project.page()
    assert code == 0, f"{out}\n{err}\n{page}"
    assert re.search(r"^- \*\*Status:\*\* Completed at ", page, re.MULTILINE), page
    assert "(Not completed" not in page
    _in_order(case.said, page)


def _in_order(sentences: tuple[str, ...], page: str) -> None:
    """The newest entry stands first on a page."""
    at = len(page)
    for sentence in sentences:
        found = page.rfind(sentence, 0, at)
        assert found >= 0, f"{sentence!r} is not said, or not in its place:\n{page}"
        at = found
