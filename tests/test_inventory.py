"""The inventory: its values, and all its problems at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tastyops.errors import InvalidFile, UsageError
from tastyops.model.inventory import Host, Inventory
from tastyops.model.out_of_band import ConsoleWay, Ipmi, PowerWay
from tastyops.model.secret_source import SecretSource
from tastyops.runbook.inventory_file import read_inventory

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
    power: {on: "pdu on 7", off: [pdu, "off", "7"], outlet: "rack 3, outlet 7", timeout: 5}
    vars: {rack: 5, name: 'yes', 'list': [a, 1]}
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
                console=ConsoleWay(("ipmitool", "sol", "activate")),
                power=PowerWay(
                    commands={"on": ("pdu", "on", "7"), "off": ("pdu", "off", "7")},
                    outlet="rack 3, outlet 7",
                    timeout=5,
                ),
                vars={"rack": 5, "name": "yes", "list": ["a", 1]},
            ),
            "northrend": Host("northrend"),
        },
        groups={"all": ("northrend", "kalimdor", "azeroth"), "cold": ("northrend",)},
    )


WAYS = """
connection: openssh
ssh_config: all
hosts:
  a:
  b: {connection: ssh}
  c: {ssh_config: ~/own}
  d: {connection: practice}
  e:
  f:
groups:
  g: {hosts: [a, b, c, d], connection: openssh, ssh_config: /of/g}
  h: {hosts: e, connection: ssh}
  i: [f]
"""


def test_how_hosts_are_reached() -> None:
    hosts = read(WAYS).hosts.values()
    assert [(host.name, host.connection, host.ssh_config) for host in hosts] == [
        ("a", "openssh", "/of/g"),
        ("b", "ssh", "/of/g"),
        ("c", "openssh", "~/own"),
        ("d", "practice", None),
        ("e", "ssh", "etc/all"),
        ("f", "openssh", "etc/all"),
    ]
    assert read(WAYS).groups == {"g": ("a", "b", "c", "d"), "h": ("e",), "i": ("f",)}


def test_a_host_may_say_what_two_groups_disagree_on() -> None:
    text = "hosts: {a: {connection: ssh, ssh_config: x}}\ngroups:\n  g: {hosts: a, ssh_config: y}\n"
    (host,) = read(text + "  h: {hosts: a, connection: openssh, ssh_config: z}\n").hosts.values()
    assert (host.connection, host.ssh_config) == ("ssh", "etc/x")


def test_a_host_with_ipmi() -> None:
    text = """hosts:
  a:
    console:
      ipmi: {address: 192.0.2.9, user: ops, password: {file: keys/bmc}, cipher: 3}
      password: {env: A_CONSOLE}
    power: {ipmi: {address: 192.0.2.9, port: 9623, user: ops, password: {env: A_BMC}}}
  b: {console: {socket: "[2001:db8::1]:7001", release: "conserver free b"}}
  c: {console: {socket: run/console}}
