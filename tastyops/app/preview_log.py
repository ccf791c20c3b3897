"""A dry run's result: its steps without secrets, and the log that the run would write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tastyops.app.environment import Environment
from tastyops.engine.preview import Preview, StepPreview, preview
from tastyops.errors import ExitCode
from tastyops.model.risk_period import Period
from tastyops.plan.plan import Plan
from tastyops.records.blobs import OutputCapture
from tastyops.records.document.build import Document, Line, WorkItem
from tastyops.records.document.times import (
    local,
    long_date,
    offset_minutes,
    offset_name,
    risk_period,
)
from tastyops.redact import Masker


@dataclass(frozen=True)
class PreviewedStep:
    """A step of a dry run: what would become of it, why, and with which commands."""

    address: str
    host: str
    action: str
    verdict: str
    because: str
    commands: Sequence[str]
    work: str
    """The number and the title of its work item."""


@dataclass(frozen=True)
class RunPreview:
    """What a run would do."""

    title: str
    steps: Sequence[PreviewedStep]
    log: Document
    code: int
    """The exit code of the dry run."""


def preview_run(
    plan: Plan, environment: Environment, masker: Masker, zone: str, attending: Sequence[str],
    period: Period | None,
) -> RunPreview:
    """Finds out what a run would do, without its secrets."""
    found = preview(
        plan, environment.dialer, environment.clock, masking_capture(masker), environment.ways
    )
    for step in found.steps:
        step.entries = [masker.text(entry) for entry in step.entries]
    code = ExitCode.FAILED if found.incomplete else ExitCode.COMPLETED
    return RunPreview(
        plan.title, [_masked(plan, step, masker) for step in found.steps],
        _log(plan, found, zone, attending, period),
        int(ExitCode.UNREACHABLE if found.unreachable else code),
    )


def _masked(plan: Plan, found: StepPreview, masker: Masker) -> PreviewedStep:
    step, number = found.step, plan.work_of(found.step.id).number
    return PreviewedStep(
        step.address, found.host, step.action, found.verdict, masker.text(found.because),
        [masker.text(command) for command in found.commands],
        f"{number}. {plan.work_titles[number]}",
    )


def masking_capture(masker: Masker) -> type[OutputCapture]:
    """Keeps the output of a dry run's probes in memory, without the run's secrets."""

    class Masking(OutputCapture):
        def __init__(self) -> None:
            super().__init__(masker=masker)

    return Masking


def _log(
    plan: Plan, found: Preview, zone: str, attending: Sequence[str], period: Period | None
) -> Document:
    """The log it would write, newest entry first: without times, its number not yet taken."""
    now = datetime.now(UTC)
    begins = (period and period.begins) or now
    offset = offset_minutes(zone, begins)
    day = long_date(local(begins, offset))
    entries = [entry for step in found.steps for entry in step.entries]
    ended = {number: (w.status, w.why) for number, w in found.state.works.items()}
    closed = found.state.closed
    return Document(
        number=f"{local(now, offset).year}/…", kind=plan.runbook.kind, title=plan.title, date=day,
        practice=plan.practice, attending=list(attending),
        zone=offset_name(offset), summary=list(plan.summary),
        status=closed.status if closed else "Planned",
        works=[WorkItem(title, *ended.get(n, ("", ""))) for n, title in plan.work_titles.items()],
        at_risk=risk_period(period.begins, period.ends, offset, day) if period else "",
        transcript=[Line("hhmm", day, entry) for entry in reversed(entries)],
    )
