"""A failed step shows the command that failed, and never a command that was only read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tastyops.facts.filesystems import FSTAB, MOUNTS
from tastyops.ui.run_view import RunView
from tests.core.driving import Ran, drive, plan_of
from tests.core.fake import SOUND, FakeHost

FAILED = "systemctl list-units --state=failed --output=json --no-pager"
MOUNTS_TEXT, FSTAB_TEXT = " ".join(MOUNTS.argv), " ".join(FSTAB.argv)
HOME = '{"filesystems": [{"target": "/home", "source": "/dev/sdc1", "fstype": "xfs", "options": "rw"}]}'


def failed(tmp_path: Path, step: str, **answers: Any) -> tuple[Ran, list[str]]:
    """The run, and the lines under its failed step."""
    plan = plan_of(f"title: T\nhosts: web1\nworks: [{{work: W, steps: [{step}]}}]\n", "web1")
    ran = drive(plan, tmp_path, web1=FakeHost(answers.pop("says", {})), **answers)
    view, lines = RunView(plan), []
    for event in ran.heard:
        view.take(event)
        if event.kind == "step-ended":
            lines = view.failure(event)
    assert ran.state.closed is not None
    assert ran.state.closed.exit_code == 1
    return ran, lines


def test_a_change_is_the_cause_whatever_was_read_after_it(tmp_path: Path) -> None:
    units = '[{"unit": "web.service"}]'
    _, lines = failed(
        tmp_path,
        "{services.restart: web}",
        says={
            FAILED: (0, units),
            "systemctl reset-failed -- web.service": (0, ""),
            "systemctl restart -- web.service": (1, "", "Job for web.service failed."),
            "systemctl show --property=Id,Transient --no-pager -- web.service": (0, ""),
        },
    )
    assert lines == [
        "  $ systemctl restart -- web.service    (status 1)",
        "  | Job for web.service failed.",
    ]


def test_a_change_after_several_looks(tmp_path: Path) -> None:
    _, lines = failed(
        tmp_path,
        "{fs.mount: /home}",
        says={
            MOUNTS_TEXT: (0, '{"filesystems": []}'),
            FSTAB_TEXT: (0, HOME),
            "mount /home": (32, "", "mount: /home: can't read superblock"),
        },
    )
    assert lines[0] == "  $ mount /home    (status 32)"
    assert lines[1] == "  | mount: /home: can't read superblock"


@pytest.mark.parametrize(
    ("step", "says", "why"),
    [
        (
            "{fs.mount: /home}",
            {MOUNTS_TEXT: (0, '{"filesystems": []}'), FSTAB_TEXT: (0, '{"filesystems": []}')},
            "fstab has nothing for /home",
        ),
        (
            "{services.verify: }",
            {"systemctl is-system-running": (1, "degraded"), FAILED: (0, '[{"unit": "a.service"}]')},
            "a.service failed",
        ),
        (
            "{services.verify: web}",
            {"systemctl is-system-running": (0, "running"), "systemctl is-active -- web.service": (3, "failed")},
            "not active: web.service",
        ),
    ],
)
def test_what_was_read_is_never_the_cause(
    tmp_path: Path, step: str, says: dict[str, Any], why: str
) -> None:
    ran, lines = failed(tmp_path, step, says={**SOUND, **says})
    (ended,) = ran.bodies("step-ended")
    assert why in ended.why
    assert lines == []


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ((127, "", "findmnt: not found"), ["(status 127)", "| findmnt: not found"]),
        ((0, "<html>"), ["(status 0)", "| <html>"]),
    ],
)
def test_a_probe_that_gives_no_fact_is_the_cause(
    tmp_path: Path, answer: tuple[int, str], shown: list[str]
) -> None:
    _, lines = failed(tmp_path, "{fs.mount: /home}", says={MOUNTS_TEXT: answer})
    assert [line.split("    ")[-1].strip() for line in lines] == shown


def test_the_steps_own_reading_is_the_cause(tmp_path: Path) -> None:
    _, lines = failed(tmp_path, "{run: look, reads: true}", says={"look": (2, "", "no such thing")})
    assert lines == ["  $ look    (status 2)", "  | no such thing"]


def test_what_did_not_satisfy_until_is_shown(tmp_path: Path) -> None:
    step = "{run: look, reads: true, register: r, until: \"'ready' in r.stdout\", retries: 1, delay: 1s}"
    _, lines = failed(tmp_path, step, says={"look": [(0, "not yet"), (0, "nearly")]})
    assert lines == ["  $ look    (status 0)", "  | nearly"]


def test_the_attempt_that_failed_last(tmp_path: Path) -> None:
    step = "{run: go, register: r, until: r.rc == 0, retries: 2, delay: 1s}"
    _, lines = failed(tmp_path, step, says={"go": [(1, "one"), (2, "two"), (3, "three")]})
    assert lines == ["  $ go    (status 3)", "  | three"]
