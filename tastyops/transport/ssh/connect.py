"""One authenticated SSH connection: ``fabric.Connection`` with its traps closed.

What Fabric 3.2 does and this does not: accept any host key (hard-coded ``AutoAddPolicy``), wait
for ever on a jump host's channel, visit the hosts of a ProxyJump list in reverse, leave Nagle's
algorithm on, read ``~/.fabric.yml``, leave a half-open connection and its gateway behind.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import fabric
from paramiko import MissingHostKeyPolicy, PKey, SSHClient, SSHConfig, Transport

from tastyops.errors import HostKeyUnknown, UsageError
from tastyops.model.inventory import Host
from tastyops.transport.ssh import known_hosts, ssh_config
from tastyops.transport.ssh.dialling import Proxy, Way
from tastyops.transport.ssh.keys import Identities, KeyAuthentication, usual_files
from tastyops.transport.ssh.refusals import NOTHING_SENT, unreachable
from tastyops.transport.ssh.timing import Timing

# Without a handler of its own the logging module prints paramiko's errors on the terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

IDLE_WAKE = 30.0
"""Seconds between two looks of an idle connection's thread at whether it was closed.

paramiko looks ten times a second, for each connection: half of the processor time of a run on 500
hosts. What has to be noticed at once wakes the thread anyway: data, and a socket that is shut down.
"""

_MOST_JUMPS = 8
_ONLY_SSH = {
    "certificatefile": "CertificateFile",
    "pkcs11provider": "PKCS11Provider",
    "securitykeyprovider": "SecurityKeyProvider",
    "gssapiauthentication": "GSSAPIAuthentication",
}
_USER_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
_SYSTEM_KNOWN_HOSTS = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")


@dataclass(frozen=True, slots=True)
class Pins:
    """The settings of a whole path to a host: its inventory entry and the limits."""

    host: Host
    timing: Timing
    jumps: tuple[str, ...] = ()


class PinnedConnection(fabric.Connection):  # type: ignore[misc]  # Fabric ships no types
    """A connection that only accepts hosts whose key is on record."""

    # Class attributes, since Fabric makes any other attribute a configuration value.
    pins: Pins = None  # type: ignore[assignment]
    proxy: Proxy | None = None
    connect_timeout: Any = None
    transport: Any = None
    keys: KeyAuthentication = None  # type: ignore[assignment]
    way: Way = Way()

    def __init__(
        self,
        target: str,
        config: fabric.Config,
        pins: Pins,
        *,
        user: str | None = None,
        port: int | None = None,
        gateway: Any = None,
    ) -> None:
        self._set(pins=pins)
        super().__init__(
            target, user=user, port=port, config=config, gateway=gateway, forward_agent=False
        )
        if self.connect_timeout is None:
            self.connect_timeout = pins.timing.connect
        self.keys = KeyAuthentication(self.user, self._identities())
        self.way = Way.of(self.ssh_config)
        self.client.set_missing_host_key_policy(_OnlyRecorded(self))

    __setattr__ = object.__setattr__
    """Fabric's own looks for a configuration value of that name. Every attribute is a class
    attribute here, so there is none to find."""

    def resolve_connect_kwargs(self, connect_kwargs: Any) -> dict[str, Any]:
        """A plain dictionary. Fabric's merges the whole configuration at each assignment."""
        return {}

    def derive_shorthand(self, host_string: str) -> dict[str, Any]:
        """Names come apart in ``_hop`` only, so that an IPv6 address stays whole."""
        return {"user": None, "host": host_string, "port": None}

    @property
    def where(self) -> str:
        """The far end as messages name it."""
        port = "" if self.port == known_hosts.SSH_PORT else f" port {self.port}"
        name = (
            self.host
            if self.jumping or self.host == self.pins.host.name
            else (f"{self.pins.host.name} ({self.host})")
        )
        return f"{self.user}@{name}{port}"

    @property
    def way_there(self) -> str:
        """Who logs in where, and by which way."""
        place = f"{self.user}@{self.host} port {self.port}"
        if isinstance(self.gateway, str):
            return f"{place}, by a ProxyCommand"
        hops = [hop.where for hop in self.chain() if hop is not self]
        return place + (f", through {', '.join(hops)}" if hops else "")

    @property
    def jumping(self) -> bool:
        """Whether this is a jump host on the way to the inventory's host."""
        return bool(self.pins.jumps)

    @property
    def key_name(self) -> str:
        """The name its key is recorded under (HostKeyAlias, else the host name)."""
        return str(self.ssh_config.get("hostkeyalias", self.host))

    @property
    def key_port(self) -> int:
        """The port its key is recorded under: an alias has none."""
        return known_hosts.SSH_PORT if "hostkeyalias" in self.ssh_config else int(self.port)

    def known_hosts_files(self) -> tuple[Path, ...]:
        """Where its key may be recorded; ``invoke trust`` writes to the first.

        For the inventory's host: the inventory's file alone if it names one. A jump host may also
        stand in ssh's own files.
        """
        ours = self.pins.host.known_hosts
        first = (Path(ours).expanduser(),) if ours else ()
        if first and not self.jumping:
            return first
        user = self.ssh_config.get("userknownhostsfile", _USER_KNOWN_HOSTS)
        system = self.ssh_config.get("globalknownhostsfile", _SYSTEM_KNOWN_HOSTS)
        names = [*user, *system]
        return first + tuple(Path(name).expanduser() for name in names if name.lower() != "none")

    def recorded_keys(self) -> known_hosts.KnownHosts:
        """What those files say."""
        return known_hosts.read(self.known_hosts_files())

    def _identities(self) -> Identities:
        config = self.ssh_config
        files = [Path(name).expanduser() for name in config.get("identityfile", [])]
        ours = self.pins.host.identity_file
        if ours and self.jumping:
            # A jump host is reached as ssh would reach it; the inventory's key comes last.
            files = [*(files or usual_files()), Path(ours).expanduser()]
        elif ours:
            files.insert(0, Path(ours).expanduser())
        agent = config.get("identityagent", "")
        if agent.lower() == "none":
            agent = None
        elif agent == "SSH_AUTH_SOCK":
            agent = ""
        only = config.get("identitiesonly", "no").lower() == "yes"
        return Identities(tuple(dict.fromkeys(files)), agent, only)

    def _without_effect(self) -> list[str]:
        """The lines of ssh_config about keys that only ``ssh`` itself honours."""
        lines = self.config.base_ssh_config.found(self.original_host).places
        return [
            f"{lines[name].place}: {said} has no effect with `connection: ssh`"
            for name, said in _ONLY_SSH.items() if name in lines
        ]

    def get_gateway(self) -> PinnedConnection | str | bool:
        """The last jump host of ``ProxyJump``, or a ``ProxyCommand``; False for neither."""
        jumps = self.ssh_config.get("proxyjump") or "none"
        if jumps.lower() != "none":
            # Fabric reads the list backwards; ssh_config(5): "visited sequentially". Only the
            # first is reached as its own configuration says, and never through itself.
            gateway: Any = None
            for jump in jumps.split(","):
                user, name, port = _hop(jump.strip())
                itself = name in (self.original_host, self.host) and port in (None, self.port)
                itself = itself and "," not in jumps
                if itself or jump in self.pins.jumps:
                    return False
                seen = (*self.pins.jumps, jump)
                if len(seen) > _MOST_JUMPS:
                    raise UsageError(f"More than {_MOST_JUMPS} jump hosts: {', '.join(seen)}.")
                pins = Pins(self.pins.host, self.pins.timing, seen)
                gateway = PinnedConnection(
                    name, self.config, pins, user=user, port=port, gateway=gateway
                )
            return gateway  # type: ignore[no-any-return]
        return self.ssh_config.get("proxycommand") or False

    def chain(self) -> Iterator[PinnedConnection]:
        """Every host on the way, the nearest first, this one last."""
        if isinstance(self.gateway, PinnedConnection):
            yield from self.gateway.chain()
        yield self

    def open(self) -> None:
        """Connects and authenticates. Raises Unreachable and its kinds; nothing is left open."""
        with self._explained():
            if not self.gateway:
                self.connect_kwargs["sock"] = self._dialled()
            # Fabric adds key_filename to these; paramiko leaves it aside for a strategy.
            self.connect_kwargs.update(
                auth_strategy=self.keys,
                transport_factory=self._transport,
                banner_timeout=self.connect_timeout,
                auth_timeout=self.connect_timeout,
                channel_timeout=self.connect_timeout,
            )
            super().open()
            sock = self.transport.sock
            if isinstance(sock, socket.socket):  # a jump host's channel is woken by no shutdown
                sock.settimeout(IDLE_WAKE)

    def offered_key(self) -> PKey:
        """The key it shows, without authenticating. Raises Unreachable; close afterwards."""
        with self._explained():
            transport = self._transport(self.open_gateway() if self.gateway else self._dialled())
            transport.banner_timeout = self.connect_timeout
            self.transport = transport
            transport.start_client(timeout=self.connect_timeout)
            return transport.get_remote_server_key()

    def open_gateway(self) -> Any:
        """A socket to the host: the ProxyCommand's, or a channel of the jump host's connection."""
        if isinstance(self.gateway, str):
            self.proxy = Proxy(self.gateway)
            return self.proxy.socket
        self.gateway.open()
        return self.gateway.transport.open_channel(
            "direct-tcpip",
            (self.host, int(self.port)),
            ("127.0.0.1", 0),
            timeout=self.connect_timeout,
        )

    def _dialled(self) -> socket.socket:
        return self.way.dial(self.host, int(self.port), float(self.connect_timeout))

    def _transport(self, sock: Any, **kwargs: Any) -> Transport:
        """A transport that asks first for the kinds of key on record, to have what to compare."""
        transport = Transport(sock, **kwargs)
        transport.handshake_timeout = transport.clear_to_send_timeout = self.connect_timeout
        entries = self.recorded_keys().about(self.key_name, self.key_port)
        kinds = {entry.key.kind for entry in entries}
        if "ssh-rsa" in kinds:
            kinds |= {"rsa-sha2-512", "rsa-sha2-256"}
        options = transport.get_security_options()
        # AES-GCM first. It needs no HMAC, which paramiko compares byte by byte in Python: a fifth
        # of its processor time. The sort is stable, so paramiko's order holds within both groups.
        options.ciphers = sorted(options.ciphers, key=lambda name: "-gcm@" not in name)
        options.key_types = sorted(options.key_types, key=lambda kind: kind not in kinds)
        return transport

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            transport = self.client.get_transport() or self.transport
            said = ""
            if self.proxy is not None:
                self.proxy.settle()
                said = self.proxy.said()
            told = (
                unreachable(
                    error,
                    where=self.where,
                    seconds=self.connect_timeout,
                    transport=transport,
                    notes=(*self.keys.notes, *self._without_effect()),
                    proxy_said=said,
                )
                if isinstance(error, Exception)
                else None
            )
            self.close()
            if told is None:
                raise
            if isinstance(self.gateway, PinnedConnection) and told is error:
                raise
            raise told from (None if told is error else error)

    def close(self) -> None:
        """Closes everything this connection opened, its gateway and ProxyCommand too."""
        for transport in {self.client.get_transport(), self.transport} - {None}:
            end(transport)
        self.client.close()
        self.transport = None
        if isinstance(self.gateway, PinnedConnection):
            self.gateway.close()
        if self.proxy is not None:
            self.proxy.close()
            self.proxy = None


