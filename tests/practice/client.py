"""A client of the framing for tests, on paramiko alone."""

from __future__ import annotations

import itertools
from typing import Self

import paramiko

from tastyops.model.inventory import Host
from tastyops.protocol import framing

_COUNT = itertools.count()


class Talk:
    """One channel with the bootstrap running at its other end."""

    def __init__(self, client: paramiko.SSHClient, run: str) -> None:
        transport = client.get_transport()
        assert transport
        self.channel = transport.open_session(timeout=60)
        self.channel.settimeout(60)
        self.channel.exec_command(framing.opening("nOpen1"))
        self._held = b""
        assert self._until(b"\n") == f"{framing.GREETING} nOpen1\n".encode()
        self.channel.sendall(framing.bootstrap(run, "nHello1").encode())
        greeting = self._until(b"\n").decode()
        assert greeting.startswith("\0nHello1 ")
        self.hello = framing.parse_hello(greeting.partition(" ")[2].rstrip("\n"))
        assert self.ask("l", "1", "1", "kalimdor", "")[0].startswith(b"taken\n")

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._held:
            data = self.channel.recv(65536)
            if not data:
                raise EOFError
            self._held += data
        taken, _, self._held = self._held.partition(mark)
        return taken + mark

    def send(self, verb: str, *words: str) -> str:
        nonce = f"n{next(_COUNT):06d}"
        self.channel.sendall(framing.request(verb, nonce, words))
        return nonce

    def answer(self, nonce: str) -> tuple[bytes, bytes, str]:
        reader = framing.AnswerReader(nonce)
        got = {"out": bytearray(), "err": bytearray(), "end": bytearray()}
        while not reader.ended:
            data = self._held or self.channel.recv(262_144)
            self._held = b""
            if not data:
                raise EOFError
            for stream, piece in reader.feed(data):
                got[stream] += piece
        assert reader.rest == b""
        return bytes(got["out"]), bytes(got["err"]), got["end"].decode()

    def ask(self, verb: str, *words: str) -> tuple[bytes, bytes, str]:
        return self.answer(self.send(verb, *words))


class Client:
    """A connection to a practice host; raises OSError while it is down."""

    def __init__(self, host: Host) -> None:
        self.ssh = paramiko.SSHClient()
        assert host.known_hosts
        assert host.address
        self.ssh.load_host_keys(host.known_hosts)
        self.ssh.set_missing_host_key_policy(paramiko.RejectPolicy())
        try:
            self.ssh.connect(
                host.address,
                host.port or 22,
                host.user,
                key_filename=host.identity_file,
                look_for_keys=False,
                allow_agent=False,
                timeout=60,
            )
        except BaseException:
            self.ssh.close()
            raise
        transport = self.ssh.get_transport()
        assert transport
        self.transport = transport
        self._socket = transport.sock

    def talk(self, run: str = "test-run") -> Talk:
        return Talk(self.ssh, run)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ssh.close()
        self.transport.join(60)
