"""``services.snapshot``: what is amiss before a run changes anything."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.domain.boot.health import Health, find_worsened, health, identity, is_degraded
from tastyops.domain.boot.verify import to_registered
from tastyops.model.action import DONE, Facts, Registered
from tastyops.model.commands import Report, Steps


@dataclass(frozen=True, kw_only=True)
class ServicesSnapshot:
    """The parameters of ``services.snapshot``."""

    units: bool = param(
        "boolean", "Also excuse units that have already failed", True
    )


def _ending(registered: Registered) -> str:
    return "amiss" if registered.get("amiss") is True else DONE


@action(
    "services.snapshot",
    scalar="units",
    returns={
        "failed_before": "unit",
        "degraded_before": "device",
        "unmounted_before": "private",
        "lacking_before": "private",
        "amiss": "flag",
    },
    sentence="Services, arrays and mounts were in order before these works.",
    endings={"amiss": "Some services, arrays or mounts were already amiss before these works."},
    ending=_ending,
)
def services_snapshot(params: ServicesSnapshot, facts: Facts) -> Steps:
    """Note failed units, arrays that lack members, and what is not mounted; changes nothing.

    A later ``services.verify`` lists what was so before and fails only on what is new.
    """
    now: Health = yield from health()
    for each in find_worsened(Health(), now):
        yield Report(note=f"already so: {each}")
    told = to_registered(now)
    if not params.units:
        told["failed_before"] = []
    lacking = {identity(array): array.degraded for array in now.arrays if is_degraded(array)}
    return {**told, "lacking_before": lacking, "amiss": not now.sound}
