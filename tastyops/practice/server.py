"""The SSH server in front of the model: paramiko's server mode on a port of 127.0.0.1.

Each server has keys and a directory of its own; directories whose owner has died are removed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
import stat
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paramiko import common

from tastyops.model.inventory import Host
from tastyops.model.out_of_band import ConsoleWay
from tastyops.practice.clock import PracticeClock
from tastyops.practice.console import SerialConsole
from tastyops.practice.machine import Machine
from tastyops.practice.power_state import PowerSwitch
from tastyops.practice.processes import Killed
from tastyops.practice.protocol_server import ProtocolMismatch, ProtocolServer
from tastyops.protocol import framing
from tastyops.protocol.process_stat import start_time


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """The keys of host and client, and the paths of the files the client needs.

    ``other_host_key`` is a host key the client does not know.
    """

    host_key: paramiko.PKey
    other_host_key: paramiko.PKey
    client_key: paramiko.PKey
    identity_file: str
    known_hosts: str


def make_keys(directory: Path, address: str, port: int) -> KeyFiles:
    """Makes both keys and writes ``identity`` and ``known_hosts`` (0600) into the directory."""
    host_text, client_text = _private_key(), _private_key()
    host_key, client_key = _load(host_text), _load(client_text)
    identity, known = directory / "identity", directory / "known_hosts"
    _write(identity, client_text)
    _write(known, f"[{address}]:{port} {host_key.get_name()} {host_key.get_base64()}\n")
    return KeyFiles(host_key, _load(_private_key()), client_key, str(identity), str(known))


def _private_key() -> str:
    return (
        Ed25519PrivateKey.generate()
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        .decode("ascii")
    )


def _load(text: str) -> paramiko.PKey:
    return paramiko.Ed25519Key(file_obj=StringIO(text))


def _write(path: Path, text: str) -> None:
    """Replaces a file; no other account can read it, not even for a moment."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)


PREFIX = "tastyops-practice-"
_OWNER = "owner"
_LONGEST_RECORD = 256


