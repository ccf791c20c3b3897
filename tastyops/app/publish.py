"""Use case: bring the public site up to date with the logs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tastyops.app.record_lookup import Records
from tastyops.model.publishing import Publishing
from tastyops.publish.site import Built, Site


def publish(records: Records, site: Path | None, *, practice: bool) -> Built:
    """Makes the site of an inventory's logs. Raises UsageError, JournalUnwritable.

    Without ``site`` the inventory's is used, and ``practice/`` beside it for practice logs.
    """
    inventory = records.inventory
    default = Publishing(site=str(Path(inventory.path).parent / "site"))
    settings = inventory.publish or default
    directory = site or Path(settings.site).expanduser()
    if practice and site is None:
        directory = directory.parent / "practice" / directory.name
    logs = records.book(practice=practice).directory
    made = Site(
        directory, logs, settings, inventory.services, inventory.timezone, practice=practice
    )
    return made.build(datetime.now(UTC))
