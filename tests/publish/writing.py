"""Journals of logs, written line by line with the moments a test wants; and sites made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tastyops.journal.chain import GENESIS, seal
from tastyops.journal.envelope import stamp
from tastyops.journal.public_events import (
    Closed,
    Entry,
    LogOpened,
    PublicBody,
    PublicEvent,
    RiskPeriod,
    RunAttached,
    WorkStatus,
)
from tastyops.model.publishing import Publishing, Service
from tastyops.publish.site import Built, Site

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
SERVICES = (
    Service("Web", ("mill",), note="All web pages"),
    Service("Mail & calendars", ("mill", "forge")),
    Service("Shell", ("forge",)),
)
ADDRESSED = Publishing(
    title="Mill <status>",
    address="https://status.example.org/s/",
    authority="example.org",
    year=2026,
)

Body = PublicBody | tuple[int, PublicBody]
"""A line of a log, with its minute after the log was opened."""


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def write_log(logs: Path, number: str, opened: datetime, bodies: Iterable[Body]) -> Path:
    """A log's journal."""
    year, _, count = number.partition("/")
    path = logs / year / f"{count}-log.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(sealed(opened, bodies)))
    return path


def sealed(opened: datetime, bodies: Iterable[Body]) -> Iterable[bytes]:
    head = GENESIS
    for seq, body in enumerate(bodies, 1):
        after, body = body if isinstance(body, tuple) else (0, body)
        at = opened + minutes(after)
        line, head = seal(PublicEvent(seq, at, at, body, prev=head).to_json())
        yield line


def opening(number: str, title: str, kind: str = "at risk", **more: object) -> LogOpened:
    values: dict[str, object] = {
        "hosts": ["mill"],
        "works": ["Install it", "Restart"],
        "summary": ["What it is."],
    }
    values["offset"] = 0
    return LogOpened(number, kind, title, "March 10th 2026", **{**values, **more})  # type: ignore[arg-type]


def maintenance(number: str, title: str = "Kernel upgrade", **more: object) -> list[Body]:
    """A maintenance that was carried out in twenty minutes."""
    return [
        opening(number, title, **more),
        (0, RunAttached("r1")),
        (5, Entry("Kernel installed.")),
        (5, WorkStatus(1, "Completed")),
        (15, Entry("Restarted.", ["mail waits", "web answers"])),
        (15, WorkStatus(2, "Completed")),
        (20, Closed("Completed", "r1", 40, "abc")),
    ]


def incident(number: str, title: str = "Web pages do not load", **more: object) -> list[Body]:
    """An incident that is open."""
    values = {"works": [], **more}
    return [opening(number, title, "incident", **values), (3, Entry("The web server is stuck."))]


def window(opened: datetime, begins: float, ends: float) -> RiskPeriod:
    """An at-risk period, in minutes after the log was opened."""
    return RiskPeriod(stamp(opened + minutes(ends)), stamp(opened + minutes(begins)))


def site(
    folder: Path,
    now: datetime = NOON,
    settings: Publishing = ADDRESSED,
    services: Sequence[Service] = SERVICES,
    *,
    practice: bool = False,
) -> Built:
    """Builds ``folder/site`` from ``folder/logs``."""
    made = Site(
        folder / "site", folder / "logs", settings, services, "Europe/London", practice=practice
    )
    return made.build(now)


def page(folder: Path, name: str) -> str:
    return (folder / "site" / name).read_text()


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of the site."""
    top = folder / "site"
    return {str(p.relative_to(top)): p.read_bytes() for p in top.rglob("*") if p.is_file()}