def new_directory() -> Path:
    """Makes a private directory that names this process; removes those of dead processes."""
    place = Path(tempfile.gettempdir())
    for left in place.glob(f"{PREFIX}*"):
        if _is_ours_alone(left) and _is_dead(_record(left)):
            shutil.rmtree(left, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
    # Without this file the owner is unknown, so no other practice host removes the directory.
    with contextlib.suppress(OSError):
        (made / _OWNER).write_text(" ".join(_identity(os.getpid())), "ascii")
    return made


def _is_ours_alone(path: Path) -> bool:
    """Whether the path is a real directory, not a link, that only this account can write to."""
    with contextlib.suppress(OSError):
        found = path.lstat()
        private = stat.S_IMODE(found.st_mode) & 0o077 == 0
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and private
    return False


def _record(directory: Path) -> tuple[str, ...]:
    with contextlib.suppress(OSError):
        descriptor = os.open(directory / _OWNER, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            return tuple(file.read(_LONGEST_RECORD).decode("ascii", "replace").split(" "))
    return ()


def _is_dead(record: tuple[str, ...]) -> bool:
    """Whether the recorded process has ended; False where that cannot be known."""
    if len(record) != 4 or not record[2].isdigit():
        return False
    now = _identity(int(record[2]))
    # Process ids differ between namespaces, for example in a container that shares this directory.
    return now[:1] == record[:1] and now != record


def _identity(pid: int) -> tuple[str, ...]:
    """Pid namespace, boot id, pid and start time of this process; empty without a /proc."""
    try:
        space = os.readlink("/proc/self/ns/pid")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ()
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        stat = ""
    return (space, boot, str(pid), start_time(stat, remains=False) or "gone")


ADDRESS = "127.0.0.1"
USER = "root"
_LOG = "tastyops.practice.ssh"
_PIECE = 262_144
_PATIENCE = 10.0
"""Real seconds to wait for a thread that is ending."""

# paramiko logs every cut connection, and a practised reboot cuts them. Without a handler Python
# would print these messages on the operator's terminal.
logging.getLogger(_LOG).addHandler(logging.NullHandler())
logging.getLogger(_LOG).propagate = False


class _AccessPolicy(paramiko.ServerInterface):
    """Decides who may log in and what a channel may request."""

    def __init__(self, practice: PracticeHost, transport: _Transport) -> None:
        self._practice = practice
        self._transport = transport

    def get_banner(self) -> tuple[str, str]:
        name = self._practice.machine.name
        return (f"This is a PRACTICE HOST: tastyops' model of {name}, nothing real.\r\n", "en-GB")

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        known = username == USER and key == self._practice.keys.client_key
        return common.AUTH_SUCCESSFUL if known else common.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        if kind == "session":
            return common.OPEN_SUCCEEDED
        return common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        text = command.decode("utf-8", "replace")
        self._transport.ready.append(lambda: self._practice.start_session(channel, text))
        return True

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        self._transport.ready.append(lambda: self._practice.start_session(channel, ""))
        return True

    def check_channel_pty_request(self, channel: paramiko.Channel, *_: Any) -> bool:
        return True  # so that a person's `ssh` gets as far as the message


class _Transport(paramiko.Transport):
    """Starts a session only after the client has received the answer to its request.

    paramiko sends the answer after its callback has returned. A session that ends sooner, as a
    refused one does, would close the channel first, and the client would never see the reason.
    """

    def __init__(self, link: socket.socket) -> None:
        super().__init__(link)
        self.ready: list[Callable[[], None]] = []

    def _send_user_message(self, data: paramiko.Message) -> None:
        super()._send_user_message(data)  # type: ignore[misc]
        if self.ready and data.asbytes()[:1] == common.cMSG_CHANNEL_SUCCESS:
            self.ready.pop(0)()


class _Wire:
    """Channel to a client; paramiko's own sendall copies the remaining bytes for each piece."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self.recv = channel.recv
        self._send = channel.sendall

    def sendall(self, data: bytes) -> None:
        for at in range(0, len(data), _PIECE):
            self._send(data[at : at + _PIECE])


class PracticeHost:
    """A running practice host: a model, a clock and an SSH server.

    ``host`` is its entry of an inventory. ``close`` ends every thread and socket.
    """

    def __init__(
        self,
        name: str,
        clock: PracticeClock,
        variables: Mapping[str, Any],
        directory: Path | None,
        port: int,
    ) -> None:
        settings = variables.get("practice") or {}
        self.clock = clock
        self.machine = Machine(name, clock, settings)
        keys_in = directory or new_directory()
        self._own = keys_in if directory is None else None
        self._lock = threading.Lock()
        self._transports: set[paramiko.Transport] = set()
        self._sessions: set[threading.Thread] = set()
        self._closing = False
        self._listener = _bound(port)
        self.port: int = self._listener.getsockname()[1]
        self.keys: KeyFiles = make_keys(keys_in, ADDRESS, self.port)
        self.host = Host(
            name=name,
            address=ADDRESS,
            port=self.port,
            user=USER,
            identity_file=self.keys.identity_file,
            known_hosts=self.keys.known_hosts,
            console=ConsoleWay(socket=str(keys_in / "console")),
            vars=dict(variables),
        )
        self._serial = SerialConsole(keys_in / "console", self.machine.power.press)
        self.machine.console.serial = self._serial
        self.power = PowerSwitch(self.machine.power)
        self._acceptor = self._listen()
        self._keeper = threading.Thread(target=self._keep, name="practice-keeper", daemon=True)
        self._keeper.start()

    @classmethod
    def start(
        cls,
        name: str,
        *,
        scale: float = 60.0,
        clock: PracticeClock | None = None,
        vars: Mapping[str, Any] | None = None,
        directory: Path | None = None,
        port: int = 0,
    ) -> PracticeHost:
        """Starts a practice host, which accepts connections when this returns.

        ``vars`` are the host's in the inventory; ``practice:`` among them configures the model.
        Raises ValueError for an unknown setting, OSError where the port is taken.
        """
        return cls(name, clock or PracticeClock(scale), vars or {}, directory, port)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- connections -------------------------------------------------------------------------

    def _listen(self) -> threading.Thread:
        self._listener.listen(32)
        acceptor = threading.Thread(
            target=self._accept, args=(self._listener,), name="practice-acceptor", daemon=True
        )
        acceptor.start()
        return acceptor

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return  # the listener was shut: the machine goes down, or the practice ends
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            transport = _Transport(link)
            transport.local_version = "SSH-2.0-tastyops_practice"
            transport.set_log_channel(_LOG)
            other = self.machine.power.other_host_key
            transport.add_server_key(self.keys.other_host_key if other else self.keys.host_key)
            with self._lock:
                self._transports = {known for known in self._transports if known.is_alive()}
                self._transports.add(transport)
            # With an event start_server does not wait; the handshake continues in its own thread.
            transport.start_server(event=threading.Event(), server=_AccessPolicy(self, transport))

    def _hang_up(self) -> None:
        """Refuses new connections and cuts the existing ones without closing them properly."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(_PATIENCE)
        self._listener.close()
        with self._lock:
            transports, self._transports = self._transports, set()
        for transport in transports:
            with contextlib.suppress(OSError):
                transport.sock.shutdown(socket.SHUT_RDWR)
        for transport in transports:
            transport.close()
            transport.join(_PATIENCE)

    def _keep(self) -> None:
        """Listens while the machine is up, and hangs up when it goes down or reboots."""
        machine, listening = self.machine, True
        power, boot = machine.power, machine.boot.id
        while True:
            with machine.lock:
                power.catch_up()
                if not self._closing and power.up == listening and machine.boot.id == boot:
                    due = power.next_due()
                    left = None if due is None else self.clock.real(due - self.clock.time())
                    machine.lock.wait(None if left is None else max(left, 0.0))
                    continue
                closing, up, boot = self._closing, power.up, machine.boot.id
            if listening:
                self._hang_up()
                listening = False
                if closing:
                    return
                # Bound but not listening: connections are refused, and the port stays ours.
                self._listener = _bound(self.port)
            elif closing:
                self._listener.close()
                return
            elif up:
                self._acceptor = self._listen()
                listening = True

    # -- sessions ----------------------------------------------------------------------------

    def start_session(self, channel: paramiko.Channel, command: str) -> None:
        """Serves a channel in a new thread: the protocol, or a refusal that gives the reason."""
        thread = threading.Thread(
            target=self._serve, args=(channel, command), name="practice-session", daemon=True
        )
        with self._lock:
            self._sessions = {known for known in self._sessions if known.is_alive()}
            thread.start()
            self._sessions.add(thread)

    def _serve(self, channel: paramiko.Channel, command: str) -> None:
        nonce = framing.opening_nonce(command)
        status = 1
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            try:
                self._speak(channel, nonce)
                status = 0
            except ProtocolMismatch as wrong:
                channel.sendall_stderr(f"PRACTICE HOST: {wrong}\r\n".encode())
            except Killed as killed:
                status = 128 + killed.signal
            channel.send_exit_status(status)
            channel.close()

    def _speak(self, channel: paramiko.Channel, nonce: str | None) -> None:
        if nonce is None:
            raise ProtocolMismatch(_REFUSAL)
        machine = self.machine
        process = machine.processes.begin("sh", leader=True)
        # A signal may end the shell while it waits for a request: its input then ends as well.
        process.on_death = channel.in_buffer.close
        try:
            ProtocolServer(machine, _Wire(channel), process, nonce).serve()
        finally:
            machine.processes.end(process)

    def close(self) -> None:
        """Ends every thread and socket, and removes the files of this practice host."""
        if self._closing:
            return
        with self.machine.lock:
            self._closing = True
            self.machine.lock.notify_all()
        self._serial.close()
        self.machine.close()
        self._keeper.join(_PATIENCE)
        with self._lock:
            sessions = list(self._sessions)
        for session in sessions:
            session.join(_PATIENCE)
        if self._own:
            shutil.rmtree(self._own)


_REFUSAL = (
    "it answers tastyops alone, and neither a shell nor a single command of yours. To try a"
    " command here, put it into a runbook's `run:` step."
)


def _bound(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((ADDRESS, port))
    except OSError:
        bound.close()
        raise
    return bound
