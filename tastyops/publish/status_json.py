"""``status.json``: the front page for programs. ``status.schema.json`` beside it describes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tastyops.model.publishing import Publishing, Service
from tastyops.publish.summary import Summary, moment, worst

RECENT = 20
"""Logs that are over in the file."""


def render_status(
    logs: Sequence[Summary], site: Publishing, services: Sequence[Service], now: datetime,
    as_of: datetime | None, *, practice: bool,
) -> bytes:  # fmt: skip
    """The state of these logs, newest first, and of the services given."""
    open_logs = [log for log in logs if log.state(now).is_open]
    closed = [log for log in logs if not log.state(now).is_open]

    def state_of(service: Service) -> str:
        return worst(log.state(now) for log in open_logs if service.slug in log.services)

    status = {
        "version": 1,
        "title": site.title,
        "url": site.address,
        "practice": practice,
        "as_of": _iso(as_of),
        "state": worst(log.state(now) for log in open_logs),
        "services": [
            {
                "name": service.name,
                "state": state_of(service),
                "url": f"{site.address}services/{service.slug}.html",
            }
            for service in services
        ],
        "open": [_log(log, site, services, now) for log in open_logs],
        "recent": [_log(log, site, services, now) for log in closed[:RECENT]],
    }
    return json.dumps(status, indent=1, ensure_ascii=False).encode() + b"\n"


def _log(
    log: Summary, site: Publishing, services: Sequence[Service], now: datetime
) -> dict[str, Any]:
    due = log.next_update(now, site.next_update)
    return {
        "number": log.number,
        "url": f"{site.address}{log.page}",
        "title": log.title,
        "kind": "incident" if log.incident else "maintenance",
        "state": log.state(now),
        "status": log.status,
        "services": [service.name for service in services if service.slug in log.services],
        "published": _iso(moment(log.opened)),
        "begins": _iso(moment(log.begins)) if log.begins else None,
        "ends": _iso(moment(log.ends)) if log.ends else None,
        "ended": _iso(moment(log.ended)) if log.ended else None,
        "latest": log.latest or None,
        "next_update_by": _iso(due),
        "late": due is not None and due <= now,
    }


def _iso(at: datetime | None) -> str | None:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else None
