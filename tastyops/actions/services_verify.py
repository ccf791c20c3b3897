"""``services.verify``: nothing has failed that had not failed before."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tastyops.actions import action, param
from tastyops.commands import Command, Probe, Steps
from tastyops.errors import Failed
from tastyops.model.action import Facts
from tastyops.probes.system import unit_states
from tastyops.reboot.health import Health, health, worse
from tastyops.reboot.verify import started


@dataclass(frozen=True, kw_only=True)
class ServicesVerify:
    """Which services, and how long to wait for them."""

    services: list[str] = param("list", "Units that must be active, besides none failing", ())
    ignore: list[str] = param("list", "Units, arrays and mounts that may be amiss", ())
    patience: float = param("duration", "How long the system may take to finish starting", 300.0)


@action(
    "services.verify",
    scalar="services",
    returns={
        "failed": "unit",
        "already_failed": "unit",
        "degraded": "device",
        "unmounted": "private",
        "state": "word",
    },
    sentence="Services verified as running normally.",
)
def services_verify(params: ServicesVerify, facts: Facts) -> Steps:
    """Verify that the system has started, no service has failed, arrays and mounts are whole.

    What was already so before a reboot in this run is listed, not held against it.
    """
    state = yield from started(params.patience)
    if state not in ("running", "degraded"):
        raise Failed(f"the system is {state}")
    now: Health = yield from health()
    before = _before(facts)
    failed = set(now.failed) - set(params.ignore)
    registered = {
        "state": state,
        "failed": sorted(failed - set(before.failed)),
        "already_failed": sorted(failed & set(before.failed)),
        "degraded": list(now.degraded),
        "unmounted": [*now.unmounted, *now.read_only],
    }
    found = worse(before, now, params.ignore)
    if found:
        raise Failed("; ".join(found), registered)
    if params.services:
        yield from _need_active(tuple(params.services))
    return registered


def _before(facts: Facts) -> Health:
    """What was amiss before the last reboot in this run."""
    told = facts.earlier("reboot")
    mounts = tuple(told.get("unmounted_before") or ())
    return Health(
        failed=tuple(told.get("failed_before") or ()),
        degraded=tuple(told.get("degraded_before") or ()),
        unmounted=mounts,
        read_only=mounts,
    )


def _need_active(services: tuple[str, ...]) -> Generator[Command, Any, None]:
    units = tuple(name if "." in name else f"{name}.service" for name in services)
    states: tuple[str, ...] = yield Probe(*unit_states(*units))
    if len(states) != len(units):
        raise Failed("systemctl did not say how the services are")
    down = [name for name, state in zip(units, states, strict=True) if state != "active"]
    if down:
        raise Failed(f"not active: {', '.join(down)}", {"failed": down})
