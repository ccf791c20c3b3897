"""What a power switch says. Over ``via="power"`` only; the answer is one word on its own line."""

from __future__ import annotations

from tastyops.errors import ProbeFailed
from tastyops.facts.readings import Answer, Parsers, Reading, need_ok

STATUS = Reading(("status",), "power")
"""``on``, ``off``, or ``unknown`` where the switch answers and does not know."""

POLICY = Reading(("policy",), "power_policy")
"""What the machine does when power returns: ``always-on``, ``previous``, ``always-off``, or
``unknown``. IPMI 2.0 knows the first three (Get Chassis Status)."""

IS_ON = Reading(("status",), "power_on")
"""Settles ``on``."""

IS_OFF = Reading(("status",), "power_off")
"""Settles ``off``. Nothing settles ``cycle``: the status is the same before and after it."""


def _power(answer: Answer) -> str:
    word = need_ok(answer).strip()
    if word not in ("on", "off", "unknown"):
        raise ProbeFailed("the power switch did not say whether it is on or off")
    return word


def _policy(answer: Answer) -> str:
    word = need_ok(answer).strip()
    if word not in ("always-on", "previous", "always-off", "unknown"):
        raise ProbeFailed("the power switch did not say what it does when power returns")
    return word


PARSERS: Parsers = {
    "power_policy": _policy,
    "power": _power,
    "power_on": lambda answer: _power(answer) == "on",
    "power_off": lambda answer: _power(answer) == "off",
}
