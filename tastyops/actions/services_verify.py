"""``services.verify``: nothing has failed that had not failed before."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tastyops.actions import action, param
from tastyops.commands import Command, Probe, Steps
from tastyops.errors import Failed
from tastyops.model.action import Facts
from tastyops.probes.system import FAILED_UNITS, unit_states
from tastyops.reboot.verify import started


@dataclass(frozen=True, kw_only=True)
class ServicesVerify:
    """Which services, and how long to wait for them."""

    services: list[str] = param("list", "Units that must be active, besides none failing", ())
    ignore: list[str] = param("list", "Units that may be failed", ())
    patience: float = param("duration", "How long the system may take to finish starting", 300.0)


@action(
    "services.verify",
    scalar="services",
    returns={"failed": "unit", "already_failed": "unit", "state": "word"},
    sentence="Services verified as running normally.",
)
def services_verify(params: ServicesVerify, facts: Facts) -> Steps:
    """Verify that the system has started and that no service has failed (systemd).

    Units that had already failed before a reboot in this run are listed, not held against it.
    """
    state = yield from started(params.patience)
    if state not in ("running", "degraded"):
        raise Failed(f"the system is {state}")
    failed = set((yield Probe(*FAILED_UNITS))) - set(params.ignore)
    before = set(facts.earlier("reboot").get("failed_before", ()))
    fresh = sorted(failed - before)
    registered = {"state": state, "failed": fresh, "already_failed": sorted(failed & before)}
    if fresh:
        raise Failed(f"{len(fresh)} unit(s) failed: {', '.join(fresh)}", registered)
    if params.services:
        yield from _need_active(tuple(params.services))
    return registered


def _need_active(services: tuple[str, ...]) -> Generator[Command, Any, None]:
    units = tuple(name if "." in name else f"{name}.service" for name in services)
    states: tuple[str, ...] = yield Probe(*unit_states(*units))
    if len(states) != len(units):
        raise Failed("systemctl did not say how the services are")
    down = [name for name, state in zip(units, states, strict=True) if state != "active"]
    if down:
        raise Failed(f"not active: {', '.join(down)}", {"failed": down})
