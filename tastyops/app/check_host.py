"""The preflight of hosts: what a reboot depends on, over links that can only read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack

from tastyops.app.environment import connect
from tastyops.app.preview_log import masking_capture
from tastyops.app.registry import BUILT_IN
from tastyops.app.secrets import masked_errors, resolve_secrets
from tastyops.engine.preview import preview
from tastyops.errors import ExitCode
from tastyops.local.controller import boot_id
from tastyops.model.inventory import Host, Inventory
from tastyops.plan.plan import make_plan
from tastyops.runbook.validation import validate

STEP = "preflight"


def check_hosts(inventory: Inventory, names: Sequence[str]) -> tuple[list[str], ExitCode]:
    """A line for each thing that was looked at, and 1 if any failed, 4 for an unreachable host."""
    hosts = inventory.select(names)
    known = {**inventory.hosts, **inventory.groups}
    runbook = validate(_runbook(hosts), "preflight", BUILT_IN, known)
    hidden = resolve_secrets(runbook, hosts, None)
    masker = hidden.masker()
    lines: list[str] = []
    worst = ExitCode.COMPLETED
    with ExitStack() as stack, masked_errors(masker.text):
        place = connect(stack, hosts, hidden)
        plan = make_plan(runbook, hosts, {}, BUILT_IN, controller=boot_id())
        found = preview(plan, place.dialer, place.clock, masking_capture(masker), place.ways)
        for each in found.steps:
            ended = found.state.lanes[each.host, each.step.id].ended
            findings = (ended.registered if ended else {}).get("findings", [])
            lines += [masker.text(f"{each.host}: {line}") for line in findings]
            if not findings:
                lines.append(masker.text(f"{each.host}: not looked at: {each.because}"))
            if not findings or (ended and ended.registered["failed"]):
                worst = ExitCode.FAILED
    return lines, ExitCode.UNREACHABLE if found.unreachable else worst


def _runbook(hosts: Sequence[Host]) -> bytes:
    """A runbook whose only step is the preflight."""
    works = [{"work": "Look at what a reboot depends on", "steps": [{"preflight": {}, "id": STEP}]}]
    data = {"title": "Preflight", "hosts": [host.name for host in hosts], "works": works}
    return json.dumps(data).encode()
