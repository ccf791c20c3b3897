"""A missing operator is found before the first step; steps that cannot begin need none."""

from __future__ import annotations

from typing import Any

import pytest

from tastyops.app.attendance_check import need_nobody
from tastyops.errors import NeedsPerson
from tests.core.driving import plan_of

STEP = """
title: T
hosts: web1
inputs:
  reboot: {type: boolean, default: false}
works:
  - work: First
    steps:
      - run: first
        register: first
  - work: Second
    %s
    steps:
      - manual: Take the disk out.
        %s
"""


def needed(work: str, step: str, **inputs: Any) -> str:
    plan = plan_of(STEP % (work, step), "web1", inputs=inputs)
    try:
        need_nobody(plan, yes=True, answers={}, hands=False)
    except NeedsPerson as error:
        return error.what
    return ""


@pytest.mark.parametrize(
    ("work", "step", "inputs", "expected"),
    [
        ("", "", {}, True),
        ("when: reboot", "", {}, False),
        ("when: reboot", "", {"reboot": True}, True),
        ("", "when: reboot", {}, False),
        ("", "when: not reboot", {}, True),
        ("when: first.rc", "", {}, True),
        ("when: first.rc and reboot", "", {}, True),
        ("when: first.rc", "when: reboot", {}, False),
        ("when: 1 // 0", "", {}, True),
    ],
)
def test_a_person_is_needed_unless_the_inputs_alone_keep_the_step_away(
    work: str, step: str, inputs: dict[str, Any], expected: bool
) -> None:
    why = needed(work, step, **inputs)
    assert ("step 2.1 is done by a person" in why) is expected, why