"""
    hosts = read(text).hosts
    bmc = Ipmi("192.0.2.9", user="ops", password=SecretSource("file", ("etc/keys/bmc",)), cipher=3)
    login = SecretSource("env", ("A_CONSOLE",))
    assert hosts["a"].console == ConsoleWay(ipmi=bmc, password=login)
    switch = Ipmi("192.0.2.9", 9623, "ops", SecretSource("env", ("A_BMC",)))
    assert hosts["a"].power == PowerWay(switch)
    free = ("conserver", "free", "b")
    assert hosts["b"].console == ConsoleWay(socket=("2001:db8::1", 7001), release=free)
    assert hosts["c"].console == ConsoleWay(socket="etc/run/console")


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
    "console": ("hosts: {a: {console: [1]}}\n", "1:22: 'console' must be a mapping"),
    "no way": (
        "hosts: {a: {console: {user: root}}}\n",
        "1:22: 'console' must have one of 'command', 'socket' and 'ipmi'",
    ),
    "two ways": ("hosts: {a: {console: {command: x, socket: /s}}}\n", "1:22: 'console' must have one"),
    "console key": (
        "hosts: {a: {console: {comand: x}}}\n",
        "1:23: 'comand' is not a key of 'console' (did you mean 'command'?)",
    ),
    "quotes": ("hosts: {a: {console: \"a 'b\"}}\n", "1:22: 'console' is no command: no closing"),
    "ps": (
        "hosts: {a: {console: /usr/bin/ipmitool -H b -Psesame sol activate}}\n",
        "1:22: 'console' has its password on a command line, which ps shows (use -f FILE",
    ),
    "socket": ("hosts: {a: {console: {socket: here}}}\n", "1:31: 'here' cannot be a socket (a path"),
    "password": (
        "hosts: {a: {console: {command: x, password: hunter22}}}\n",
        "1:45: 'password' must be a mapping with one key",
    ),
    "power": ("hosts: {a: {power: x}}\n", "1:20: 'power' must be a mapping"),
    "no power": ("hosts: {a: {power: {outlet: x}}}\n", "1:20: 'power' must have either 'ipmi' or"),
    "only on": ("hosts: {a: {power: {on: x}}}\n", "1:20: 'power' has no command for 'off'"),
    "no program": ("hosts: {a: {power: {on: x, off: ''}}}\n", "1:33: 'off' names no program"),
    "timeout": ("hosts: {a: {power: {on: x, off: y, timeout: 0}}}\n", "1:45: 'timeout' must be a number"),
    "ipmi": ("hosts: {a: {power: {ipmi: {user: a}}}}\n", "1:21: 'ipmi' has no address"),
    "ipmi option": (
        "hosts: {a: {power: {ipmi: {address: -x}}}}\n",
        "1:37: '-x' cannot be 'address'",
    ),
    "cipher": (
        "hosts: {a: {power: {ipmi: {address: b, cipher: best}}}}\n",
        "1:48: 'cipher' must be a number from 0 to 255, not 'best'",
    ),
    "practice console": (
        "hosts: {a: {connection: practice, console: x}}\n",
        "1:35: a practice host has no 'console' (leave it out)",
    ),
    "connection of a host": (
        "hosts: {a: {connection: opensh}}\n",
        "1:25: the connection 'opensh' is not known (did you mean 'openssh'?)",
    ),
    "connection of all": (
        "hosts: {a: }\nconnection: practice\n",
        "2:13: the connection 'practice' is not known",
    ),
    "connection of a group": (
        "hosts: {a: }\ngroups:\n  g: {hosts: [a], connection: fabric}\n",
        "3:31: the connection 'fabric' is not known",
    ),
    "ssh_config empty": ("hosts: {a: {ssh_config: ''}}\n", "1:25: 'ssh_config' is empty"),
    "ssh_config of a practice host": (
        "hosts: {a: {connection: practice, ssh_config: x}}\n",
        "1:35: a practice host has no 'ssh_config' (leave it out)",
    ),
    "two groups": (
        "hosts: {a: }\ngroups:\n  g: {hosts: a, connection: openssh}\n"
        "  h: {hosts: [g], connection: ssh}\n",
        "4:3: two groups reach the host 'a' in different ways (say it at the host itself)",
    ),
    "group without hosts": (
        "hosts: {a: }\ngroups: {g: {connection: openssh}}\n",
        "2:13: the group 'g' has no hosts (add 'hosts:')",
    ),
    "group key": (
        "hosts: {a: }\ngroups: {g: {hosts: a, conection: openssh}}\n",
        "2:24: 'conection' is not a key of the group 'g' (did you mean 'connection'?)",
    ),
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
        "power",
        "ipmi",
        "socket",
        "on",
    ]
)


@given(st.binary(max_size=200) | st.lists(WORDS, max_size=30).map(lambda w: "".join(w).encode()))
def test_any_bytes_give_an_inventory_or_problems(data: bytes) -> None:
    try:
        read_inventory(data, "f")
    except InvalidFile as error:
        seen(error)
