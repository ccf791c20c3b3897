"""The inventory file, checked as strictly as a runbook. Reads bytes, no files."""

from __future__ import annotations

import posixpath
import re
import zoneinfo
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tastyops.errors import InvalidFile, Place, did_you_mean, shown
from tastyops.model.inventory import Connection, Host, Inventory
from tastyops.model.out_of_band import ConsoleWay, Ipmi, PowerWay
from tastyops.model.publishing import Service
from tastyops.model.secret_source import SecretSource
from tastyops.runbook.findings import Findings, TooManyError, is_null
from tastyops.runbook.out_of_band import read_console, read_power
from tastyops.runbook.publishing import read_publishing, read_services
from tastyops.runbook.secret_sources import read_secret_source
from tastyops.runbook.yaml_reader import scan
from tastyops.runbook.yaml_tree import (
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    exact_value,
    plain_value,
)

KEYS = (
    "timezone", "practice", "operators", "logs", "runs", "hosts", "groups", "announce", "publish",
    "services", "connection", "ssh_config",
)  # fmt: skip
HOST_KEYS = (
    "address", "port", "user", "identity_file", "known_hosts", "sudo", "connection", "console",
    "power", "vars", "ssh_config",
)  # fmt: skip
GROUP_KEYS = ("hosts", "connection", "ssh_config")
CONNECTIONS: tuple[Connection, ...] = ("ssh", "openssh", "practice")
_SSH_ONLY = ("address", "port", "user", "identity_file", "console", "power", "ssh_config")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}", re.ASCII)
_RESERVED = ("none", "hosts", "host")

_Fields = dict[str, tuple[ScalarNode, Node]]


def read_inventory(data: bytes, path: str) -> Inventory:
    """The inventory in a file. Raises InvalidFile with every problem found."""
    tree, problems = scan(data, path)
    reader = _Reader(Findings(problems), path)
    inventory = None
    if tree is not None:
        try:
            inventory = reader.inventory(tree)
        except TooManyError:
            inventory = None
    if reader.findings.problems or inventory is None:
        raise InvalidFile(reader.findings.problems)
    return inventory


_BOTH = frozenset(("connection", "ssh_config"))


@dataclass(frozen=True)
class _Way:
    """``connection`` and ``ssh_config`` of a group or of the inventory; None where it is silent."""

    connection: Connection | None = None
    ssh_config: str | None = None
    who: str = field(default="", compare=False)
    """Who chose the connection, for ``hosts -v``."""

    def agrees(self, other: _Way) -> bool:
        """Whether no key has two values."""
        pairs = (self.connection, other.connection), (self.ssh_config, other.ssh_config)
        return all(one is None or two is None or one == two for one, two in pairs)

    def filled(self, other: _Way) -> _Way:
        """With the other's value where this has none."""
        chosen = self if self.connection else other
        return _Way(chosen.connection, self.ssh_config or other.ssh_config, chosen.who)

    def given(self, host: Host, own: frozenset[str]) -> Host:
        """The host with these values but where it has its ``own``."""
        connection = host.connection if "connection" in own else self.connection
        file = host.ssh_config if "ssh_config" in own else self.ssh_config
        who = "the host itself" if "connection" in own else self.who if self.connection else ""
        return replace(
            host, connection=connection or "ssh", ssh_config=file, connection_of=who
        )


