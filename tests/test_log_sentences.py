"""A sentence in the log claims nothing that its step did not do."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tastyops.app.registry import BUILT_IN
from tastyops.errors import InvalidFile, Place
from tastyops.model.action import ActionSpec
from tastyops.model.outcome import Outcome
from tastyops.model.runbook import Marked
from tastyops.plan.log_sentences import ended_entry
from tastyops.runbook.validation import validate
from tastyops.templates.rendering import render_public
from tests.core.driving import dry, plan_of
from tests.core.fake import FakeHost

SO = " (Already so; nothing was changed.)"
ENDINGS = [
    pytest.param(spec, word, text, id=f"{spec.name}: {word}")
    for spec in BUILT_IN.values()
    for word, text in spec.endings.items()
]


def entry(
    step: str, registered: dict[str, Any], outcome: Outcome = Outcome.DONE, unknown: str = ""
) -> str | None:
    works = json.dumps([{"work": "W", "steps": [json.loads(step)]}])
    plan = plan_of(f"{{title: T, hosts: web1, works: {works}}}", "web1")
    (first,) = plan.runbook.steps()
    return ended_entry(plan, first, {"host": "web1"}, registered, outcome, unknown)


@pytest.mark.parametrize("spec", BUILT_IN.values(), ids=lambda spec: spec.name)
def test_an_action_that_may_change_nothing_has_words_for_it(spec: ActionSpec) -> None:
    unchanged = '"changed"' in inspect.getsource(spec.perform)
    assert ("changed" in spec.returns or unchanged) <= ("already" in spec.endings)


@pytest.mark.parametrize(("spec", "word", "text"), ENDINGS)
def test_the_words_for_an_ending_need_only_what_the_action_registers(
    spec: ActionSpec, word: str, text: str
) -> None:
    kinds = {"count": 3, "size": 3, "percentage": 3, "duration": 3, "flag": True}
    names = {
        name: ["/dev/x"] if kind == "device" and f"{name} |" in text else kinds.get(kind, "x")
        for name, kind in spec.returns.items()
        if kind != "private"
    }
    said = render_public(Marked(text, Place("x", 1, 1)), {**names, "host": "web1"}, {}).text
    assert re.fullmatch(r"[A-Z/x].*\.", said)


@pytest.mark.parametrize(("spec", "word", "text"), ENDINGS)
def test_the_words_for_an_ending_are_documented(spec: ActionSpec, word: str, text: str) -> None:
    page = Path(__file__).parent.parent / "docs/runbooks.md"
    section = page.read_text("utf-8").split(f"### `{spec.name}`\n")[1].split("\n### ")[0]
    assert f"`{word}`: “{text}”" in " ".join(section.split())


CLAIM = "It was done, at great pains."


@pytest.mark.parametrize(
    ("step", "registered", "text"),
    [
        ('"raid.drop": "D2"', {"disk": "D2", "device": None, "removed": []},
         "Disk D2 is in no RAID mirror."),
        ('"fs.unmount": "/srv"', {"device": None}, "The filesystem is not mounted."),
        ('"fs.mount": "/srv"', {"device": "/dev/md3"}, "/dev/md3 is mounted."),
        ('"fs.remount": {"filesystem": "/srv", "mode": "read-only"}',
         {"device": "/dev/md3", "mode": "read-only"}, "/dev/md3 is mounted read-only."),
        ('"fs.grow": {"filesystem": "/srv", "to": "2G"}',
         {"device": "/dev/md3", "size": "2G", "previous": "2G", "free": 12},
         "Filesystem /dev/md3 has 2G, 12% of it free."),
        ('"raid.add": "D2"', {"device": "/dev/sdb", "mirrors": ["/dev/md0"], "added": []},
         "/dev/sdb has partitions in 1 RAID mirrors."),
        ('"raid.record": {}', {"rebuilt": []},
         "RAID mirrors stand in the configuration as they are."),
        ('"raid.watch": {}', {"arrays": [], "seconds": 0},
         "No RAID mirror re-syncs, and none lacks a member."),
        ('"kernel.install": "linux-image-amd64"', {"version": "6.1.0-49-amd64"},
         "Kernel 6.1.0-49-amd64 is installed, and the boot menu's default."),
        ('"power.on": {}', {"power": "on"}, "Power was on."),
        ('"services.restart": {}', {"restarted": []}, "No service had failed."),
        ('"disk.partition": {"disk": "D2", "number": 3, "size": "rest"}', {"device": "/dev/sdb3"},
         "Partition /dev/sdb3 is there."),
        ('"fs.repair": "/srv"', {"device": "/dev/md3", "errors": 0, "moved": 0},
         "Repair of /dev/md3 found nothing to correct."),
    ],
)  # fmt: skip
@pytest.mark.parametrize("own", ["", f', "log": "{CLAIM}"', f', "log": {{"done": "{CLAIM}"}}'])
def test_a_step_that_changed_nothing_does_not_claim_to_have(
    step: str, registered: dict[str, Any], text: str, own: str
) -> None:
    unchanged = {**registered, "changed": False}
    assert entry(f"{{{step}{own}}}", unchanged, Outcome.ALREADY) == text + SO
    if own:
        changed = {**registered, "changed": True, "removed": ["/dev/sdb1"]}
        assert entry(f"{{{step}{own}}}", changed) == CLAIM


@pytest.mark.parametrize(
    ("registered", "outcome", "text"),
    [
        ({"removed": ["/dev/sdb1"], "changed": True}, Outcome.DONE, "Dropped."),
        ({"forgotten": ["/dev/sdb1"], "changed": True}, Outcome.DONE, "1 cleared."),
        ({"kept": ["/dev/sdb1"], "forgotten": ["/dev/sdb2"], "changed": True}, Outcome.DONE, None),
        ({"changed": True}, Outcome.DONE,
         "Disk D2 is in no RAID mirror; it is marked as suspect."),
        ({"changed": False}, Outcome.ALREADY, f"Nothing to do for D2.{SO}"),
    ],
)  # fmt: skip
def test_a_runbook_has_a_sentence_for_each_ending(
    registered: dict[str, Any], outcome: Outcome, text: str | None
) -> None:
    empty: dict[str, Any] = {"removed": [], "forgotten": [], "kept": []}
    step = """{"raid.drop": "D2", "log": {
        "done": "Dropped.", "cleared": "{{ result.forgotten | length }} cleared.", "kept": false,
        "already": "Nothing to do for {{ result.disk }}."}}"""
    assert entry(step, {"disk": "D2", **empty, **registered}, outcome) == text


@pytest.mark.parametrize(
    ("log", "why"),
    [
        ("{alreday: x}", "alreday"),
        ("{done: false}", "'done' cannot be false"),
        ("{already: true}", "'log' must be text"),
        ("{already: [x]}", "'log.already' must be a sentence, or false"),
        ("{already: {done: x}}", "'log.already' must be a sentence, or false"),
        ("{already: ''}", "'log' is empty"),
        ("{already: '{{ nothing }}'}", "nothing"),
        ("{already: '{{ result.stdout }}'}", "stdout"),
        ("[x]", "'log'"),
    ],
)
def test_sentences_that_will_not_do(log: str, why: str) -> None:
    text = f"title: T\nhosts: web1\nworks: [{{work: W, steps: [{{fs.mount: /srv, log: {log}}}]}}]\n"
    with pytest.raises(InvalidFile) as error:
        validate(text.encode(), "test.yml", BUILT_IN, {"web1": None}, frozenset())
    assert why in str(error.value)


def test_an_action_without_other_endings_has_one_sentence() -> None:
    text = b"title: T\nhosts: web1\nworks: [{work: W, steps: [{run: x, log: {already: y}}]}]\n"
    with pytest.raises(InvalidFile, match="already"):
        validate(text, "test.yml", BUILT_IN, {"web1": None}, frozenset())


def test_a_dry_run_does_not_tell_what_a_withheld_change_would_have_made_different() -> None:
    """What the arrays are like after a change that was not made is not known."""
    text = """
        title: T
        hosts: web1
        works:
          - work: W
            steps:
              - {run: count, reads: true, log: "{{ result.rc }} at first."}
              - {run: change}
              - {run: count, reads: true, log: "{{ result.rc }} at last."}
              - {run: count, reads: true, log: Counted.}
    """
    found = dry(plan_of(text, "web1"), web1=FakeHost({"count": (0, "")}))
    said = [entry for step in found.steps for entry in step.entries]
    assert said == ["0 at first.", "Step 1.2 (run) completed.", "… at last.", "Counted."]


CHOICES = [
    ("reboot", {"ours": True}, "done"),
    ("reboot", {"ours": False}, "overtaken"),
    ("services.verify", {"as_before": False}, "done"),
    ("services.verify", {"as_before": True}, "as-before"),
    ("services.snapshot", {"amiss": False}, "done"),
    ("services.snapshot", {"amiss": True}, "amiss"),
    ("power.cycle", {"turned": "cycle", "was": "on"}, "done"),
    ("power.cycle", {"turned": "on", "was": "off"}, "switched-on"),
    ("power.status", {"power": "off"}, "done"),
    ("power.status", {"power": "unknown"}, "unknown"),
    ("power.policy", {"policy": "always-on", "dark": False}, "done"),
    ("power.policy", {"policy": "unknown", "dark": True}, "unknown"),
    ("boot.check", {"findings": ["boot disks: ok (/dev/sda)"]}, "done"),
    ("boot.check", {"findings": ["boot disks: not known (it boots by UEFI)"]}, "not-known"),
    ("preflight", {"unknown": 0}, "done"),
    ("preflight", {"unknown": 2}, "not-known"),
    ("boot.assemble", {"arrays": 3, "found": 3}, "done"),
    ("boot.assemble", {"arrays": 2, "found": 3}, "some"),
    ("console.look", {"state": "silent"}, "done"),
    ("console.look", {"state": "console-held"}, "unseen"),
]


@pytest.mark.parametrize(("name", "found", "ending"), CHOICES)
def test_what_an_action_found_chooses_its_sentence(
    name: str, found: dict[str, object], ending: str
) -> None:
    spec = BUILT_IN[name]
    assert spec.ending(found) == ending
    assert ending == "done" or spec.endings[ending] not in ("", spec.sentence)