def end(transport: Transport) -> None:
    """Closes a transport and waits until its thread is gone; never raises."""
    # paramiko leaves a timer thread behind when a handshake fails; this cancels it.
    transport.packetizer.complete_handshake()
    with contextlib.suppress(OSError, AttributeError):
        transport.sock.shutdown(socket.SHUT_RDWR)
    transport.close()
    if transport.is_alive():
        transport.join(2)
    transport.sock.close()


class _OnlyRecorded(MissingHostKeyPolicy):
    """paramiko's client is given no keys, so that it asks this about every key."""

    def __init__(self, connection: PinnedConnection) -> None:
        self._connection = connection

    def missing_host_key(self, client: SSHClient, hostname: str, key: PKey) -> None:
        check_key(self._connection, known_hosts.HostKey(key.get_name(), key.asbytes()))


def check_key(connection: PinnedConnection, offered: known_hosts.HostKey) -> None:
    """Raises HostKeyUnknown or HostKeyChanged unless the key is on record for that host."""
    known = connection.recorded_keys()
    name, port = connection.key_name, connection.key_port
    verdict = known_hosts.judge(known, name, port, offered)
    if verdict.state == "known":
        return
    if verdict.state != "unknown":
        raise known_hosts.changed(known_hosts.written_name(name, port), offered, verdict)
    others = ", ".join(sorted({entry.key.kind for entry in verdict.recorded}))
    also = f" On record for it are only keys of another type: {others}." if others else ""
    jump = "jump host " if connection.jumping else ""
    remedy = f"run `invoke trust {connection.pins.host.name}`"
    if known_hosts.has_authority(connection.known_hosts_files(), name, port):
        also += " A certificate authority is on record for it, which counts only for `ssh` itself."
        remedy += ", or say `connection: openssh` for this host in the inventory"
    raise HostKeyUnknown(
        f"The key of {jump}{known_hosts.written_name(name, port)} is not on record: it offered "
        f"{offered.kind} {offered.fingerprint}.{also}",
        still_true=NOTHING_SENT,
        next_step=f"Compare the fingerprint with one from a source you trust, then {remedy}.",
    )


