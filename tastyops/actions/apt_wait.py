"""``apt.wait``: until nobody else holds apt's or dpkg's locks."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import APT_PATIENCE, action, param, wait_for_locks
from tastyops.facts.apt import WORDS
from tastyops.model.action import Facts
from tastyops.model.commands import Steps


@dataclass(frozen=True, kw_only=True)
class AptWait:
    """The parameters of ``apt.wait``."""

    patience: float = param(
        "duration", "How long to wait for the package manager's locks", APT_PATIENCE
    )


@action(
    "apt.wait",
    scalar="patience",
    returns={"waited": "duration"},
    sentence="The package manager is free.",
)
def apt_wait(params: AptWait, facts: Facts) -> Steps:
    """Wait until nobody holds apt's or dpkg's locks, and say who does; changes nothing."""
    waited = yield from wait_for_locks(tuple(WORDS), 0.0, params.patience)
    return {"waited": round(waited)}
