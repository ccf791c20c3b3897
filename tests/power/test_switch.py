"""Power switches worked by commands; a tool is a script here, which records its arguments."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tastyops.errors import PowerUnreachable
from tastyops.model.inventory import Host
from tastyops.model.out_of_band import Ipmi, PowerWay
from tastyops.ports import Ended
from tastyops.transport import power_switch
from tastyops.transport.power_switch import Said, Switch

HOST = Host("kalimdor")


class Kept:
    def __init__(self) -> None:
        self.data = self.errors = b""

    def out(self, data: bytes) -> None:
        self.data += data

    def err(self, data: bytes) -> None:
        self.errors += data


class Tool:
    """Answers as told; knows what it was asked, in what environment."""

    def __init__(self, *answers: Said | OSError) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.environment: Mapping[str, str] = {}

    def __call__(
        self, argv: Sequence[str], environment: Mapping[str, str], patience: float
    ) -> Said:
        self.asked.append(" ".join(argv))
        self.environment = environment
        answer = self.answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer


ON, OFF = Said(0, "Chassis Power is on\n", ""), Said(0, "Chassis Power is off\n", "")
DONE, SLOW = Said(0, "", ""), Said(None, "", "")
PDU = PowerWay(commands={"on": ("pdu", "on"), "off": ("pdu", "off"), "status": ("pdu", "status")})
CYCLING = PowerWay(commands={**PDU.commands, "cycle": ("pdu", "cycle")})


def turned(way: PowerWay, how: str, *answers: Said | OSError) -> tuple[Ended, str, list[str]]:
    tool, kept = Tool(*answers), Kept()
    ended = Switch(HOST, way, run=tool).turn(how, sink=kept)  # type: ignore[arg-type]
    return ended, kept.data.decode(), tool.asked


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (ON, "on"),
        (OFF, "off"),
        (Said(0, "Outlet 3 on PDU 1: OFF\n", ""), "off"),
        (Said(0, "only one of them\n", ""), "unknown"),
    ],
)
def test_status(said: Said, state: str) -> None:
    kept = Kept()
    Switch(HOST, PDU, run=Tool(said)).status(sink=kept)
    assert kept.data.decode() == f"{state}\n"


def test_a_cycle_of_a_machine_that_is_off_switches_it_on() -> None:
    ended, said, asked = turned(CYCLING, "cycle", OFF, DONE)
    assert (ended.status, said, asked) == (0, "on\n", ["pdu status", "pdu on"])


def test_a_switch_that_can_cycle_does() -> None:
    ended, said, asked = turned(CYCLING, "cycle", ON, DONE)
    assert (ended.status, said, asked) == (0, "cycle\n", ["pdu status", "pdu cycle"])


def test_one_that_cannot_is_switched_off_and_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power_switch, "OFF_FOR", 0.0)
    ended, said, asked = turned(PDU, "cycle", ON, DONE, DONE)
    assert (ended.state, said, asked) == ("ended", "cycle\n", ["pdu status", "pdu off", "pdu on"])
    ended, _, _ = turned(PDU, "cycle", ON, DONE, OSError(2, "gone"))
    assert ended.state == "lost", "it was switched off: that is not nothing"


def test_one_that_does_not_answer_was_not_worked() -> None:
    for answer, why in [
        (SLOW, "it did not answer within 30 s"),
        (Said(1, "", "Error: Unable to establish IPMI v2 / RMCP+ session\n"), "Unable to establish"),
        (OSError(2, "No such file or directory"), "No such file"),
    ]:
        with pytest.raises(PowerUnreachable, match=why) as caught:
            turned(CYCLING, "off", answer)
        assert caught.value.still_true == "The power switch was not operated."


def test_one_that_was_asked_and_did_not_answer_is_in_doubt() -> None:
    ended, _, _ = turned(CYCLING, "off", ON, SLOW)
    assert ended.state == "lost"


def test_one_that_refuses() -> None:
    ended, _, _ = turned(CYCLING, "off", ON, Said(1, "", "Set Chassis Power Control failed\n"))
    assert (ended.status, ended.state) == (1, "ended")


def test_ipmi_gets_its_password_where_ps_does_not_see_it() -> None:
    tool = Tool(ON)
    way = PowerWay(Ipmi("bmc", user="ops", cipher=3))
    Switch(HOST, way, "hunter22", run=tool).status(sink=Kept())
    assert tool.environment == {"IPMI_PASSWORD": "hunter22"}
    assert tool.asked == ["ipmitool -I lanplus -C 3 -H bmc -p 623 -U ops -E chassis power status"]


def test_a_tool_that_hangs_is_killed_with_what_it_started(tmp_path: Path) -> None:
    script = tmp_path / "tool.py"
    script.write_text("import subprocess\nsubprocess.run(['sleep', '600'])\n")
    said = power_switch.run((sys.executable, str(script)), {}, 1.0)
    assert said.status is None


def test_a_tool_that_runs() -> None:
    said = power_switch.run(("sh", "-c", 'echo "is on"; echo "$SAID" >&2; exit 3'), {"SAID": "why"}, 30)
    assert said == Said(3, "is on\n", "why\n")
