"""The inventory: what it gives, and everything it refuses at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastyops.errors import InvalidFile, UsageError
from tastyops.inventory import Host, Inventory, read_inventory

WHOLE = b"""\
timezone: Europe/London
operators: [bob, alice, bob]
logs: public
runs: ~/runs
hosts:
  kalimdor: {connection: practice, sudo: true}
  azeroth:
    address: 192.0.2.7
    port: 2222
    user: root
    identity_file: keys/id
    known_hosts: /etc/ssh/known
    sudo: ask
    console: ipmitool sol activate
    power: {on: "pdu on 7", off: "pdu off 7", delay: 5}
    vars: {rack: 5, name: yes, 'list': [a, 1]}
  northrend:
groups:
  all: [cold, kalimdor, azeroth]
  cold: northrend
"""


def read(text: str) -> Inventory:
    return read_inventory(text.encode(), "etc/inv.yml")


def seen(error: InvalidFile) -> None:
    assert error.problems
    assert all(problem.place.line >= 1 for problem in error.problems)


def problems(text: str) -> list[str]:
    with pytest.raises(InvalidFile) as caught:
        read(text)
    return [str(problem) for problem in caught.value.problems]


def test_a_whole_inventory() -> None:
    inventory = read_inventory(WHOLE, "etc/inv.yml")
    assert inventory == Inventory(
        path="etc/inv.yml",
        timezone="Europe/London",
        operators=("bob", "alice"),
        logs="etc/public",
        runs="~/runs",
        hosts={
            "kalimdor": Host("kalimdor", connection="practice", sudo=True),
            "azeroth": Host(
                "azeroth",
                "192.0.2.7",
                2222,
                "root",
                "etc/keys/id",
                "/etc/ssh/known",
                "ask",
                console={"command": "ipmitool sol activate"},
                power={"on": "pdu on 7", "off": "pdu off 7", "delay": 5},
                vars={"rack": 5, "name": "yes", "list": ["a", 1]},
            ),
            "northrend": Host("northrend"),
        },
        groups={"all": ("northrend", "kalimdor", "azeroth"), "cold": ("northrend",)},
    )


def test_defaults() -> None:
    inventory = read_inventory(b"hosts: {a: }\n", "inventory.yml")
    assert (inventory.timezone, inventory.logs, inventory.runs) == ("UTC", "logs", "runs")
    assert inventory.operators == ()
    assert inventory.groups == {}


def test_choosing_hosts() -> None:
    inventory = read_inventory(WHOLE, "i")
    chosen = inventory.select(["azeroth", "all", "cold"])
    assert [host.name for host in chosen] == ["azeroth", "northrend", "kalimdor"]
    with pytest.raises(UsageError) as caught:
        inventory.select(["kalimdr"])
    assert caught.value.what == "'kalimdr' is not a host or group in i."
    assert caught.value.next_step == "did you mean 'kalimdor'?"
    with pytest.raises(UsageError, match="No host was chosen"):
        inventory.select([])


REFUSED = {
    "empty": ("", "1:1: the file is empty"),
    "list": ("- a\n", "1:1: an inventory must be a mapping (key: value), not a list"),
    "text": ("hosts\n", "1:1: an inventory must be a mapping (key: value), not 'hosts'"),
    "no hosts": ("logs: a\n", "1:1: the inventory has no hosts"),
    "empty hosts": ("hosts: {}\n", "1:8: 'hosts' must be a mapping of at least one host"),
    "host list": (
        "hosts: [a]\n",
        "1:8: 'hosts' must be a mapping of at least one host, not a list",
    ),
    "key": ("host: {a: }\n", "1:1: 'host' is not a key of an inventory (did you mean 'hosts'?)"),
    "host key": (
        "hosts: {a: {prot: 1}}\n",
        "1:13: 'prot' is not a key of the host 'a' (did you mean",
    ),
    "port": ("hosts: {a: {port: 65536}}\n", "1:19: 'port' must be a number from 1 to 65535"),
    "port text": ("hosts: {a: {port: '22'}}\n", "1:19: 'port' must be a number from 1 to 65535"),
    "port bool": ("hosts: {a: {port: true}}\n", "1:19: 'port' must be a number from 1 to 65535"),
    "sudo": ("hosts: {a: {sudo: aks}}\n", "1:19: 'sudo' must be true, false or ask, not 'aks'"),
    "connection": (
        "hosts: {a: {connection: practise}}\n",
        "1:25: the connection 'practise' is not known (did you mean 'practice'?)",
    ),
    "practice port": (
        "hosts: {a: {connection: practice, port: 22}}\n",
        "1:35: a practice host has no 'port'",
    ),
    "option": (
        "hosts: {a: {address: -oProxyCommand=x}}\n",
        "1:22: '-oProxyCommand=x' cannot be the",
    ),
    "name": ("hosts: {../a: }\n", "1:9: '../a' cannot be a host's name"),
    "none": ("hosts: {none: }\n", "1:9: a host cannot be called 'none'"),
    "vars": ("hosts: {a: {vars: {a-b: 1}}}\n", "1:20: the variable 'a-b' cannot be a name in a"),
    "vars word": (
        "hosts: {a: {vars: {not: 1}}}\n",
        "1:20: the variable 'not' means something else",
    ),
    "vars taken": ("hosts: {a: {vars: {host: 1}}}\n", "1:20: the name 'host' is taken"),
    "vars list": ("hosts: {a: {vars: [1]}}\n", "1:19: 'vars' must be a mapping"),
    "console": ("hosts: {a: {console: [1]}}\n", "1:22: 'console' must be a command or a mapping"),
    "zone": (
        "timezone: Europe/Londn\nhosts: {a: }\n",
        "1:11: there is no time zone 'Europe/Londn' (did you mean 'Europe/London'?)",
    ),
    "zone path": ("timezone: ../../etc/passwd\nhosts: {a: }\n", "1:11: there is no time zone"),
    "zone folder": ("timezone: Europe\nhosts: {a: }\n", "1:11: there is no time zone"),
    "group member": (
        "hosts: {abc: }\ngroups: {g: [abd]}\n",
        "2:14: the host or group 'abd' is not known (did you mean 'abc'?)",
    ),
    "group name": ("hosts: {a: }\ngroups: {a: [a]}\n", "2:10: 'a' is a host already"),
    "group ring": (
        "hosts: {a: }\ngroups: {g: [h], h: [i], i: [a, g]}\n",
        "2:14: the group 'h' holds",
    ),
    "group empty": ("hosts: {a: }\ngroups: {g: []}\n", "2:13: the group 'g' is empty"),
    "tab": ("hosts:\n\ta: 1\n", "2:1: a tab is used for indentation"),
    "twice": ("hosts: {a: , a: }\n", "1:14: the key 'a' is here twice"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
def test_refused_with_its_place(text: str, said: str) -> None:
    found = problems(text)
    assert any(line.startswith(f"etc/inv.yml:{said}") for line in found), found


def test_every_problem_at_once() -> None:
    found = problems("zone: x\nhosts:\n  a: {port: 0}\n  a: {}\n  b: {sodu: true}\ngroups: [x]\n")
    assert [line.split(": ")[0] for line in found] == [
        f"etc/inv.yml:{place}" for place in ("1:1", "3:13", "4:3", "5:7", "6:9")
    ]


WORDS = st.sampled_from(
    [
        "hosts",
        "groups",
        "a",
        "b",
        "port",
        "vars",
        "[",
        "]",
        "{",
        "}",
        ": ",
        ", ",
        "\n",
        "  ",
        "- ",
        "1",
        "practice",
        "connection",
        "timezone",
        "UTC",
        "&x ",
        "*x",
        "'",
        "sudo",
        "ask",
        "~",
        "console",
    ]
)


@given(st.binary(max_size=200) | st.lists(WORDS, max_size=30).map(lambda w: "".join(w).encode()))
def test_any_bytes_give_an_inventory_or_problems(data: bytes) -> None:
    try:
        read_inventory(data, "f")
    except InvalidFile as error:
        seen(error)