@dataclass
class _Reader:
    findings: Findings
    path: str
    _own_ways: dict[str, frozenset[str]] = field(default_factory=dict)
    _group_ways: dict[str, _Way] = field(default_factory=dict)
    _group_places: dict[str, Place] = field(default_factory=dict)

    def inventory(self, tree: Node) -> Inventory | None:
        fields = self.findings.fields(tree, "an inventory", KEYS)
        if fields is None:
            return None
        hosts = self._hosts(fields, tree)
        groups = self._groups(fields, hosts)
        hosts = self._over_their_ways(hosts, groups, self._way(fields, "the inventory"))
        if self._practice(fields):
            hosts = {name: replace(host, practice=True) for name, host in hosts.items()}
        publish = fields.get("publish")
        return Inventory(
            path=self.path,
            timezone=self._timezone(fields),
            operators=self._operators(fields),
            logs=self._beside(self._text(fields, "logs") or "logs"),
            runs=self._beside(self._text(fields, "runs") or "runs"),
            hosts=hosts,
            groups=groups,
            announce=self._announce(fields),
            publish=read_publishing(self.findings, publish[1], self._beside) if publish else None,
            services=self._services(fields, hosts, groups),
        )

    def _services(
        self, fields: _Fields, hosts: Mapping[str, Host], groups: Mapping[str, tuple[str, ...]]
    ) -> tuple[Service, ...]:
        """The services, each with its hosts: groups are opened up."""
        if "services" not in fields:
            return ()
        known = {**dict.fromkeys(hosts), **dict.fromkeys(self._group_names(fields))}
        found = read_services(self.findings, fields["services"][1], known)

        def opened(service: Service) -> tuple[str, ...]:
            members = (host for name in service.hosts for host in groups.get(name, (name,)))
            return tuple(dict.fromkeys(members))

        return tuple(replace(service, hosts=opened(service)) for service in found)

    def _group_names(self, fields: _Fields) -> Iterator[str]:
        node = fields["groups"][1] if "groups" in fields else None
        yield from (key.text for key, _ in node.entries) if isinstance(node, MappingNode) else ()

    def _announce(self, fields: _Fields) -> tuple[str, ...]:
        if "announce" not in fields or is_null(fields["announce"][1]):
            return ()
        hint = "write {command: [program, argument, …]}"
        known = self.findings.fields(fields["announce"][1], "'announce'", ("command",)) or {}
        node = known["command"][1] if "command" in known else fields["announce"][1]
        if not isinstance(node, SequenceNode) or not node.items:
            self.findings.expected(node, "'announce'", "a command as a list", hint)
            return ()
        words = [self.findings.text(item, "a word of 'announce'") for item in node.items]
        return tuple(word for word in words if word is not None)

    def _text(self, fields: _Fields, name: str) -> str | None:
        """A text that may be left out but not left empty."""
        if name not in fields:
            return None
        node = fields[name][1]
        text = self.findings.text(node, shown(name))
        if text is not None and not text.strip():
            self.findings.add(node.place, f"{shown(name)} is empty")
            return None
        if text is not None and ("\n" in text or text.startswith("-")):
            # ssh would take it for an option
            self.findings.add(node.place, f"{shown(text)} cannot be the {name}")
        return text

    def _beside(self, file: str) -> str:
        """A path of the inventory's, from where the inventory is."""
        return file if file.startswith("~") else posixpath.join(posixpath.dirname(self.path), file)

    def _timezone(self, fields: _Fields) -> str:
        name = self._text(fields, "timezone") or "UTC"
        try:
            zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            place = fields["timezone"][1].place
            hint = did_you_mean(name, zoneinfo.available_timezones()) or "for example Europe/London"
            self.findings.add(place, f"there is no time zone {shown(name)}", hint)
        return name

    def _practice(self, fields: _Fields) -> bool:
        if "practice" not in fields:
            return False
        node = fields["practice"][1]
        value = plain_value(node) if isinstance(node, ScalarNode) else None
        if not isinstance(value, bool):
            self.findings.expected(node, "'practice'", "true or false")
        return value is True

    def _operators(self, fields: _Fields) -> tuple[str, ...]:
        if "operators" not in fields or is_null(fields["operators"][1]):
            return ()
        items = self.findings.items(fields["operators"][1], "'operators'")
        names = [self.findings.text(item, "an operator's name") for item in items]
        return tuple(dict.fromkeys(name for name in names if name))

    def _hosts(self, fields: _Fields, tree: Node) -> dict[str, Host]:
        if "hosts" not in fields:
            self.findings.add(tree.place, "the inventory has no hosts", "add 'hosts:'")
            return {}
        node = fields["hosts"][1]
        if not isinstance(node, MappingNode) or not node.entries:
            self.findings.expected(node, "'hosts'", "a mapping of at least one host")
            return {}
        return {key.text: self._host(key, value) for key, value in node.entries}

    def _name(self, key: ScalarNode, what: str) -> None:
        if key.text in _RESERVED:
            self.findings.add(key.place, f"{what} cannot be called {shown(key.text)}")
        elif not _NAME.fullmatch(key.text):
            hint = "letters, digits, '.', '-' and '_', beginning with a letter or digit"
            self.findings.add(key.place, f"{shown(key.text)} cannot be {what}'s name", hint)

    def _host(self, key: ScalarNode, node: Node) -> Host:
        self._name(key, "a host")
        if is_null(node):
            return Host(key.text)
        what = f"the host {shown(key.text)}"
        fields = self.findings.fields(node, what, HOST_KEYS) or {}
        self._own_ways[key.text] = _BOTH & fields.keys()
        return Host(
            name=key.text,
            address=self._text(fields, "address"),
            port=self._port(fields),
            user=self._text(fields, "user"),
            identity_file=self._file(fields, "identity_file"),
            known_hosts=self._file(fields, "known_hosts"),
            sudo=self._sudo(fields),
            sudo_password=self._sudo_password(fields),
            connection=self._connection(fields),
            ssh_config=self._file(fields, "ssh_config"),
            console=self._console(fields),
            power=self._power(fields),
            vars=self._vars(fields),
        )

    def _file(self, fields: _Fields, name: str) -> str | None:
        text = self._text(fields, name)
        return self._beside(text) if text else None

    def _port(self, fields: _Fields) -> int | None:
        if "port" not in fields:
            return None
        node = fields["port"][1]
        value = plain_value(node) if isinstance(node, ScalarNode) else None
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535:
            return value
        self.findings.expected(node, "'port'", "a number from 1 to 65535")
        return None

    def _sudo(self, fields: _Fields) -> bool | Literal["ask"]:
        if "sudo" not in fields:
            return False
        node = fields["sudo"][1]
        if isinstance(node, ScalarNode) and node.text == "ask":
            return "ask"
        if isinstance(node, MappingNode):
            return "ask"
        value = plain_value(node) if isinstance(node, ScalarNode) else None
        if isinstance(value, bool):
            return value
        hint = "or {password: {env: NAME}}, with {file: PATH} or {command: […]} as well"
        self.findings.expected(node, "'sudo'", "true, false or ask", hint)
        return False

    def _sudo_password(self, fields: _Fields) -> SecretSource | None:
        """Where the password comes from, for a ``sudo`` that says so; a file is beside this one."""
        node = fields["sudo"][1] if "sudo" in fields else None
        if not isinstance(node, MappingNode):
            return None
        known = self.findings.fields(node, "'sudo'", ("password",)) or {}
        if "password" not in known:
            hint = "write {password: {env: NAME}}, or `sudo: ask`"
            self.findings.add(node.place, "'sudo' does not say its password's source", hint)
            return None
        source = read_secret_source(self.findings, known["password"][1], "'password'")
        return self._source_beside(source)

    def _connection(self, fields: _Fields) -> Connection:
        """What a host says itself; ``ssh`` also where it says nothing."""
        if "connection" not in fields:
            return "ssh"
        found = self._one_of(fields, CONNECTIONS)
        if found == "practice":
            for name in _SSH_ONLY:
                if name in fields:
                    message = f"a practice host has no {shown(name)}"
                    self.findings.add(fields[name][0].place, message, "leave it out")
        return found or "ssh"

    def _one_of(self, fields: _Fields, known: Collection[Connection]) -> Connection | None:
        node = fields["connection"][1]
        text = self.findings.text(node, "'connection'")
        for each in known:
            if text == each:
                return each
        if text is not None:
            self.findings.unknown(node.place, "the connection", text, known)
        return None

    def _way(self, fields: _Fields, who: str) -> _Way:
        """How the hosts of a group, or all of them, are reached; ``who`` says so."""
        found = self._one_of(fields, ("ssh", "openssh")) if "connection" in fields else None
        return _Way(found, self._file(fields, "ssh_config"), who)

    def _over_their_ways(
        self, hosts: Mapping[str, Host], groups: Mapping[str, tuple[str, ...]], usual: _Way
    ) -> dict[str, Host]:
        """Each host with the way that it says itself, else its groups, else the inventory."""
        from_groups: dict[str, _Way] = {}
        for group, way in self._group_ways.items():
            for name in groups.get(group, ()):
                before = from_groups.get(name, way)
                if not before.agrees(way) and self._says(name) != _BOTH:
                    place = self._group_places[group]
                    message = f"two groups reach the host {shown(name)} in different ways"
                    self.findings.add(place, message, "say it at the host itself")
                from_groups[name] = before.filled(way)
        return {
            name: host if host.connection == "practice" else from_groups.get(name, _Way())
            .filled(usual).given(host, self._says(name))
            for name, host in hosts.items()
        }

    def _says(self, name: str) -> frozenset[str]:
        """Which of both keys the host has itself."""
        return self._own_ways.get(name, frozenset())

    def _console(self, fields: _Fields) -> ConsoleWay | None:
        """The console, its files beside this one."""
        if "console" not in fields or is_null(fields["console"][1]):
            return None
        way = read_console(self.findings, fields["console"][1])
        if way is None:
            return None
        place = self._beside(way.socket) if isinstance(way.socket, str) else way.socket
        password = self._source_beside(way.password)
        return replace(way, socket=place, ipmi=self._ipmi(way.ipmi), password=password)

    def _power(self, fields: _Fields) -> PowerWay | None:
        """The power switch, its files beside this one."""
        if "power" not in fields or is_null(fields["power"][1]):
            return None
        way = read_power(self.findings, fields["power"][1])
        return replace(way, ipmi=self._ipmi(way.ipmi)) if way else None

    def _ipmi(self, found: Ipmi | None) -> Ipmi | None:
        return replace(found, password=self._source_beside(found.password)) if found else None

    def _source_beside(self, source: SecretSource | None) -> SecretSource | None:
        if source is not None and source.kind == "file":
            return replace(source, words=(self._beside(source.words[0]),))
        return source

    def _vars(self, fields: _Fields) -> dict[str, Any]:
        if "vars" not in fields or is_null(fields["vars"][1]):
            return {}
        node = fields["vars"][1]
        if not isinstance(node, MappingNode):
            self.findings.expected(node, "'vars'", "a mapping (name: value)")
            return {}
        for key, _ in node.entries:
            if self.findings.identifier(key, "the variable") and key.text in _RESERVED:
                self.findings.add(key.place, f"the name {shown(key.text)} is taken")
        for key, value in node.entries:
            self.findings.untyped(value, f"the variable {shown(key.text)}")
        return {key.text: _plain(value) for key, value in node.entries}

    def _groups(self, fields: _Fields, hosts: Mapping[str, Host]) -> dict[str, tuple[str, ...]]:
        """Each group's hosts, groups inside it opened up."""
        if "groups" not in fields or is_null(fields["groups"][1]):
            return {}
        node = fields["groups"][1]
        if not isinstance(node, MappingNode):
            self.findings.expected(node, "'groups'", "a mapping (name: list of hosts)")
            return {}
        names = {key.text for key, _ in node.entries}
        members: dict[str, list[ScalarNode]] = {}
        for key, value in node.entries:
            self._name(key, "a group")
            if key.text in hosts:
                self.findings.add(key.place, f"{shown(key.text)} is a host already")
            members[key.text] = self._members(key, value, {*hosts, *names})
        if self.findings.problems:
            return {}
        sound = [name for name in members if self._sound(name, members)]
        return {name: tuple(_opened(name, members)) for name in sound}

    def _members(self, key: ScalarNode, node: Node, known: Collection[str]) -> list[ScalarNode]:
        what = f"the group {shown(key.text)}"
        if isinstance(node, MappingNode):
            fields = self.findings.fields(node, what, GROUP_KEYS) or {}
            self._group_ways[key.text] = self._way(fields, what)
            self._group_places[key.text] = key.place
            if "hosts" not in fields:
                self.findings.add(node.place, f"{what} has no hosts", "add 'hosts:'")
                return []
            node = fields["hosts"][1]
        items = self.findings.items(node, what)
        found = []
        for item in items:
            text = self.findings.text(item, "a member of a group")
            if text is not None and text not in known:
                self.findings.unknown(item.place, "the host or group", text, known)
            elif isinstance(item, ScalarNode) and text is not None:
                found.append(item)
        if not items and isinstance(node, SequenceNode):
            self.findings.add(node.place, f"{what} is empty")
        return found

    def _sound(self, name: str, members: Mapping[str, list[ScalarNode]]) -> bool:
        """Whether a group does not hold itself; a problem where it does."""
        waiting = list(members[name])
        seen = set()
        while waiting:
            member = waiting.pop()
            if member.text == name:
                self.findings.add(member.place, f"the group {shown(name)} holds itself")
                return False
            if member.text not in seen:
                seen.add(member.text)
                waiting.extend(members.get(member.text, ()))
        return True


def _opened(name: str, members: Mapping[str, list[ScalarNode]]) -> Iterator[str]:
    """The hosts of a group in the order written; each group is opened once, so a ring ends."""
    waiting, seen = [name], set()
    while waiting:
        each = waiting.pop(0)
        if each in seen:
            continue
        seen.add(each)
        if each in members:
            waiting[:0] = [member.text for member in members[each]]
        else:
            yield each


def _plain(node: Node) -> Any:
    """A value as plain JSON."""
    match node:
        case MappingNode():
            return {key.text: _plain(value) for key, value in node.entries}
        case SequenceNode():
            return [_plain(item) for item in node.items]
    return exact_value(node)
