"""Shows a dry run: each step with its label and exact commands, then the log it would write."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence

from tastyops.cli.wouldbe import would_be_log
from tastyops.engine.preview import Preview, StepPreview
from tastyops.model.public_text import one_line
from tastyops.model.risk_period import Period
from tastyops.plan.plan import Plan
from tastyops.records.blobs import OutputCapture
from tastyops.records.document.text import render_text
from tastyops.redact import Masker

Mask = Callable[[str], str]


def masking_capture(masker: Masker) -> type[OutputCapture]:
    """Where a dry run's probes leave their output: in memory, without the run's secrets."""

    class Masking(OutputCapture):
        def __init__(self) -> None:
            super().__init__(masker=masker)

    return Masking


def show_preview(
    plan: Plan, found: Preview, *, zone: str, attending: Sequence[str], as_json: bool, mask: Mask,
    period: Period | None = None,
) -> None:
    """Writes the preview to standard output, without the secrets that ``mask`` knows."""
    for step in found.steps:
        step.commands = list(map(mask, step.commands))
        step.because, step.entries = mask(step.because), list(map(mask, step.entries))
    if as_json:
        for step in found.steps:
            print(json.dumps(_as_data(step)))  # noqa: T201
        return
    out = sys.stdout
    out.write(f"Dry run of {plan.title}: nothing is changed, no log number is taken.\n")
    work = 0
    many = len(plan.hosts) > 1
    for step in found.steps:
        number = plan.work_of(step.step.id).number
        if number != work:
            work = number
            out.write(f"\n{number}. {plan.work_titles[number]}\n")
        _show_step(step, many)
    out.write("\nThe log it would write:\n\n")
    out.write(render_text(would_be_log(plan, found, zone, attending, period)))


def _show_step(step: StepPreview, many: bool) -> None:
    where = f"{step.host}: " if many and step.host else ""
    because = f" ({one_line(step.because)})" if step.because else ""
    sys.stdout.write(f"   {step.step.address} {where}{step.step.action}: {step.verdict}{because}\n")
    for command in step.commands:
        for line in command.splitlines() or [""]:
            sys.stdout.write(f"        $ {_exactly(line)}\n")


def _exactly(line: str) -> str:
    """A command as it would be sent, blank for blank; what could steer a terminal is spelt out."""
    return "".join(ch if ch.isprintable() else ascii(ch)[1:-1] for ch in line)


def _as_data(step: StepPreview) -> dict[str, object]:
    return {
        "step": step.step.address, "host": step.host, "action": step.step.action,
        "verdict": step.verdict, "because": step.because, "commands": step.commands,
    }