def _hop(text: str) -> tuple[str | None, str, int | None]:
    """``[user@]host[:port]`` or ``ssh://…`` as ProxyJump has it; an IPv6 address in brackets."""
    text = text.removeprefix("ssh://").rstrip("/")
    user, _, place = text.rpartition("@")
    name, port = place, ""
    if place.startswith("["):
        name, _, port = place[1:].partition("]")
        port = port.removeprefix(":")
    elif place.count(":") == 1:
        name, _, port = place.partition(":")
    if not name or (port and not port.isdigit()):
        raise UsageError(f"ProxyJump {text!r} in ssh_config is not understood.")
    return user or None, name, int(port) if port else None


def connection(
    host: Host, configuration: ssh_config.Configuration, timing: Timing
) -> PinnedConnection:
    """A connection to the host, not opened yet; ``configuration`` is ssh_config's text.

    Raises UsageError when the inventory or ssh_config cannot be right: a missing key file, for one.
    """
    check_identity(host)
    parsed = ssh_config.for_host(host, configuration)
    try:
        return PinnedConnection(ssh_config.target(host), _settings(parsed), Pins(host, timing))
    except (ValueError, KeyError) as error:
        raise UsageError(f"ssh_config is not understood for {host.name}: {error}.") from error


@cache
def _defaults() -> fabric.Config:
    """Fabric's defaults. No configuration file is read."""
    return fabric.Config(lazy=True, ssh_config=SSHConfig())


def _settings(parsed: SSHConfig) -> fabric.Config:
    """Fabric's configuration of one host: the defaults, shared, and that host's ssh_config."""
    settings = object.__new__(fabric.Config)
    vars(settings).update(vars(_defaults()))
    settings._set(base_ssh_config=parsed)
    return settings


def check_identity(host: Host) -> None:
    """Raises UsageError when the inventory names a key file that cannot be read."""
    if host.identity_file is None:
        return
    path = Path(host.identity_file).expanduser()
    if not path.is_file() or not os.access(path, os.R_OK):
        raise UsageError(
            f"The identity_file {path} of host {host.name} does not exist or cannot be read.",
            still_true="No host was touched.",
            next_step="Correct the path in the inventory.",
        )
