"""``host.state``: whether a host answers, and where it has stopped if it does not."""

from __future__ import annotations

from dataclasses import dataclass

from tastyops.actions import action, param
from tastyops.domain.boot.host_condition import assess, need_gone
from tastyops.model.action import Facts
from tastyops.model.commands import Report, Steps


@dataclass(frozen=True, kw_only=True)
class HostState:
    """The parameters of ``host.state``."""

    unresponsive: bool = param(
        "boolean", "Refuse a host that answers; ask an operator about one that may be running",
        False,
    )  # fmt: skip
    patience: float = param("duration", "How long to wait for a host that is starting", 600.0)


@action(
    "host.state",
    returns={"state": "word", "ssh": "word", "power": "word"},
    sentence="The state of the machine: {{ state }}.",
)
def host_state(params: HostState, facts: Facts) -> Steps:
    """Find out whether a host answers: over SSH, at its power switch and on its console.

    Enter is pressed on a console that is silent or shows a login prompt: one that stands there
    from before the machine stopped does not answer.
    """
    found = yield from assess(facts, params.patience)
    yield Report(note=f"{found.words} (SSH: {found.ssh})")
    if params.unresponsive:
        yield from need_gone(found, facts)
    return {"state": found.state, "ssh": found.ssh, "power": found.power or None}
