"""Shows a dry run: each step with its label and exact commands, then the log it would write."""

from __future__ import annotations

import json
import sys

from tastyops.app.preview_log import PreviewedStep, RunPreview
from tastyops.model.public_text import one_line
from tastyops.records.document.text import render_text


def show_preview(found: RunPreview, *, as_json: bool) -> None:
    """Writes the preview to standard output."""
    if as_json:
        for step in found.steps:
            print(json.dumps(_as_data(step)))  # noqa: T201
        return
    out = sys.stdout
    out.write(f"Dry run of {found.title}: nothing is changed, no log number is taken.\n")
    work = ""
    many = len({step.host for step in found.steps if step.host}) > 1
    for step in found.steps:
        if step.work != work:
            work = step.work
            out.write(f"\n{work}\n")
        _show_step(step, many)
    out.write("\nThe log it would write:\n\n")
    out.write(render_text(found.log))


def _show_step(step: PreviewedStep, many: bool) -> None:
    where = f"{step.host}: " if many and step.host else ""
    because = f" ({one_line(step.because)})" if step.because else ""
    sys.stdout.write(f"   {step.address} {where}{step.action}: {step.verdict}{because}\n")
    for command in step.commands:
        for line in command.splitlines() or [""]:
            sys.stdout.write(f"        $ {_exactly(line)}\n")


def _exactly(line: str) -> str:
    """A command as it would be sent, blank for blank; what could steer a terminal is spelt out."""
    return "".join(ch if ch.isprintable() else ascii(ch)[1:-1] for ch in line)


def _as_data(step: PreviewedStep) -> dict[str, object]:
    return {
        "step": step.address, "host": step.host, "action": step.action,
        "verdict": step.verdict, "because": step.because, "commands": step.commands,
    }
