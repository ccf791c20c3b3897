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
                "/dev/md6 checked: no errors.",
                "Message written to the terminals of all logged-in users.",
                "/dev/mapper/volume-home unmounted.",
                "/dev/mapper/volume-home checked: no errors.",
                "/dev/mapper/volume-home mounted.",
                "/dev/mapper/volume-root checked: no errors.",
                "Services verified as running normally.",
            )
        )
    ],
    "filesystem-grow": [
        Case(
            (
                "Filesystem /var grown online to 12.15GiB, 2% of it free.",
                "Services verified as running normally.",
            )
        )
    ],
    "kernel-upgrade": [
        Case(
            (
                f"Kernel {kalimdor.NEW_KERNEL} installed; the next boot starts it.",
                "Message written to the terminals of all logged-in users.",
                "Reboot ordered; the machine goes down in 1 minute.",
                f"Machine rebooted successfully, running kernel {kalimdor.NEW_KERNEL}.",
                "Services verified as running normally.",
            )
        )
    ],
    "raid-drop-disk": [
        Case(
            (
                "3 of 3 RAID arrays whole.",
                "/dev/sdb taken out of every RAID mirror, so that it damages no more data.",
                "1 of 3 RAID arrays whole.",
                "Old copies on 2 partitions cleared.",
            ),
            ("disk=PRACTICE-B",),
        ),
        Case(
            (
                "/dev/sdb taken out of every RAID mirror, so that it damages no more data.",
                "Disk PRACTICE-B taken out.",
                "Machine rebooted successfully",
                "1 of 3 RAID arrays whole.",
                "no worse than when they were last looked at; some are still amiss.",
            ),
            ("disk=PRACTICE-B", "reboot=true"),
        ),
    ],
    "filesystem-check-single-user": [
        Case(
            (
                "Message written to the terminals of all logged-in users.",
                "Reboot ordered; the machine goes down in 2 minutes.",
                f"Machine started in single-user mode, running kernel {kalimdor.OLD_KERNEL}.",
                "/dev/md6 checked: no errors.",
                "/dev/mapper/volume-var checked: no errors.",
                "/dev/mapper/volume-home checked: no errors.",
                "/dev/mapper/volume-root checked: no errors.",
                f"Machine went on, without a restart, to normal mode, running kernel {kalimdor.OLD_KERNEL}.",
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
                "RAID mirrors recorded in the configuration; 1 initial ramdisks made again.",
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
                "kalimdor accepts no session over SSH. Its state: silent.",
                "Power cut and restored at the power switch.",
                "The unassisted start led to: panic.",
                "The primary kernel does not start (panic). Single-user mode reached with the previous"
                f" kernel, {kalimdor.OLDER_KERNEL}.",
                "/dev/mapper/volume-home checked: no errors.",
                "/dev/mapper/volume-var checked: no errors.",
                f"kalimdor is in normal operation, running the previous kernel, {kalimdor.OLDER_KERNEL}.",
                "Services verified as running normally.",
                "1 initial ramdisk(s) rebuilt.",
                "Boot loader and initial ramdisk checked.",
            ),
            options={"hung": True, "primary_panics": True},
            scale=USUAL,
        ),
        Case(  # it has stopped answering, and its kernel starts
            (
                "The unassisted start led to: login.",
                "Machine started in single-user mode",
                f"kalimdor is in normal operation, running kernel {kalimdor.OLD_KERNEL}.",
                "Services verified as running normally.",
            ),
            options={"hung": True},
            scale=USUAL,
        ),
    ],
    "power-works": [
        Case(
            (
                "Console, power switch, boot loader, kernels, arrays and clock checked; 2 of these",
                "Message written to the terminals of all logged-in users.",
                "Delayed shutdown instruction given; the machine goes down at",
                "The machine shut down at the time set.",
                "Power restored.",
                "The power switch reports: on.",
                "Once there was power, the console showed: login.",
                "Services verified as running normally.",
            ),
            ("at=SOON",),
        )
    ],
    "raid-replace-disk": [
        Case(
            (
                "/dev/sdb taken out of every RAID mirror.",
                "Old copies on 2 partitions cleared.",
                "Disk PRACTICE-B detached; it may be pulled.",
                "Replacement drive PRACTICE-D installed.",
                "Health of the disk /dev/sdb: good.",
                "Disk PRACTICE-D partitioned to match PRACTICE-A.",
                "Partitions of /dev/sdb added to 2 RAID mirrors.",
                "RAID mirrors are re-syncing.",
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
    project = _project(tmp_path, monkeypatch, case)
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


def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: Case) -> Project:
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
    return project


def test_a_dry_run_of_a_shutdown_does_not_judge_by_the_switch_as_it_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It used to say that power.on would be skipped, since the power is on before the shutdown."""
    _project(tmp_path, monkeypatch, Case(()))
    soon = datetime.now(ZoneInfo("Europe/London")) + timedelta(hours=3)
    words = ["run", "--dry-run", "runbooks/power-works.yml", "--var", f"at={soon:%H:%M}"]
    assert main(words) == 0
    out, _ = capsys.readouterr()
    assert "3.1 power.status: cannot know (until step 1.5 has run)" in out
    assert "3.2 power.on: cannot know" in out
    assert "3.3 console.look: cannot know (until step 1.5 has run)" in out
    assert "would skip" not in out
    assert "{%" not in out
    assert "Delayed shutdown instruction given; the machine goes down at …hrs." in out


def test_a_dry_run_shows_the_whole_log_it_would_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reboot's own entry and the verification's used to be missing."""
    _project(tmp_path, monkeypatch, Case(()))
    assert main(["run", "--dry-run", "runbooks/kernel-upgrade.yml"]) == 0
    out, _ = capsys.readouterr()
    _in_order(
        (
            "Kernel … installed; the next boot starts it.",
            "Message written to the terminals of all logged-in users.",
            "Reboot ordered; the machine goes down in 1 minute.",
            "Machine rebooted successfully, running kernel ….",
            "Services verified as running normally.",
        ),
        out,
    )


REFUSED = "kalimdor is not unresponsive: it answers over SSH; nothing was done"


@pytest.mark.parametrize(
    ("options", "scale", "code", "said"),
    [
        ({}, FAST, 1, REFUSED),
        ({"begins": "starting"}, USUAL, 1, REFUSED),
        ({"begins": "emergency"}, FAST, 4, "the console shows the prompt of emergency mode"),
    ],
    ids=["healthy", "starting", "emergency"],
)
def test_the_power_of_a_host_that_has_not_crashed_is_not_cut(
    options: dict[str, Any], scale: float, code: int, said: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Whoever types --yes at a host that answers, starts, or has stopped by itself."""
    project = _project(tmp_path, monkeypatch, Case((), options=options, scale=scale))
    assert main(["run", "runbooks/unresponsive-server.yml", "--yes"]) == code
    out, err = capsys.readouterr()
    assert said in out + err
    page = project.page()
    assert "Power" not in page
    assert "previous kernel" not in page
    if options.get("begins") == "emergency":
        assert "logged out on the console" in out, "no root shell stays open there"
        assert "root's shell on its console is used." in page


def _in_order(sentences: tuple[str, ...], page: str) -> None:
    """The newest entry stands first on a page."""
    at = len(page)
    for sentence in sentences:
        found = page.rfind(sentence, 0, at)
        assert found >= 0, f"{sentence!r} is not said, or not in its place:\n{page}"
        at = found
