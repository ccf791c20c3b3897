"""Electrical works: a shutdown at a clock time, no power, power on over IPMI, services verified."""

from __future__ import annotations

import time
from pathlib import Path

import pexpect
import pytest

from tastyops.lab import record
from tests.lab.machine import SESSION_SECONDS, Lab, read_along, until

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(SESSION_SECONDS)]

AHEAD = 240
"""Seconds until the minute chosen, at least: the checks before it take their time."""


def test_a_shutdown_at_a_clock_time_and_power_again(pristine: Lab, tmp_path: Path) -> None:
    first = pristine.record().qemu
    boot_id = pristine.guest.run("cat /proc/sys/kernel/random/boot_id")
    before = len(record.visitor_log().read_bytes())
    due = (int(time.time()) + AHEAD + 59) // 60 * 60
    at = time.strftime("%H:%M", time.gmtime(due))
    words = ("run", "runbooks/power-works.yml", "--inventory", "lab", "--var", f"at={at}")
    with pristine.on_a_terminal(tmp_path / "screen.txt", *words) as screen:
        screen.expect("The rack goes dark: kalimdor")
        until(
            lambda: read_along(screen) and pristine.record().qemu is None,
            AHEAD + 300, "it shuts down",
        )  # fmt: skip
        assert due - 5 <= time.time() <= due + 120, "it did not go down when it was to"
        screen.sendline("done")
        screen.expect(pexpect.EOF, timeout=900)
        screen.wait()
    said = (tmp_path / "screen.txt").read_text()
    assert screen.exitstatus == 0, said
    shown = record.visitor_log().read_bytes()[before:].decode("utf-8", "replace")
    for wall in (f"kalimdor shuts down at {at} for electrical works.", "(1m left)"):
        assert wall in shown
    (page,) = (pristine.folder / "state/tastyops/lab/logs").glob("*/*-electrical-works.md")
    text = page.read_text()
    entries = (
        "Message written to the terminals of all logged-in users.",
        f"Delayed shutdown instruction given; the machine goes down at {at}hrs.",
        "Power restored.",
        "The power switch reports: off.",
        "The machine had stayed off and was switched on.",
        "Once there was power, the console showed: login.",
        "Services verified as running normally.",
    )
    places = [text.find(entry) for entry in entries]
    assert -1 not in places, text
    assert places == sorted(places, reverse=True), f"the newest is not on top:\n{text}"
    assert "**Status:** Completed at" in text
    assert pristine.guest.run("cat /proc/sys/kernel/random/boot_id") != boot_id
    assert pristine.record().qemu not in (None, first)
