"""``power.status``, ``power.on``, ``power.off``, ``power.cycle``: one switch, in one file."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal

from tastyops.actions import action, param, require
from tastyops.errors import Failed
from tastyops.facts.power_state import IS_OFF, IS_ON, POLICY, STATUS
from tastyops.model.action import DONE, Facts, Registered
from tastyops.model.commands import (
    Ask,
    Change,
    Command,
    Output,
    Probe,
    Report,
    Sleep,
    Steps,
    Unknown,
)

_POLL = 1.0
_SETTLES = {"on": IS_ON, "off": IS_OFF}


@dataclass(frozen=True, kw_only=True)
class PowerStatus:
    """The parameters of ``power.status``: none; the inventory names the switch."""


@dataclass(frozen=True, kw_only=True)
class PowerSwitching:
    """The parameters of ``power.on``, ``power.off`` and ``power.cycle``."""

    ask: bool = param("boolean", "Ask an operator before the power is switched", True)
    patience: float = param(
        "duration", "How long the switch may take to report the new state", 60.0
    )


def _ending_of_reading(registered: Registered) -> str:
    """Whether the switch can tell."""
    return "unknown" if "unknown" in (registered.get("power"), registered.get("policy")) else DONE


@action(
    "power.status",
    returns={"power": "word"},
    sentence="Power is {{ power }}.",
    endings={"unknown": "The power switch does not say whether the power is on."},
    ending=_ending_of_reading,
)
def power_status(params: PowerStatus, facts: Facts) -> Steps:
    """Read the host's power switch, which answers while the host is down."""
    state: str = yield Probe(*STATUS, via="power")
    return {"power": state}


@dataclass(frozen=True, kw_only=True)
class PowerPolicy:
    """The parameters of ``power.policy``: none; the inventory names the switch."""


_DARK = {
    "always-off": "stays dark when power returns",
    "previous": "stays dark when power returns if it was shut down before",
}


@action(
    "power.policy",
    returns={"policy": "word", "dark": "flag"},
    sentence="When power returns the machine {{ 'stays dark' if dark else 'starts by itself' }}.",
    endings={"unknown": "What the machine does when power returns is not known."},
    ending=_ending_of_reading,
)
def power_policy(params: PowerPolicy, facts: Facts) -> Steps:
    """Read what the machine does when power returns, and warn where it would stay dark.

    ``dark`` speaks of a machine that was shut down cleanly before the power went.
    """
    policy: str = yield Probe(*POLICY, via="power")
    if policy in _DARK:
        yield Report(note=f"{facts.host} {_DARK[policy]}: its power must then be switched on")
    if policy == "unknown":
        yield Report(note=f"it is not known what {facts.host} does when power returns")
    return {"policy": policy, "dark": policy != "always-on"}


@action(
    "power.on",
    returns={"power": "word"},
    sentence="Power switched on.",
    already="Power was on.",
)
def power_on(params: PowerSwitching, facts: Facts) -> Steps:
    """Switch the host's power on, without the host (IPMI, or the inventory's commands)."""
    state: str = yield Probe(*STATUS, via="power")
    if state == "on":
        return {"changed": False, "power": state}
    yield from _turn("on", "Switch on", params, facts, state)
    return {"power": (yield from _settled("on", params.patience))}


@action(
    "power.off",
    returns={"power": "word"},
    sentence="Power switched off.",
    already="Power was off.",
)
def power_off(params: PowerSwitching, facts: Facts) -> Steps:
    """Cut the host's power, without the host; what it has not written to disk is lost."""
    state: str = yield Probe(*STATUS, via="power")
    if state == "off":
        return {"changed": False, "power": state}
    yield from _turn("off", "Cut the power of", params, facts, state)
    return {"power": (yield from _settled("off", params.patience))}


def _ending(registered: Registered) -> str:
    """A machine whose power was off lost nothing that was running."""
    return "switched-on" if registered.get("turned") == "on" else DONE


@action(
    "power.cycle",
    returns={"power": "word", "was": "word", "turned": "word"},
    sentence="Power cycled.",
    endings={"switched-on": "Power switched on; it had been off."},
    ending=_ending,
)
def power_cycle(params: PowerSwitching, facts: Facts) -> Steps:
    """Cut the host's power and restore it; a machine that is off is switched on."""
    was: str = yield Probe(*STATUS, via="power")
    if was == "off":
        yield from _turn("on", "Switch on", params, facts, was)
    else:
        yield from _turn("cycle", "Cut and restore the power of", params, facts, was)
    turned = "on" if was == "off" else "cycle"
    power = yield from _settled("on", params.patience)
    return {"power": power, "was": was, "turned": turned}


def _turn(
    how: Literal["on", "off", "cycle"], words: str, params: PowerSwitching, facts: Facts, state: str
) -> Generator[Command, Any, None]:
    """Has it confirmed, the host and the outlet named, and does it."""
    if params.ask:
        outlet = f" ({facts.outlet})" if facts.outlet else ""
        said = f"Its switch says {state}" if state != "unknown" else "Its switch does not say"
        yield Ask("confirm", f"{words} {facts.host}{outlet}? {said}.")
    settle = Probe(*_SETTLES[how], via="power") if how in _SETTLES else None
    done: Output | Unknown = yield Change((how,), via="power", settle=settle)
    require(done, "the power switch did not obey")


def _settled(wanted: str, patience: float) -> Generator[Command, Any, str]:
    """Waits until the switch shows it; ``unknown`` from one that cannot tell."""
    waited = 0.0
    while True:
        state: str = yield Probe(*STATUS, via="power")
        if state in (wanted, "unknown"):
            return state
        if waited >= patience:
            raise Failed(f"the power switch still says {state}", {"power": state})
        yield Sleep(_POLL, "the power switch to show it")
        waited += _POLL
