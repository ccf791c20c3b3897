"""The kernel upgrade on the lab: a package from apt, a warning to users, another kernel."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tastyops.lab import record
from tests.lab.machine import ROOT, SESSION_SECONDS, Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(SESSION_SECONDS)]


def pages(lab: Lab) -> set[Path]:
    """The logs written so far: the lab is one, whatever tests ran on it before."""
    return set((lab.folder / "state/tastyops/lab/logs").glob("*/*.md"))


def test_the_kernel_is_upgraded_from_runbook_to_finished_log(pristine: Lab) -> None:
    kernels = pristine.made.golden.kernels
    assert pristine.guest.run("uname -r").strip() == kernels["running"]
    assert kernels["newest"] not in pristine.guest.run("ls /boot")
    boot_id = pristine.guest.run("cat /proc/sys/kernel/random/boot_id")
    before = len(record.visitor_log().read_bytes())
    earlier = pages(pristine)

    said = pristine.run(ROOT / "runbooks/kernel-upgrade.yml", timeout=1500)
    assert said.endswith("exit 0"), said

    assert pristine.guest.run("uname -r").strip() == kernels["newest"]
    assert pristine.guest.run("cat /proc/sys/kernel/random/boot_id") != boot_id
    assert "install ok installed" in pristine.guest.run(
        f"dpkg-query --show --showformat='${{Status}}' linux-image-{kernels['newest']}"
    )
    shown = record.visitor_log().read_bytes()[before:].decode("utf-8", "replace")
    assert "Broadcast message from root@kalimdor" in shown
    assert "The system goes down for a reboot." in shown
    (page,) = pages(pristine) - earlier
    text = page.read_text()
    assert re.match(rf"# \[AT RISK {page.parent.name}/{page.name[:3]}\] PRACTICE", text), text
    assert f"running kernel {kernels['newest']}." in text
    assert "Reboot ordered; the machine goes down in 1 minute." in text
    assert "**Status:** Completed at" in text


HOLD = (
    "systemd-run --quiet --unit=holder perl -e 'use Fcntl; open(F, q(>>), q({lock})) or die;"
    ' fcntl(F, F_SETLK, [pack("s s x4 q q l x4", F_WRLCK, 0, 0, 0, 0)]->[0]) or die;'
    " sleep {seconds}' && until grep -q :$(stat -c %i {lock}) /proc/locks; do sleep 0.2; done"
)
"""A lock as apt's own, of a process that is not apt's; ends once it is held."""


@pytest.mark.long
@pytest.mark.parametrize(
    ("lock", "words"),
    [
        ("/var/lib/apt/lists/lock", "apt's package lists"),
        ("/var/lib/dpkg/lock-frontend", "dpkg"),
        ("/var/cache/apt/archives/lock", "apt's package archive"),
    ],
)
def test_a_lock_of_the_package_manager_is_waited_for(
    pristine: Lab, lock: str, words: str
) -> None:
    pristine.guest.run(HOLD.format(lock=lock, seconds=180))
    said = pristine.run(ROOT / "runbooks/kernel-upgrade.yml", timeout=1500)
    assert said.endswith("exit 0"), said
    assert re.search(rf"process \d+ \(perl\) holds the lock on {words}: waiting", said), said


@pytest.mark.long
def test_an_upgrade_while_apt_daily_runs(pristine: Lab) -> None:
    """The lab masks what a Debian does by itself every day; here it runs as on any other."""
    pristine.guest.run(
        "systemctl unmask apt-daily.service apt-daily-upgrade.service"
        " && systemctl start --no-block apt-daily.service"
    )
    said = pristine.run(ROOT / "runbooks/kernel-upgrade.yml", timeout=1500)
    assert said.endswith("exit 0"), said
