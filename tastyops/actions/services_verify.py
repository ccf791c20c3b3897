"""``services.verify``: nothing has failed that had not failed before."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from tastyops.actions import action, param
from tastyops.domain.boot.health import Health, find_worsened, health
from tastyops.domain.boot.verify import started
from tastyops.errors import Failed
from tastyops.facts.system import unit_states
from tastyops.model.action import DONE, Facts, Registered
from tastyops.model.commands import Command, Probe, Report, Steps


@dataclass(frozen=True, kw_only=True)
class ServicesVerify:
    """The parameters of ``services.verify``."""

    services: list[str] = param("list", "Units that must be active", ())
    ignore: list[str] = param("list", "Units, arrays and mounts that may be amiss", ())
    patience: float = param("duration", "How long the system may take to finish starting", 300.0)


def _ending(registered: Registered) -> str:
    """Whether something is still amiss that was so before."""
    return "as-before" if registered.get("as_before") is True else DONE


@action(
    "services.verify",
    scalar="services",
    returns={
        "failed": "unit",
        "already_failed": "unit",
        "degraded": "device",
        "unmounted": "private",
        "state": "word",
        "as_before": "flag",
    },
    sentence="Services verified as running normally.",
    endings={
        "as-before": "Services, arrays and mounts are no worse than when they were last looked at;"
        " some are still amiss."
    },
    ending=_ending,
)
def services_verify(params: ServicesVerify, facts: Facts) -> Steps:
    """Verify that the system has started, and that services, arrays and mounts are in order.

    What ``services.snapshot`` or a reboot of this run found amiss before is listed, and excused.
    """
    state = yield from started(params.patience)
    if state not in ("running", "degraded"):
        raise Failed(f"the system is {state}")
    now: Health = yield from health()
    before = _before(facts)
    failed = set(now.failed) - set(params.ignore)
    registered: Registered = {
        "state": state,
        "failed": sorted(failed - set(before.failed)),
        "already_failed": sorted(failed & set(before.failed)),
        "degraded": list(now.degraded),
        "unmounted": [*now.unmounted, *now.read_only],
    }
    found = find_worsened(before, now, params.ignore)
    if found:
        registered["as_before"] = False
        raise Failed("; ".join(found) + _hint(facts), registered)
    still = find_worsened(Health(), now, params.ignore)
    registered["as_before"] = bool(still)
    for each in still:
        yield Report(note=f"as before: {each}")
    if params.services:
        yield from _need_active(tuple(params.services))
    return registered


def _hint(facts: Facts) -> str:
    """What to do about something that has been amiss for long."""
    if facts.earlier("services.snapshot") or facts.earlier("reboot"):
        return ""
    return " (if it was so before this run, put `services.snapshot` first)"


def _before(facts: Facts) -> Health:
    """What was amiss before: when this run took note of it, and before its last reboot."""
    told = [facts.earlier(name) or {} for name in ("services.snapshot", "reboot")]

    def both(name: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each for one in told for each in one.get(name) or ()))

    return Health(
        failed=both("failed_before"),
        degraded=both("degraded_before"),
        unmounted=both("unmounted_before"),
        read_only=both("unmounted_before"),
        lacking=_lacked(*told),
    )


def _lacked(snapshot: Registered, reboot: Registered) -> Mapping[str, int]:
    """How many members arrays lacked, unless a reboot since has seen others degraded."""
    seen = set(reboot.get("degraded_before") or ()) - set(snapshot.get("degraded_before") or ())
    return {} if seen else snapshot.get("lacking_before") or {}


def _need_active(services: tuple[str, ...]) -> Generator[Command, Any, None]:
    units = tuple(name if "." in name else f"{name}.service" for name in services)
    states: tuple[str, ...] = yield Probe(*unit_states(*units))
    if len(states) != len(units):
        raise Failed("systemctl did not report the state of the services")
    down = [name for name, state in zip(units, states, strict=True) if state != "active"]
    if down:
        raise Failed(f"not active: {', '.join(down)}", {"failed": down})
