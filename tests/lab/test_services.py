"""Failed units of a real systemd are restarted or named; a small /run does not hide a status."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.machine import SESSION_SECONDS, Lab
from tests.lab.test_filesystems import run

pytestmark = [pytest.mark.lab, pytest.mark.timeout(SESSION_SECONDS)]

FAILS_ONCE = (
    "systemd-run --quiet --unit=once sh -c 'test -e /run/once.ok && exec sleep 9999; exit 3'; "
    "for i in $(seq 60); do systemctl -q is-failed once && break; sleep 0.5; done; "
    "systemctl is-failed once"
)
SMALL = "mkdir -p /run/tastyops && mount -t tmpfs -o size=20m tmpfs /run/tastyops"


def test_a_failed_transient_unit_is_restarted_and_not_lost(pristine: Lab, tmp_path: Path) -> None:
    guest = pristine.guest
    assert guest.run(FAILS_ONCE) == "failed\n"
    said = run(pristine, tmp_path, "- services.restart: once")
    assert said.endswith("exit 1"), said
    assert "failed again: once.service" in said
    assert guest.run("systemctl is-failed once || true") == "failed\n", "it is still there"
    guest.run("touch /run/once.ok")
    said = run(pristine, tmp_path, "- services.restart:")
    assert said.endswith("exit 0"), said
    assert guest.run("systemctl is-active once") == "active\n"


def test_a_unit_that_fails_is_named_and_no_reading_poses_as_the_cause(
    pristine: Lab, tmp_path: Path
) -> None:
    assert pristine.guest.run(FAILS_ONCE) == "failed\n"
    said = run(pristine, tmp_path, "- services.verify:")
    assert said.endswith("exit 1"), said
    assert "once.service failed" in said
    assert "findmnt" not in said
    assert "| [" not in said


def test_a_command_that_fills_a_small_run_has_its_status(pristine: Lab, tmp_path: Path) -> None:
    pristine.guest.run(SMALL)
    said = run(pristine, tmp_path, "- run: head -c 40000000 /dev/zero; exit 7\n- run: echo never")
    assert "status 7; the host had no room for all it printed" in said
    assert said.endswith("exit 1"), said
    said = run(pristine, tmp_path, "- run: head -c 40000000 /dev/zero || true\n- run: echo after")
    assert said.endswith("exit 0"), said
