"""Opening a log by hand: for something that happened, before any run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from tastyops.app.log_edits import sentence
from tastyops.app.operators import attending, operator
from tastyops.app.record_lookup import Records, keep_apart
from tastyops.model.inventory import Inventory
from tastyops.records.logs import LogFile, LogHead
from tastyops.redact import Masker


def open_incident(
    records: Records, title: str, *, hosts: Sequence[str], summary: Sequence[str],
    attends: str | None, dry: bool,
) -> LogFile | None:
    """Takes a number and opens its log; None in a dry run, which only checks. Raises UsageError."""
    inventory = records.inventory
    names = [host.name for host in inventory.select(hosts)] if hosts else []
    practice = _is_practice(inventory, names)
    head = LogHead(
        "incident", sentence(title, "The title"), inventory.timezone, practice,
        [sentence(text, "A summary") for text in summary], (),
        attending(attends, inventory), by_hand=True, hosts=names,
    )
    book = records.book(practice=practice)
    keep_apart(records.runs_directory(practice=practice), book.directory)
    return None if dry else book.open(head, datetime.now(UTC), Masker(), operator())


def _is_practice(inventory: Inventory, hosts: Sequence[str]) -> bool:
    """Practice if a named host is practice; without a name, if the inventory has no other host."""
    chosen = [inventory.hosts[name] for name in hosts] or list(inventory.hosts.values())
    flags = [host.practice or host.connection == "practice" for host in chosen]
    return any(flags) if hosts else all(flags)
