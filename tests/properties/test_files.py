"""Whatever a YAML file contains, its reader gives a value or a documented error, soon and small."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given

from tastyops.app.registry import registry
from tastyops.errors import InvalidFile, TastyopsError
from tastyops.model.inventory import Inventory
from tastyops.model.runbook import Runbook
from tastyops.plan.plan import make_plan
from tastyops.runbook import yaml_reader
from tastyops.runbook.inventory_file import read_inventory
from tastyops.runbook.validation import validate
from tastyops.runbook.yaml_tree import MappingNode, ScalarNode, SequenceNode
from tests.properties.mutations import TRIED, anything, examples, mutated

ROOT = Path(__file__).parents[2]
LONGEST = 5.0
"""Seconds one small file may take; it takes milliseconds."""

FULL = b"""\
# yaml-language-server: $schema=../tastyops/schema/runbook.json
title: Emergency "kernel" upgrade
kind: at risk
hosts: [web, db]
summary:
  - "{{ hosts | join(', ') }} will be rebooted."
inputs:
  package: {help: The package, default: linux-image-amd64, choices: [linux-image-amd64, other]}
  grace: {type: duration, default: 1m}
  count: 3
  disks: [sda, sdb]
  password: {secret: true, source: {command: [pass, show, "x y"]}, help: It}
  key: {secret: true, source: {env: KEY}}
vars: &vars
  url: "db://{{ password }}@{{ host }}"
  more: {deep: ["{{ count + 1 }}", 0x1f, ~, 'q']}
works:
  - work: Install {{ package }}
    when: count > 2 and package != 'other'
    steps:
      - kernel.install: {package: "{{ package }}", update: true}
        register: kernel
        log: Kernel {{ kernel.version }} installed.
      - run: |
          set -e
          echo {{ package }} "$HOME"
          for i in 1 2; do echo {{ disks }}; done
        id: the-run
        name: Do it
        timeout: 2m
        until: result.rc == 0 and result.stdout | length > 2
        retries: 2
        delay: 0.5s
        no_log: true
        sudo: false
        hosts: web
      - wall: >
          {{ host }} reboots
          in {{ grace }}
        confirm: Really?
  - work: Ask
    steps:
      - ask: {question: Which?, default: sda}
        register: which
      - manual: Do it
      - watch: {command: cat /proc/mdstat, every: 1s, until: "percent == 100", milestones: [50]}
        log: "{{ result.percent }}"
        publish: yes
      - reboot: {grace: "{{ grace }}", kernel: "{{ kernel.version }}"}
      - services.verify:
"""
RUNBOOKS = [FULL, *(path.read_bytes() for path in sorted((ROOT / "runbooks").glob("*.yml")))]
INVENTORIES = [
    b"""\
timezone: Europe/London
operators: [bob, alice, bob]
practice: false
logs: public
runs: ~/runs
hosts:
  kalimdor: {connection: practice, sudo: true}
  azeroth:
    address: 192.0.2.7
    port: 2222
    user: root
    identity_file: keys/id
    known_hosts: /etc/ssh/known
    sudo: {password: {command: [pass, show, sudo]}}
    console: ipmitool sol activate
    power: {on: "pdu on 7", off: "pdu off 7", delay: 5}
    vars: {rack: 5, name: yes, 'list': [a, 1]}
  northrend:
groups:
  all: [cold, kalimdor, azeroth]
  cold: northrend
""",
    (ROOT / "inventory.yml").read_bytes(),
]
REGISTRY = registry()
HOSTS = read_inventory(b"hosts: {web: {vars: {rack: 1}}, db: , kalimdor: }\ngroups: {all: [web]}\n", "i")


def check(error: InvalidFile) -> None:
    """Every problem has its place, and they can be shown: few, and each on one line."""
    assert 1 <= len(error.problems) <= yaml_reader.MAX_PROBLEMS + 2
    for problem in error.problems:
        assert problem.place.line >= 1
        assert problem.place.column >= 1
        assert str(problem).isprintable(), problem


def timely(what: str, read: Callable[[], Any]) -> Any:
    """The value, or the InvalidFile; anything else that is raised is the test's failure."""
    TRIED[what] += 1
    begun = time.process_time()
    try:
        return read()
    except InvalidFile as error:
        check(error)
        return error
    finally:
        assert time.process_time() - begun < LONGEST


@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
def test_the_tree(loader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With libyaml and, where Python was built without it, with PyYAML's own parser."""
    monkeypatch.setattr(yaml_reader, "_LOADER", getattr(yaml, loader))

    @examples(200)
    @given(anything() | mutated([*RUNBOOKS, *INVENTORIES]))
    def reads(data: bytes) -> None:
        found = timely("to the YAML reader", lambda: yaml_reader.parse(data, "f.yml"))
        assert isinstance(found, (MappingNode, SequenceNode, ScalarNode, InvalidFile))

    reads()


@examples(250)
@given(mutated(INVENTORIES))
def test_the_inventory(data: bytes) -> None:
    found = timely("to the inventory reader", lambda: read_inventory(data, "inv.yml"))
    assert isinstance(found, (Inventory, InvalidFile))


@examples(350)
@given(mutated(RUNBOOKS))
def test_the_runbook_and_its_plan(data: bytes) -> None:
    """One that is valid can be planned, or what it lacks is an error of ours."""
    names = {**HOSTS.hosts, **HOSTS.groups}
    found = timely(
        "to the runbook's validation",
        lambda: validate(data, "r.yml", REGISTRY, names, frozenset({"rack"})),
    )
    if isinstance(found, InvalidFile):
        return
    assert isinstance(found, Runbook)
    TRIED["valid after all, and planned"] += 1
    inputs = {name: wanted.default for name, wanted in found.inputs.items()}
    secrets = {name: "hunter2hunter2" for name, wanted in found.inputs.items() if wanted.secret}
    try:
        hosts = HOSTS.select(found.hosts) if found.hosts else ()
        plan = make_plan(found, hosts, inputs | secrets, REGISTRY)
    except TastyopsError:
        return
    for text in (plan.title, *plan.summary, *plan.work_titles.values()):
        assert "hunter2" not in text


HUGE = """
import resource, sys, time
limit = 700 * 1024 * 1024
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
from tastyops.app.registry import registry
from tastyops.errors import TastyopsError
from tastyops.runbook.inventory_file import read_inventory
from tastyops.runbook.yaml_reader import MAX_BYTES
from tastyops.runbook.validation import validate
known = registry()
head = "title: T\\nhosts: a\\nworks:\\n  - work: W\\n    steps:\\n      - run: "
for token in ("[", "- ", "&a [*a, ", "- a\\n", "{{ ", "{{ ((", "9", "|\\n"):
    for before in ("", head):
        data = (before + token * MAX_BYTES)[:MAX_BYTES].encode()
        for read in (lambda: validate(data, "r", known, ["a"]), lambda: read_inventory(data, "i")):
            begun = time.process_time()
            try:
                read()
            except TastyopsError:
                pass
            taken = time.process_time() - begun
            assert taken < 20, (before, token, taken)
            print("tried")
"""


def test_a_megabyte_of_the_same_takes_seconds_and_bounded_memory() -> None:
    """In a process that may have 700 MiB of addresses, Python and all libraries included."""
    ended = subprocess.run(
        [sys.executable, "-c", HUGE], capture_output=True, encoding="utf-8", cwd=ROOT, timeout=200
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    TRIED["a megabyte large"] += ended.stdout.count("tried")
