"""``check --host``: the preflight of a host, over links that can only read."""

from __future__ import annotations

import json
from argparse import Namespace
from contextlib import ExitStack

from tastyops.app.registry import BUILT_IN
from tastyops.cli import places, project, secrets
from tastyops.cli.dryrun import masking_capture
from tastyops.engine.preview import preview
from tastyops.errors import ExitCode
from tastyops.local.controller import boot_id
from tastyops.plan.plan import make_plan
from tastyops.runbook.validation import validate

STEP = "preflight"


def perform(args: Namespace) -> int:
    """One line for each thing looked at; 1 if any failed, 4 if a host cannot be reached."""
    inventory = project.load_inventory(args.inventory)
    hosts = inventory.select(args.host)
    names = {**inventory.hosts, **inventory.groups}
    runbook = validate(_runbook([host.name for host in hosts]), "preflight", BUILT_IN, names)
    hidden = secrets.resolve_secrets(runbook, hosts, ask=False)
    masker = hidden.masker()
    with ExitStack() as stack, secrets.masked_errors(masker.text):
        place = places.enter(stack, hosts, hidden)
        plan = make_plan(runbook, hosts, {}, BUILT_IN, controller=boot_id())
        found = preview(
            plan, place.dialer, place.clock, masking_capture(masker), place.ways
        )
        worst = ExitCode.COMPLETED
        for each in found.steps:
            ended = found.state.lanes[each.host, each.step.id].ended
            lines = (ended.registered if ended else {}).get("findings", [])
            for line in lines:
                print(masker.text(f"{each.host}: {line}"))  # noqa: T201
            if not lines:
                print(masker.text(f"{each.host}: not looked at: {each.because}"))  # noqa: T201
            if not lines or (ended and ended.registered["failed"]):
                worst = ExitCode.FAILED
    return int(ExitCode.UNREACHABLE if found.unreachable else worst)


def _runbook(hosts: list[str]) -> bytes:
    """The one step there is, as a runbook."""
    works = [{"work": "Look at what a reboot depends on", "steps": [{"preflight": {}, "id": STEP}]}]
    data = {"title": "Preflight", "hosts": hosts, "works": works}
    return json.dumps(data).encode()


