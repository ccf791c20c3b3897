"""Reads ``console:`` and ``power:`` of a host."""

from __future__ import annotations

import re
import shlex

from tastyops.errors import shown
from tastyops.model.out_of_band import IPMI_PORT, POWER_PATIENCE, ConsoleWay, Ipmi, PowerWay
from tastyops.model.secret_source import SecretSource
from tastyops.runbook.findings import Findings
from tastyops.runbook.secret_sources import read_secret_source
from tastyops.runbook.yaml_tree import MappingNode, Node, ScalarNode, SequenceNode, plain_value

CONSOLE_KEYS = ("command", "socket", "ipmi", "release", "user", "password")
POWER_COMMANDS = ("on", "off", "cycle", "status", "policy")
POWER_KEYS = ("ipmi", *POWER_COMMANDS, "outlet", "timeout")
IPMI_KEYS = ("address", "port", "user", "password", "cipher")

_ADDRESS = re.compile(r"[A-Za-z0-9:._%-]{1,255}", re.ASCII)
_TCP = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+):(\d{1,5})", re.ASCII)
_MOST_CIPHER = 255

_Fields = dict[str, tuple[ScalarNode, Node]]


def read_console(findings: Findings, node: Node) -> ConsoleWay | None:
    """The console a host has; a text is its command. None with problems noted."""
    if isinstance(node, ScalarNode):
        command = read_command(findings, node, "'console'")
        return ConsoleWay(command) if command else None
    fields = findings.fields(node, "'console'", CONSOLE_KEYS)
    if fields is None:
        return None
    ways = [name for name in ("command", "socket", "ipmi") if name in fields]
    if len(ways) != 1:
        findings.add(node.place, "'console' must have one of 'command', 'socket' and 'ipmi'")
        return None
    return ConsoleWay(
        command=_argv(findings, fields, "command"),
        socket=_socket(findings, fields),
        ipmi=_ipmi(findings, fields),
        release=_argv(findings, fields, "release"),
        user=_word(findings, fields, "user") or "root",
        password=_password(findings, fields),
    )


def read_power(findings: Findings, node: Node) -> PowerWay | None:
    """The power switch a host has. None with problems noted."""
    fields = findings.fields(node, "'power'", POWER_KEYS)
    if fields is None:
        return None
    written = [name for name in POWER_COMMANDS if name in fields]
    if ("ipmi" in fields) == bool(written):
        hint = "'on', 'off', 'status' and perhaps 'cycle'"
        findings.add(node.place, "'power' must have either 'ipmi' or commands", hint)
        return None
    missing = [name for name in ("on", "off") if written and name not in written]
    if missing:
        findings.add(node.place, f"'power' has no command for {shown(missing[0])}")
        return None
    commands = {name: _argv(findings, fields, name) for name in written}
    return PowerWay(
        ipmi=_ipmi(findings, fields),
        commands=commands,
        outlet=_word(findings, fields, "outlet", spaces=True),
        timeout=_number(findings, fields, "timeout", 1, 3600) or POWER_PATIENCE,
    )


def read_command(findings: Findings, node: Node, what: str) -> tuple[str, ...]:
    """A command: a list of words, or a line split as a shell would; no shell runs it."""
    if isinstance(node, SequenceNode) and node.items:
        words = [findings.text(item, f"a word of {what}") for item in node.items]
        found = tuple(word for word in words if word is not None)
    elif isinstance(node, ScalarNode) and isinstance(plain_value(node), str):
        try:
            found = tuple(shlex.split(node.text))
        except ValueError as error:
            findings.add(node.place, f"{what} is no command: {str(error).lower()}")
            return ()
    else:
        findings.expected(node, what, "a command (a line, or a list of words)")
        return ()
    if not found or not found[0].strip() or any("\0" in word for word in found):
        findings.add(node.place, f"{what} names no program")
        return ()
    if found[0].rpartition("/")[2] == "ipmitool" and any(w.startswith("-P") for w in found[1:]):
        hint = "use -f FILE, or `ipmi:` with a `password:` source"
        findings.add(node.place, f"{what} has its password on a command line, which ps shows", hint)
        return ()
    return found


def _argv(findings: Findings, fields: _Fields, name: str) -> tuple[str, ...]:
    return read_command(findings, fields[name][1], shown(name)) if name in fields else ()


def _word(findings: Findings, fields: _Fields, name: str, *, spaces: bool = False) -> str:
    if name not in fields:
        return ""
    node = fields[name][1]
    text = findings.text(node, shown(name))
    if text is None:
        return ""
    fits = text.strip() and text.isprintable() and not text.startswith("-")
    if not fits or (" " in text and not spaces) or len(text) > 64:
        findings.add(node.place, f"{shown(text)} cannot be {shown(name)}")
        return ""
    return text


def _password(findings: Findings, fields: _Fields) -> SecretSource | None:
    if "password" not in fields:
        return None
    return read_secret_source(findings, fields["password"][1], "'password'")


def _socket(findings: Findings, fields: _Fields) -> str | tuple[str, int] | None:
    if "socket" not in fields:
        return None
    node = fields["socket"][1]
    text = findings.text(node, "'socket'")
    if text is None:
        return None
    tcp = _TCP.fullmatch(text)
    if tcp and 1 <= int(tcp[2]) <= 65535:
        return tcp[1].strip("[]"), int(tcp[2])
    if "/" not in text or "\n" in text or "\0" in text:
        hint = "a path, or ADDRESS:PORT"
        findings.add(node.place, f"{shown(text)} cannot be a socket", hint)
        return None
    return text


def _ipmi(findings: Findings, fields: _Fields) -> Ipmi | None:
    if "ipmi" not in fields:
        return None
    key, node = fields["ipmi"]
    known = findings.fields(node, "'ipmi'", IPMI_KEYS)
    if known is None or not isinstance(node, MappingNode):
        return None
    address = _word(findings, known, "address")
    if "address" not in known:
        findings.add(key.place, "'ipmi' has no address")
    elif address and not _ADDRESS.fullmatch(address):
        findings.add(known["address"][1].place, f"{shown(address)} cannot be an address")
    return Ipmi(
        address=address,
        port=_number(findings, known, "port", 1, 65535) or IPMI_PORT,
        user=_word(findings, known, "user"),
        password=_password(findings, known),
        cipher=_number(findings, known, "cipher", 0, _MOST_CIPHER),
    )


def _number(findings: Findings, fields: _Fields, name: str, least: int, most: int) -> int | None:
    if name not in fields:
        return None
    node = fields[name][1]
    value = plain_value(node) if isinstance(node, ScalarNode) else None
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    findings.expected(node, shown(name), f"a number from {least} to {most}")
    return None
