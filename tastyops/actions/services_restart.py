"""``services.restart``: start again what failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tastyops.actions import action, param, require
from tastyops.errors import CannotKnow, Failed
from tastyops.facts.system import FAILED_UNITS, transient_units
from tastyops.model.action import Facts
from tastyops.model.commands import Change, Probe, Steps, Unknown, unknown_step
from tastyops.model.public_text import is_fact


@dataclass(frozen=True, kw_only=True)
class ServicesRestart:
    """The parameters of ``services.restart``."""

    services: Sequence[str] = param(
        "list", "Units to restart in any state; default: all that failed", ()
    )


@action(
    "services.restart",
    scalar="services",
    returns={"restarted": "unit", "failed": "unit", "changed": "flag"},
    sentence="Restarted services: {{ restarted | join(', ') }}.",
    already="No service had failed.",
)
def services_restart(params: ServicesRestart, facts: Facts) -> Steps:
    """Restart failed services, or the named ones, and check that they stay up (systemd)."""
    wanted = [name if "." in name else f"{name}.service" for name in params.services]
    if any(not is_fact("unit", name) or name.startswith("-") for name in wanted):
        raise Failed("the name is not that of a systemd unit")
    failed: tuple[str, ...] = yield Probe(*FAILED_UNITS)
    units = wanted or list(failed)
    if not units:
        return {"restarted": [], "failed": [], "changed": False}
    # One that failed too often in a row is not started again before its count is reset. What exists
    # in systemd's memory alone would be gone with the reset, and nothing would be left to restart.
    lost = [unit for unit in units if unit in failed]
    fleeting: tuple[str, ...] = (yield Probe(*transient_units(*lost))) if lost else ()
    reset = [unit for unit in lost if unit not in fleeting]
    if reset:
        yield Change(("systemctl", "reset-failed", "--", *reset), sudo=True)
    done = yield Change(("systemctl", "restart", "--", *units), sudo=True)
    if isinstance(done, Unknown):
        raise CannotKnow(unknown_step(done))
    after: tuple[str, ...] = yield Probe(*FAILED_UNITS)
    down = sorted(set(after) & set(units))
    registered = {"restarted": sorted(set(units) - set(down)), "failed": down, "changed": True}
    if down:
        raise Failed(f"failed again: {', '.join(down)}", registered)
    require(done, f"not all of them could be restarted: {', '.join(units)}")
    return registered
