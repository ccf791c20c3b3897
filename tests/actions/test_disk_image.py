"""A cancel while an image is taken: the snapshot goes, and the step ends as stopped."""

from __future__ import annotations

import pytest

from tastyops.app.registry import registry
from tastyops.errors import Stopped
from tastyops.model.commands import Change
from tests.actions.test_cases import CASES, facts_of, value_of


def test_a_cancel_removes_the_snapshot() -> None:
    (case,) = (
        param.values[0]
        for param in CASES
        if param.values[0]["case"] == "a volume in use, from a snapshot"  # type: ignore[index,call-overload]
    )
    spec = registry()["disk.image"]
    steps = spec.perform(spec.build(**case["params"]), facts_of(case))  # type: ignore[index,call-overload]
    command = next(steps)
    for line in case["says"]:  # type: ignore[index,call-overload]
        if isinstance(command, Change) and command.argv[0] == "dd":
            break
        command = steps.send(value_of(command, line))
    cleared = steps.throw(Stopped())
    assert isinstance(cleared, Change)
    assert cleared.argv == ("lvremove", "--yes", "vg0/home.image")
    with pytest.raises(Stopped):
        steps.send(value_of(cleared, {}))
