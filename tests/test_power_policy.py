"""What the machine does when power returns, read from ipmitool's output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from tastyops.model.inventory import Host
from tastyops.model.out_of_band import Ipmi, PowerWay
from tastyops.transport.power_switch import Said, Switch

CHASSIS = """\
System Power         : on
Power Overload       : false
Power Restore Policy : {}
Last Power Event     :
"""


class Kept:
    def __init__(self) -> None:
        self.said = b""

    def out(self, data: bytes) -> None:
        self.said += data

    def err(self, data: bytes) -> None:
        """Not looked at."""


def ask(way: PowerWay, text: str) -> tuple[bytes, list[tuple[str, ...]]]:
    sent: list[tuple[str, ...]] = []

    def run(argv: Sequence[str], environment: Mapping[str, str], patience: float) -> Said:
        sent.append(tuple(argv))
        return Said(0, text, "")

    kept = Kept()
    Switch(Host("kalimdor"), way, run=run).policy(sink=kept)
    return kept.said, sent


@pytest.mark.parametrize("policy", ["always-on", "previous", "always-off", "unknown"])
def test_ipmi(policy: str) -> None:
    said, sent = ask(PowerWay(Ipmi("192.0.2.1")), CHASSIS.format(policy))
    assert said == f"{policy}\n".encode()
    assert sent[0][-2:] == ("chassis", "status")


def test_commands_may_have_one_and_need_not() -> None:
    assert ask(PowerWay(commands={"policy": ("pdu", "policy")}), "ALWAYS-OFF\n")[0] == b"always-off\n"
    said, sent = ask(PowerWay(commands={"status": ("pdu", "status")}), "on")
    assert said == b"unknown\n"
    assert not sent
