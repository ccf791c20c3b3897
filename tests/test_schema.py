"""The JSON Schema for editors: up to date, and refusing nothing that ``validate`` accepts.

That it accepts every valid runbook is asserted wherever the tests read one: in ``read`` of
test_validate.py and in ``plan_of`` of core/driving.py.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tastyops.app.registry import BUILT_IN
from tastyops.runbook.inputs import KEYS as INPUT_KEYS
from tastyops.runbook.schema import render, runbook_schema
from tastyops.runbook.steps import KEYS as STEP_KEYS
from tastyops.runbook.validation import KEYS, WORK_KEYS
from tests.schemas import refused

ROOT = Path(__file__).parent.parent
SHIPPED = ROOT / "tastyops" / "schema" / "runbook.json"
HEAD = "title: T\nhosts: kalimdor\nworks:\n- work: W\n  steps:\n"


def test_the_shipped_schema_is_what_would_be_generated_now() -> None:
    assert SHIPPED.read_text("utf-8") == render(runbook_schema(BUILT_IN)), (
        "keys or actions have changed: `invoke schema > tastyops/schema/runbook.json`"
    )


def test_it_has_every_key_and_every_parameter() -> None:
    schema = json.loads(SHIPPED.read_text("utf-8"))
    parts = schema["definitions"]
    assert list(schema["properties"]) == list(KEYS)
    assert list(parts["work"]["properties"]) == list(WORK_KEYS)
    assert list(parts["input"]["properties"]) == list(INPUT_KEYS)
    assert set(parts["step"]["properties"]) == {*STEP_KEYS, *BUILT_IN}
    for name, spec in BUILT_IN.items():
        shape = parts["step"]["properties"][name]
        shapes = [shape, *shape.get("anyOf", [])]  # a bare value beside the parameters by name
        known = next((each["properties"] for each in shapes if "properties" in each), {})
        assert list(known) == list(spec.params)


@pytest.mark.parametrize("path", sorted((ROOT / "runbooks").glob("*.yml")), ids=lambda p: p.name)
def test_a_shipped_runbook_is_accepted_and_says_where_the_schema_is(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not refused(text)
    said = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert said
    assert (path.parent / said[1]).resolve() == SHIPPED


GOOD = [
    "- run: uptime\n    confirm: Sure?",
    "- confirm: Sure?",
    "- confirm: {question: Sure?}",
    "- services.verify:",
    "- services.verify: [ssh]",
    "- services.verify: {services: '{{ hosts }}', patience: 1m}",
    "- reboot: 90",
    "- reboot: '{{ host }}'",
    "- reboot: {grace: 1m, fallback: previous, kernel: 6.10}",
    "- reboot: {fallback: '{{ host }}', kernel: ~}",
    "- kernel.install: {package: x, update: 'no'}",
    "- run: 5\n    log: false\n    timeout: 2h 30m\n    sudo: no\n    retries: 0\n    until: true",
]


@pytest.mark.parametrize("step", GOOD)
def test_a_good_step_is_accepted(step: str) -> None:
    assert not refused(f"{HEAD}  {step}\n")


BAD = {
    "titel: T\n" + HEAD + "  - run: x\n": ["$"],
    "kind: holiday\n" + HEAD + "  - run: x\n": ["$.kind"],
    "inputs: {a: {tpye: text}}\n" + HEAD + "  - run: x\n": ["$.inputs.a"],
    "inputs: {a-b: 5}\n" + HEAD + "  - run: x\n": ["$.inputs"],
    "title: T\nworks: [{work: W, steps: [{run: x}]}]\n": ["$"],
    "title: ''\nhosts: [a]\nworks: [{work: W, steps: [{run: x}]}]\n": ["$.title"],
    "title: T\nhosts: a\nworks: []\n": ["$.works"],
    "title: T\nhosts: a\nworks: [{work: W, steps: []}]\n": ["$.works[0].steps"],
    "- a\n- b\n": ["$"],
}
BAD_STEPS = [
    "- run: x\n    wall: y",
    "- name: no action",
    "- run: x\n    lgo: y",
    "- run:",
    "- run: [a, b]",
    "- run: {comand: x}",
    "- run: {stdin: x}",
    "- run: x\n    timeout: soon",
    "- run: x\n    timeout: [1]",
    "- run: x\n    reads: perhaps",
    "- run: x\n    retries: -1",
    "- run: x\n    retries: 1.5",
    "- run: x\n    log: true",
    "- run: x\n    id: Not An Id",
    "- run: x\n    register: 2nd",
    "- run: x\n    hosts: []",
    "- reboot: {fallback: prevoius}",
    "- reboot: {grace: soon}",
    "- kernel.install: {package: x, update: perhaps}",
    "- services.verify: {services: ssh}",
]


@pytest.mark.parametrize(("text", "places"), BAD.items())
def test_a_broken_runbook_is_refused_where_it_is_broken(text: str, places: list[str]) -> None:
    assert refused(text) == places


@pytest.mark.parametrize("step", BAD_STEPS)
def test_a_broken_step_is_refused(step: str) -> None:
    found = refused(f"{HEAD}  {step}\n")
    assert found
    assert all(place.startswith("$.works[0].steps[0]") for place in found)
