"""The log a dry run says would be written: entries without times, a number not yet taken."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from tastyops.engine.preview import Preview
from tastyops.model.risk_period import Period
from tastyops.plan.plan import Plan
from tastyops.records.document.build import Document, Line, WorkItem
from tastyops.records.document.times import (
    local,
    long_date,
    offset_minutes,
    offset_name,
    risk_period,
)


def would_be_log(
    plan: Plan, found: Preview, zone: str, attending: Sequence[str], period: Period | None = None
) -> Document:
    """The document, newest entry first."""
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
